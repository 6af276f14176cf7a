// The SIMD layer on every cluster of this machine: accuracy in ulp over every 97th float (--all:
// every float), conversions, partial loads and stores. Names of functions restrict the first.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "simd_probe.h"
#include "simd_reference.h"

namespace swath_test {
namespace {

using swath::bf16;
using swath::f16;
using swath::SimdConversions;
using swath::SimdFunction;
using swath::SimdLanes;
using swath::SimdProbe;

struct Cluster {
  const char* name;
  const SimdProbe* probe;
};

struct Function {
  SimdFunction function;
  std::string_view name;
};

#define SWATH_NAMED(name) {SimdFunction::name, #name},
constexpr Function kFunctions[] = {SWATH_SIMD_FUNCTIONS(SWATH_NAMED)};
#undef SWATH_NAMED

/// What simd/math.h and simd/math_slopes.h promise.
template <class T>
double max_ulp(std::string_view name) {
  if (name == "gelu_tanh_slope") return 8;
  if (name.ends_with("_slope")) return 5;
  return sizeof(T) == 4 ? 2 : 4;
}

std::vector<Cluster> clusters() {
  std::vector<Cluster> found;
#ifdef SWATH_HAS_baseline
  found.push_back({"baseline", &swath::baseline::kSimdProbe});
#endif
#ifdef SWATH_HAS_avx2
  // Clang 14 cannot be asked for f16c, which every processor with avx2 has.
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back({"avx2", &swath::avx2::kSimdProbe});
  }
#endif
#ifdef SWATH_HAS_avx512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    found.push_back({"avx512", &swath::avx512::kSimdProbe});
  }
#endif
#ifdef SWATH_HAS_neon
  found.push_back({"neon", &swath::neon::kSimdProbe});
#endif
  return found;
}

template <class T>
T from_bits(uint64_t bits) {
  T x;
  if constexpr (sizeof(T) == 4) {
    const auto low = static_cast<uint32_t>(bits);
    std::memcpy(&x, &low, sizeof(x));
  } else {
    std::memcpy(&x, &bits, sizeof(x));
  }
  return x;
}

template <class T>
void run_unary(const SimdProbe& probe, SimdFunction f, const std::vector<T>& x, std::vector<T>& y) {
  const auto n = static_cast<int64_t>(x.size());
  if constexpr (sizeof(T) == 4) {
    probe.unary_f32(f, x.data(), y.data(), n);
  } else {
    probe.unary_f64(f, x.data(), y.data(), n);
  }
}

/// Worst distance of one function on one cluster so far, and where it was.
struct Worst {
  double ulp = 0;
  double x = 0;
};

/// R is the reference's type. `next(x)` fills x with the next arguments, false at the end.
template <class T, class R, class Next>
void check_functions(const char* type, const std::vector<Function>& functions, Next next) {
  const auto all = clusters();
  std::vector<std::vector<Worst>> worst(functions.size(), std::vector<Worst>(all.size()));
  std::vector<T> x;
  while (next(x)) {
    std::vector<T> y(x.size());
    std::vector<R> expected(x.size());
    for (size_t f = 0; f < functions.size(); ++f) {
      const SimdFunction function = functions[f].function;
      for (size_t i = 0; i < x.size(); ++i) expected[i] = reference<T, R>(function, x[i]);
      for (size_t c = 0; c < all.size(); ++c) {
        run_unary(*all[c].probe, function, x, y);
        for (size_t i = 0; i < x.size(); ++i) {
          if (y[i] == static_cast<T>(expected[i])) continue;  // rounded correctly: most are
          const R floor = floor_of<T, R>(function, x[i]);
          const double ulp = ulp_distance<T, R>(y[i], expected[i], floor);
          if (ulp > worst[f][c].ulp) worst[f][c] = {ulp, static_cast<double>(x[i])};
        }
      }
    }
  }
  std::printf("%-17s", type);
  for (const Cluster& c : all) std::printf("  %-9s largest ulp at", c.name);
  std::printf("\n");
  for (size_t f = 0; f < functions.size(); ++f) {
    std::printf("%-17s", functions[f].name.data());
    for (const Worst& w : worst[f]) {
      std::printf("  %9.3f %14.7g", w.ulp, w.x);
      CHECK(w.ulp <= max_ulp<T>(functions[f].name));
    }
    std::printf("\n");
  }
}

/// Floats by bit pattern, in blocks.
void check_floats(const std::vector<Function>& functions, uint64_t step) {
  uint64_t bits = 0;
  check_functions<float, double>("float", functions, [&](std::vector<float>& x) {
    x.clear();
    for (; bits < (uint64_t{1} << 32) && x.size() < 65536; bits += step) {
      x.push_back(from_bits<float>(bits));
    }
    return !x.empty();
  });
}

/// Doubles: scattered bit patterns and an even grid where the functions bend.
void check_doubles(const std::vector<Function>& functions) {
  constexpr int kBlocks = 12;
  constexpr int kBlock = 20011;
  int block = 0;
  uint64_t bits = 0;
  check_functions<double, long double>("double", functions, [&](std::vector<double>& x) {
    x.clear();
    for (int i = 0; block < kBlocks && i < kBlock; ++i) {
      const double at = (block + (i + 0.37) / kBlock) / kBlocks;  // in (0, 1)
      bits += 0x9e3779b97f4a7c15u;
      x.insert(x.end(), {from_bits<double>(bits), 90 * at - 45, 4 * at - 2, 1520 * at - 760});
    }
    ++block;
    return !x.empty();
  });
}

template <class S>
bool same_half(S found, float x, const HalfFormat& format) {
  if (!std::isnan(x)) return found.bits == format.encode(x);
  const int quiet =
      (format.exponent_mask() << format.mantissa_bits) | (1 << (format.mantissa_bits - 1));
  return (found.bits & quiet) == quiet && (found.bits >> 15 != 0) == std::signbit(x);
}

template <class S>
void check_narrow(const SimdConversions<S>& probe, const HalfFormat& format, std::vector<float> x,
                  bool scalar) {
  x.resize((x.size() + 15) / 16 * 16);
  std::vector<S> found(x.size());
  const auto narrow = scalar ? probe.narrow_scalar : probe.narrow;
  narrow(x.data(), found.data(), static_cast<int64_t>(x.size()));
  size_t n_wrong = 0;
  for (size_t i = 0; i < x.size(); ++i) n_wrong += !same_half(found[i], x[i], format);
  CHECK(n_wrong == 0);
}

/// Every 16-bit pattern widened; narrowed: each value, the middle to the next, their neighbours.
template <class S>
void check_conversions(const SimdConversions<S>& probe, const HalfFormat& format) {
  std::vector<S> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<uint16_t>(i);
  std::vector<float> cases;
  for (const auto widen : {probe.widen, probe.widen_scalar}) {
    std::vector<float> found(all.size());
    widen(all.data(), found.data(), 65536);
    size_t n_wrong = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const double value = format.decode(all[i].bits);
      n_wrong += std::isnan(value) ? !std::isnan(found[i]) : found[i] != value;
      n_wrong += std::signbit(found[i]) != (all[i].bits >> 15 != 0);
    }
    CHECK(n_wrong == 0);
  }
  for (const S h : all) {
    const auto value = static_cast<float>(format.decode(h.bits));
    const S after{static_cast<uint16_t>(h.bits + 1)};
    const double next = format.decode(after.bits);
    const double finite_next = std::isinf(next) ? std::ldexp(1.0, format.exponent_bias + 1) : next;
    const auto middle = static_cast<float>((value + std::copysign(finite_next, value)) / 2);
    for (const float at : {value, middle}) {
      cases.insert(cases.end(),
                   {at, std::nextafterf(at, HUGE_VALF), std::nextafterf(at, -HUGE_VALF)});
    }
  }
  for (uint32_t mantissa = 1; mantissa < (1u << 23); mantissa += 1021) {
    cases.insert(cases.end(), {from_bits<float>(0x7f800000u | mantissa),
                               from_bits<float>(0xff800000u | mantissa)});
  }
  check_narrow(probe, format, cases, false);
  check_narrow(probe, format, cases, true);
}

/// Memory that ends where the next page cannot be touched.
class GuardedPage {
 public:
  GuardedPage() : n_bytes_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    void* both =
        mmap(nullptr, 2 * n_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (both == MAP_FAILED) std::abort();
    start_ = static_cast<char*>(both);
    if (mprotect(start_ + n_bytes_, n_bytes_, PROT_NONE) != 0) std::abort();
  }
  ~GuardedPage() { munmap(start_, 2 * n_bytes_); }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;

  /// n elements right before the end.
  template <class T>
  T* last(int n) {
    return reinterpret_cast<T*>(start_ + n_bytes_) - n;
  }

 private:
  size_t n_bytes_;
  char* start_;
};

/// T in memory, A in registers: T itself, or float for the 16-bit types.
template <class T, class A, class Load, class Store, class Value>
void check_partial(int lanes, Load load_n, Store store_n, Value value) {
  GuardedPage page;
  for (int n = 0; n <= lanes; ++n) {
    T* source = page.last<T>(n);
    for (int i = 0; i < n; ++i) source[i] = value(i + 1);
    std::vector<A> loaded(lanes, A(77));
    load_n(source, n, loaded.data());
    for (int i = 0; i < lanes; ++i) CHECK(loaded[i] == (i < n ? A(i + 1) : A(0)));

    std::vector<A> registers(lanes);
    for (int i = 0; i < lanes; ++i) registers[i] = A(i + 1);
    T* out = page.last<T>(n);
    out[-1] = value(99);
    store_n(registers.data(), out, n);
    const T before = value(99);
    CHECK(std::memcmp(out - 1, &before, sizeof(T)) == 0);
    std::vector<T> inside(lanes + 2, value(99));
    store_n(registers.data(), inside.data() + 1, n);
    for (int i = -1; i <= lanes; ++i) {
      const T expected = value(i >= 0 && i < n ? i + 1 : 99);
      CHECK(std::memcmp(&inside[i + 1], &expected, sizeof(T)) == 0);
    }
  }
}

template <class T>
void check_partial(const SimdLanes<T>& p) {
  check_partial<T, T>(p.lanes, p.load_n, p.store_n, [](int i) { return T(i); });
}

template <class T>
void check_lanes(const SimdLanes<T>& p, bool has_fma) {
  const int n = p.lanes;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const T inf = std::numeric_limits<T>::infinity();
  const T values[] = {nan, inf, -inf, T(0), T(-1.5), T(2), std::numeric_limits<T>::denorm_min()};
  std::vector<T> a(n), b(n), c(n), out(n);
  const auto same = [](T x, T y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  for (const T u : values) {
    for (const T v : values) {
      for (int lane = 0; lane < n; ++lane) {
        a.assign(n, T(1));
        b.assign(n, T(1));
        a[lane] = u;
        b[lane] = v;
        const bool has_nan = std::isnan(u) || std::isnan(v);
        p.min_nan(a.data(), b.data(), out.data());
        CHECK(same(out[lane], has_nan ? nan : u < v ? u : v) && out[(lane + 1) % n] == 1);
        p.max_nan(a.data(), b.data(), out.data());
        CHECK(same(out[lane], has_nan ? nan : u > v ? u : v));
        p.select_less(a.data(), b.data(), out.data());
        CHECK(same(out[lane], u < v ? u : -v) && out[(lane + 1) % n] == -1);
        p.abs(a.data(), out.data());
        CHECK(same(out[lane], std::fabs(u)) && !std::signbit(out[lane]));
        CHECK(same(p.reduce_max_nan(a.data()), std::isnan(u) ? nan : u > 1 ? u : T(1)));
      }
    }
  }
  const T eps = std::numeric_limits<T>::epsilon();
  for (int i = 0; i < n; ++i) {
    a[i] = b[i] = 1 + eps * T(i + 1);
    c[i] = -(a[i] * b[i]);
  }
  p.mul_add(a.data(), b.data(), c.data(), out.data());
  for (int i = 0; i < n; ++i) CHECK(out[i] == (has_fma ? std::fma(a[i], b[i], c[i]) : T(0)));
  p.iota(out.data());
  for (int i = 0; i < n; ++i) CHECK(out[i] == T(i));
  for (int i = 0; i < n; ++i) a[i] = T(1) / T(i + 3);
  p.sqrt(a.data(), out.data());
  for (int i = 0; i < n; ++i) CHECK(out[i] == std::sqrt(a[i]));
  b = a;
  for (int half = n / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) b[i] += b[i + half];
  }
  CHECK(p.reduce_add(a.data()) == b[0]);
  GuardedPage page;
  T* wide = page.last<T>(2 * n - 1);
  for (int i = 0; i < 2 * n - 1; ++i) wide[i] = T(i);
  p.load_stride2(wide, out.data());
  for (int i = 0; i < n; ++i) CHECK(out[i] == T(2 * i));
}

void check_vectors(const SimdProbe& p) {
  check_lanes(p.f32, p.has_fma);
  check_lanes(p.f64, p.has_fma);
  check_partial(p.f32);
  check_partial(p.f64);
  check_partial(p.i32);
  check_partial(p.i64);
  check_conversions(p.half, kF16);
  check_conversions(p.brain, kBf16);
  check_partial<f16, float>(p.f32.lanes, p.half.load_as_n, p.half.store_as_n,
                            [](int i) { return f16{kF16.encode(i)}; });
  check_partial<bf16, float>(p.f32.lanes, p.brain.load_as_n, p.brain.store_as_n,
                             [](int i) { return bf16{kBf16.encode(i)}; });
}

}  // namespace
}  // namespace swath_test

int main(int argc, char** argv) {
  using namespace swath_test;
  uint64_t step = 97;
  std::vector<Function> functions;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--all") step = 1;
    for (const Function& f : kFunctions) {
      if (f.name == argv[i]) functions.push_back(f);
    }
  }
  if (functions.empty()) functions.assign(std::begin(kFunctions), std::end(kFunctions));
  for (const Cluster& c : clusters()) check_vectors(*c.probe);
  check_doubles(functions);
  check_floats(functions, step);
  return exit_status();
}
