// The history of a stream.
#include <algorithm>
#include <cstring>

#include "core/format.h"
#include "ops/dynamic_stream.h"

namespace swath::python {
namespace {

constexpr const char* kStateName = "DynamicConv1d.init_state";

DType dtype_of(const std::string& name) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    if (name == name_of(dtype)) return dtype;
  }
  throw Error(ErrorCode::param, kStateName, "dtype", "dtype is of no plan");
}

}  // namespace

std::unique_ptr<DynamicState> DynamicState::make(const std::string& dtype,
                                                 const std::string& layout, int64_t columns,
                                                 int64_t batch, int64_t channels, int64_t n_seen,
                                                 const py::bytes& data) {
  auto state = std::make_unique<DynamicState>();
  state->dtype = dtype_of(dtype);
  state->layout = layout == "channels_last" ? Layout::channels_last : Layout::channels_first;
  state->columns = columns;
  state->batch = batch;
  state->n_seen = n_seen;
  const int64_t extents[] = {batch, std::max<int64_t>(channels, 0), columns};
  check_extents({kStateName, "batch"}, 3, extents);
  if (batch < 0 || columns < 0 || n_seen < 0) {
    throw Error(ErrorCode::param, kStateName, "batch",
                format("batch is {}, needed is a number >= 0", batch));
  }
  if (channels >= 0) state->set_channels(channels);
  const std::string_view bytes = data;
  const size_t n_bytes = state->history ? state->history->n_bytes() : 0;
  if (!bytes.empty() && bytes.size() != n_bytes) {
    throw Error(ErrorCode::param, kStateName, "data", "shape and bytes do not fit together");
  }
  if (!bytes.empty()) std::memcpy(state->history->memory.get(), bytes.data(), bytes.size());
  state->set_made();
  return state;
}

TensorDesc DynamicState::history_desc(int64_t n_channels) const {
  return layout == Layout::channels_first ? contiguous_desc(dtype, {batch, n_channels, columns})
                                          : contiguous_desc(dtype, {batch, columns, n_channels});
}

void DynamicState::set_channels(int64_t n_channels) {
  if (history) return;
  channels = n_channels;
  history = Buffer(history_desc(n_channels));
  std::memset(history->memory.get(), 0, history->n_bytes());
}

void DynamicState::push(const void* x, const TensorDesc& desc) {
  const int time = layout == Layout::channels_first ? 2 : 1;
  const int64_t t = desc.shape[time], kept = std::max<int64_t>(0, columns - t);
  const int64_t n_new = columns - kept, first = t - n_new, item = item_bytes(dtype);
  n_seen += t;
  if (n_new == 0 || history->n_bytes() == 0) return;
  // Rows of `row` bytes lie along time; of one channel, or of one column of all channels.
  const TensorDesc& h = history->desc;
  const int inner = 3 - time;
  const bool is_first = layout == Layout::channels_first;
  const int64_t n_rows = is_first ? batch * channels : batch;
  const int64_t row = columns * (is_first ? 1 : channels) * item;
  const int64_t shift = n_new * (is_first ? 1 : channels) * item;
  std::byte* const memory = history->memory.get();
  for (int64_t i = 0; i < n_rows; ++i) {
    std::memmove(memory + i * row, memory + i * row + shift, static_cast<size_t>(row - shift));
  }
  const auto* from = static_cast<const std::byte*>(x);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t j = 0; j < n_new; ++j) {
        const int64_t to = b * h.strides[0] + c * h.strides[inner] + (kept + j) * h.strides[time];
        const int64_t at =
            b * desc.strides[0] + c * desc.strides[inner] + (first + j) * desc.strides[time];
        std::memcpy(memory + to * item, from + at * item, static_cast<size_t>(item));
      }
    }
  }
}

py::tuple DynamicState::parts() const {
  const py::bytes data =
      history ? py::bytes(reinterpret_cast<const char*>(history->memory.get()), history->n_bytes())
              : py::bytes();
  return py::make_tuple(name_of(dtype),
                        layout == Layout::channels_first ? "channels_first" : "channels_last",
                        columns, batch, channels, n_seen, data);
}

}  // namespace swath::python
