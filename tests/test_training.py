"""Small networks of swath's layers train on scikit-learn's digits as their plain torch twins do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from support import require

torch = require("torch")
st = require("swath.torch")
datasets = require("sklearn.datasets")
nn, F = torch.nn, torch.nn.functional

N_STEPS, BATCH = 40, 64


def _digits() -> tuple[Any, Any]:
    digits = datasets.load_digits()
    pictures = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    return pictures, torch.tensor(digits.target)


def _train(network: Any, loss_of: Callable[[Any, Any, Any], Any], rate: float) -> list[float]:
    """The loss of each step of momentum descent over batches in a fixed order."""
    pictures, labels = _digits()
    optimizer = torch.optim.SGD(network.parameters(), rate, momentum=0.9)
    history = []
    for step in range(N_STEPS):
        part = slice(step * BATCH % 1792, step * BATCH % 1792 + BATCH)
        loss = loss_of(network, pictures[part], labels[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


def _assert_twins(
    make: Callable[[bool], Any], loss_of: Callable[[Any, Any, Any], Any], rate: float
) -> None:
    histories = []
    for is_swath in (True, False):
        torch.manual_seed(0)
        histories.append(_train(make(is_swath), loss_of, rate))
    ours, theirs = map(np.array, histories)
    assert ours[-5:].mean() < 0.7 * ours[:3].mean()  # it learns
    # rounding differs from the first step on and grows with training
    np.testing.assert_allclose(ours[:10], theirs[:10], rtol=1e-4)
    np.testing.assert_allclose(ours[-5:].mean(), theirs[-5:].mean(), rtol=0.02)


def _classify(network: Any, pictures: Any, labels: Any) -> Any:
    return F.cross_entropy(network(pictures), labels)


class _PublishedPartialConv(nn.Conv2d):
    """Liu et al. 2018 with a mask of every channel, from torch's functions."""

    def forward(self, x: Any, mask: Any) -> Any:
        ones = torch.ones_like(self.weight)
        n_seen = F.conv2d(mask, ones, None, self.stride, self.padding)
        new = n_seen.clamp(0, 1)
        ratio = ones[0].numel() / (n_seen + 1e-8) * new
        y = F.conv2d(x * mask, self.weight, None, self.stride, self.padding)
        return (y * ratio + self.bias[:, None, None]) * new, new


class _UNet(nn.Module):
    """Fills holes: two levels, masks go along."""

    def __init__(self, is_swath: bool) -> None:
        super().__init__()

        def conv(*args: Any, **options: Any) -> Any:
            if is_swath:
                return st.PartialConv2d(*args, multi_channel=True, return_mask=True, **options)
            return _PublishedPartialConv(*args, **options)

        self.enter = conv(1, 8, 3, padding=1)
        self.down = conv(8, 16, 3, padding=1, stride=2)
        self.up = conv(24, 8, 3, padding=1)
        self.leave = conv(8, 1, 3, padding=1)

    def forward(self, x: Any, mask: Any) -> Any:
        wide, wide_mask = self.enter(x, mask)
        low, low_mask = self.down(F.relu(wide), wide_mask)
        twice = [F.interpolate(a, scale_factor=2.0) for a in (F.relu(low), low_mask)]
        y, mask = self.up(torch.cat([wide, twice[0]], 1), torch.cat([wide_mask, twice[1]], 1))
        return self.leave(F.relu(y), mask)[0]


def _fill_holes(network: Any, pictures: Any, _: Any) -> Any:
    columns = torch.arange(64).view(8, 8) % 7 > 1
    mask = columns.float().expand_as(pictures).contiguous()
    return F.mse_loss(network(pictures, mask), pictures)


class _FasterBlock(nn.Module):
    """Chen et al. 2023: a 3x3 convolution of a quarter of the channels, then two 1x1."""

    def __init__(self, n: int, is_swath: bool) -> None:
        super().__init__()
        conv = st.Conv2d if is_swath else nn.Conv2d
        self.n_mixed, self.is_swath = n // 4, is_swath
        self.mix = st.PartialChannelConv2d(n, 4) if is_swath else _Quarter(n)
        self.mlp = nn.Sequential(
            conv(n, 2 * n, 1, bias=False), nn.BatchNorm2d(2 * n), nn.ReLU(), conv(2 * n, n, 1)
        )

    def forward(self, x: Any) -> Any:
        return x + self.mlp(self.mix(x))


class _Quarter(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.partial_conv3 = nn.Conv2d(n // 4, n // 4, 3, padding=1, bias=False)

    def forward(self, x: Any) -> Any:
        n = self.partial_conv3.in_channels
        return torch.cat([self.partial_conv3(x[:, :n]), x[:, n:]], 1)


def _faster_net(is_swath: bool) -> Any:
    conv = st.Conv2d if is_swath else nn.Conv2d
    return nn.Sequential(
        conv(1, 16, 2, stride=2), _FasterBlock(16, is_swath), _FasterBlock(16, is_swath),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class _LongConvClassifier(nn.Module):
    """Each picture is a sequence of 64 values: embed, convolve over all of it, gate, mean."""

    def __init__(self, is_swath: bool) -> None:
        super().__init__()
        self.is_swath = is_swath
        self.embed = nn.Conv1d(1, 32, 1)
        self.long = st.LongConv(16, 64)
        self.head = nn.Linear(16 * 8, 10)

    def mix(self, u: Any, gate: Any) -> Any:
        if self.is_swath:
            return self.long(u, post_gate=gate)
        spectrum = torch.fft.rfft(u, n=128) * torch.fft.rfft(self.long.k, n=128)
        y = torch.fft.irfft(spectrum, n=128)[..., :64]
        return (y + self.long.skip[:, None] * u) * gate

    def forward(self, pictures: Any) -> Any:
        u, gate = self.embed(pictures.flatten(2)).chunk(2, 1)
        y = u + F.gelu(self.mix(u, gate.sigmoid()))
        return self.head(F.avg_pool1d(y, 8).flatten(1))


@pytest.mark.parametrize(
    ("make", "loss_of", "rate"),
    [
        (_UNet, _fill_holes, 0.1),
        (_faster_net, _classify, 0.05),
        (_LongConvClassifier, _classify, 0.2),
    ],
    ids=["partial_conv_unet", "faster_net", "long_conv"],
)
def test_trains_as_its_torch_twin(
    make: Callable[[bool], Any], loss_of: Callable[[Any, Any, Any], Any], rate: float
) -> None:
    _assert_twins(make, loss_of, rate)
