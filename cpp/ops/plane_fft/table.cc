#include "ops/plane_fft/table.h"

#include <cmath>
#include <complex>
#include <list>
#include <mutex>
#include <numbers>

namespace swath {
namespace {

using Complex = std::complex<double>;

/// Radices 4, 2, 3, 5, then larger primes; empty if one is too large.
std::vector<int32_t> factorize(int64_t n) {
  std::vector<int32_t> radices;
  for (const int32_t p : {4, 2, 3, 5}) {
    for (; n % p == 0; n /= p) radices.push_back(p);
  }
  for (int32_t p = 7; p <= kMaxFftPrime; p += 2) {
    for (; n % p == 0; n /= p) radices.push_back(p);
  }
  if (n > 1) radices.clear();
  return radices;
}

/// For the tables of the convolution: plain recursion in double.
std::vector<Complex> transform(const std::vector<Complex>& x) {
  const auto n = static_cast<int64_t>(x.size());
  if (n == 1) return x;
  const int64_t p = factorize(n).front(), m = n / p;
  std::vector<std::vector<Complex>> parts;
  for (int64_t r = 0; r < p; ++r) {
    std::vector<Complex> part(static_cast<size_t>(m));
    for (int64_t j = 0; j < m; ++j) part[j] = x[j * p + r];
    parts.push_back(transform(part));
  }
  std::vector<Complex> y(x.size());
  for (int64_t k = 0; k < n; ++k) {
    for (int64_t r = 0; r < p; ++r) y[k] += parts[r][k % m] * fft_root(r * k, n);
  }
  return y;
}

class Builder {
 public:
  Builder(int64_t n, DType accumulator)
      : accumulator_(accumulator), table_(std::make_shared<FftTable>()) {
    table_->n = table_->work = n;
  }

  std::shared_ptr<const FftTable> build() {
    const std::vector<int32_t> radices = factorize(table_->n);
    if (radices.empty() && table_->n > 1) {
      add_convolution();
    } else {
      add_passes(radices);
    }
    FftTable& t = *table_;
    if (accumulator_ == DType::f32) {
      t.floats.assign(t.doubles.begin(), t.doubles.end());
      t.doubles = {};
      t.values = t.floats.data();
    } else {
      t.values = t.doubles.data();
    }
    return table_;
  }

 private:
  int64_t at() const { return static_cast<int64_t>(table_->doubles.size()); }
  void add(Complex z) {
    table_->doubles.push_back(z.real());
    table_->doubles.push_back(z.imag());
  }

  void add_passes(const std::vector<int32_t>& radices) {
    int64_t n = table_->n;
    for (const int32_t p : radices) {
      const int pass = table_->n_passes++;
      table_->radix[pass] = p;
      table_->twiddles[pass] = at();
      for (int64_t q = 0; q < n / p; ++q) {
        for (int64_t k = 1; k < p; ++k) add(fft_root(q * k, n));
      }
      table_->roots[pass] = at();
      for (int64_t k = 0; p > 5 && k < p; ++k) add(fft_root(k, p));
      n /= p;
    }
  }

  void add_convolution() {
    const int64_t n = table_->n, m = good_fft_length(2 * n - 1);
    table_->owned_inner = fft_table(m, accumulator_);
    table_->inner = table_->owned_inner.get();
    table_->work = m;
    table_->chirp = at();
    std::vector<Complex> wave(static_cast<size_t>(m));
    int64_t square = 0;  // j^2 mod 2 n, which keeps the angle exact
    for (int64_t j = 0; j < n; ++j) {
      const Complex z = fft_root(square, 2 * n);
      add(z);
      wave[j] = std::conj(z);
      if (j > 0) wave[m - j] = wave[j];
      square = (square + 2 * j + 1) % (2 * n);
    }
    table_->chirp_spectrum = at();
    for (const Complex& z : transform(wave)) add(z / static_cast<double>(m));
  }

  DType accumulator_;
  std::shared_ptr<FftTable> table_;
};

/// Lengths of recent calls: making the table of 1024 points takes longer than many transforms.
constexpr size_t kKept = 32;

}  // namespace

// Reduced to an eighth of the circle, so that k near n loses nothing.
std::complex<double> fft_root(int64_t k, int64_t n) {
  k %= n;
  if (8 * k > 4 * n) return std::conj(fft_root(n - k, n));           // second half
  if (8 * k > 2 * n) return -std::conj(fft_root(n - 2 * k, 2 * n));  // second quarter
  if (8 * k > n) {                                                   // second eighth
    const double angle = 2 * std::numbers::pi * (static_cast<double>(n - 4 * k) / (4.0 * n));
    return {std::sin(angle), -std::cos(angle)};
  }
  const double angle = 2 * std::numbers::pi * (static_cast<double>(k) / n);
  return {std::cos(angle), -std::sin(angle)};
}

std::shared_ptr<const FftTable> fft_table(int64_t n, DType accumulator) {
  struct Entry {
    int64_t n;
    DType accumulator;
    std::shared_ptr<const FftTable> table;
  };
  static std::mutex mutex;
  static auto& entries = *new std::list<Entry>;  // never destroyed: threads may outlive main
  {
    const std::lock_guard lock(mutex);
    for (auto it = entries.begin(); it != entries.end(); ++it) {
      if (it->n != n || it->accumulator != accumulator) continue;
      entries.splice(entries.begin(), entries, it);
      return entries.front().table;
    }
  }
  auto table = Builder(n, accumulator).build();
  const std::lock_guard lock(mutex);
  entries.push_front({n, accumulator, table});
  if (entries.size() > kKept) entries.pop_back();
  return table;
}

double fft_flops(int64_t n) {
  // Per element of a pass by radix, measured beside each other: loads and stores included.
  double sum = 0;
  const std::vector<int32_t> radices = factorize(n);
  if (radices.empty() && n > 1) return 2 * fft_flops(good_fft_length(2 * n - 1)) + 20.0 * n;
  for (const int32_t p : radices) {
    sum += p == 2 ? 6 : p == 3 ? 8 : p == 4 ? 8.5 : p == 5 ? 12 : 2.0 * p + 8;
  }
  return sum * static_cast<double>(n);
}

int64_t good_fft_length(int64_t least) {
  int64_t best = 1;
  while (best < least) best *= 2;
  double best_cost = fft_flops(best);
  const int64_t limit = best;
  for (int64_t five = 1; five < limit; five *= 5) {
    for (int64_t three = five; three < limit; three *= 3) {
      int64_t n = three;
      while (n < least) n *= 2;
      const double cost = fft_flops(n);
      if (n >= limit || cost >= best_cost) continue;
      best = n;
      best_cost = cost;
    }
  }
  return best;
}

}  // namespace swath
