// Backward through the epilogue, run by run: along the positions of one channel, or along the
// channels of one position. Tasks: partial sums, times channels in the first case.
#include "core/isa_table.h"
#include "ops/common/activation.h"
#include "ops/common/activation_grad.h"
#include "ops/conv_backward/problem.h"
#include "ops/sliding_conv/finish.h"
#include "ops/sliding_conv/kernel_math.h"
#include "ops/sliding_conv/stage.h"

namespace swath::SWATH_ISA {
namespace {

inline constexpr int64_t kRunLength = 256;
/// Terms that one accumulator sums before they are added to an earlier sum.
inline constexpr int64_t kBlockTerms = 512;
inline constexpr int kMostSums = 3;

SWATH_ALWAYS_INLINE const EpilogueGradProblem& as_grad(const void* p) {
  return *static_cast<const EpilogueGradProblem*>(p);
}

/// One worker's memory. Sums are those of the current block of terms and of all before it.
template <class T>
struct Memory {
  T g[kRunLength], v[kRunLength], z[kRunLength], ratio[kRunLength], keep[kRunLength];
  T scale[kRunLength], shift[kRunLength], other_scale[kRunLength], other_shift[kRunLength];
  T block[kMostSums][kRunLength], total[kMostSums][kRunLength];
};

/// One run: `n` elements from `at`, channel by channel or position by position.
struct RunAt {
  int64_t batch, channel, position[3], n;
};

template <class T, class S, bool kAlongChannels>
struct Worker {
  const EpilogueGradProblem& p;
  const Buffers& b;
  Memory<T>& m;

  static constexpr int64_t kLanesOfT = kLanes<T>;

  int64_t step(const EpilogueView& view) const {
    return kAlongChannels ? view.channel_stride : view.stride[2];
  }
  S* pointer(const EpilogueView& view, const RunAt& run) const {
    return static_cast<S*>(b.write(view.ref)) + view.at(run.batch, run.channel, run.position);
  }
  /// The elements of a run; lanes beyond its end are zero, so that they add nothing to a sum.
  void read(const EpilogueView& view, const RunAt& run, T* to) const {
    const S* from =
        static_cast<const S*>(b.read(view.ref)) + view.at(run.batch, run.channel, run.position);
    copy_strided(from, step(view), to, run.n);
    for (int64_t i = run.n; i % kLanesOfT != 0; ++i) to[i] = T{0};
  }
  void write(const EpilogueView& view, const RunAt& run, const T* from) const {
    S* to = pointer(view, run);
    const int64_t stride = step(view);
    int64_t i = 0;
    if (stride == 1) {
      for (; i + kLanesOfT <= run.n; i += kLanesOfT) store_as(to + i, load(from + i));
      if (i < run.n) store_as_n(to + i, load(from + i), static_cast<int>(run.n - i));
      return;
    }
    for (; i < run.n; ++i) to[i * stride] = from_acc<S>(from[i]);
  }

  static Vec<T> per_channel(const T* values, int64_t i) {
    return kAlongChannels ? load(values + i) : set1<T>(*values);
  }

  /// n values of one array from `channel` on.
  void load_values(const ArrayRef& ref, int64_t offset, int64_t stride, int64_t channel, int64_t n,
                   T* to) const {
    const S* from = static_cast<const S*>(b.read(ref)) + offset;
    for (int64_t i = 0; i < n; ++i) to[i] = to_acc(from[(channel + i) * stride]);
  }
  void load_values(const ConvEpilogue& e, int64_t channel, int64_t n, T* scale, T* shift) const {
    if (e.has_scale) load_values(e.scale, e.scale_offset, e.scale_stride, channel, n, scale);
    if (e.has_shift) load_values(e.shift, e.shift_offset, e.shift_stride, channel, n, shift);
  }
  void load_values(int64_t channel, int64_t n) const {
    load_values(p.epilogue, channel, n, m.scale, m.shift);
    if (p.other.is_present) {
      load_values(p.other_epilogue, channel, n, m.other_scale, m.other_shift);
    }
  }

  /// z = v scale + shift, in place.
  void scale_and_shift(const ConvEpilogue& e, const T* scale, const T* shift, const RunAt& run,
                       T* v) const {
    if (!e.has_scale && !e.has_shift) return;
    for (int64_t i = 0; i < run.n; i += kLanesOfT) {
      Vec<T> z = load(v + i);
      if (e.has_scale) z = z * per_channel(scale, i);
      if (e.has_shift) z = z + per_channel(shift, i);
      store(v + i, z);
    }
  }

  /// g = dy times the partner's activation.
  void multiply_other(const RunAt& run) const {
    const ConvEpilogue& e = p.other_epilogue;
    read(p.other, run, m.z);
    scale_and_shift(e, m.other_scale, m.other_shift, run, m.z);
    activate(m.z, run.n, e.activation, e.activation_value);
    for (int64_t i = 0; i < run.n; ++i) m.g[i] = m.g[i] * m.z[i];
  }

  /// g = dy act'(z).
  void differentiate(const RunAt& run) const {
    const ConvEpilogue& e = p.epilogue;
    if (e.activation == Activation::none) return;
    if (p.residual.is_present) read(p.residual, run, m.z);
    for (int64_t i = 0; i < run.n; i += kLanesOfT) {
      Vec<T> z = load(m.v + i);
      if (e.has_scale) z = z * per_channel(m.scale, i);
      if (e.has_shift) z = z + per_channel(m.shift, i);
      if (p.residual.is_present) z = z + load(m.z + i);
      store(m.z + i, z);
    }
    activation_grad(m.z, m.g, run.n, e.activation, e.activation_value);
  }

  /// A plane's factors along the run; lanes beyond its end are 0.
  void read_factors(const ArrayRef& plane, const RunAt& run, T* to) const {
    const int64_t n = p.mask.is_shared ? 0 : run.batch;
    const int64_t row = (n * p.out[0] + run.position[0]) * p.out[1] + run.position[1];
    const T* from = static_cast<const T*>(b.read(plane)) + row * p.out[2] + run.position[2];
    for (int64_t i = 0; i < round_up(run.n, kLanesOfT); ++i) {
      to[i] = kAlongChannels ? *from : i < run.n ? from[i] : T{0};
    }
  }

  void add(int sum, int64_t i, Vec<T> term) const {
    T* at = m.block[sum] + (kAlongChannels ? i : 0);
    store(at, load(at) + term);
  }

  /// Adds to the sums and makes du of dz, both in m.g.
  void finish(const RunAt& run) const {
    if (p.mask.has_ratio) read_factors(p.mask.ratio, run, m.ratio);
    if (p.mask.has_keep) read_factors(p.mask.keep, run, m.keep);
    for (int64_t i = 0; i < run.n; i += kLanesOfT) {
      Vec<T> g = load(m.g + i);
      int sum = p.wants_bias;
      if (p.wants_scale) add(sum++, i, g * load(m.v + i));
      if (p.wants_shift) add(sum, i, g);
      if (p.epilogue.has_scale) g = g * per_channel(m.scale, i);
      if (p.mask.has_keep) {
        const Vec<T> keep = load(m.keep + i);
        g = select(keep == zero<T>(), zero<T>(), g * keep);
      }
      if (p.mask.has_ratio) {
        const Vec<T> ratio = load(m.ratio + i);
        const auto is_outside = ratio == zero<T>();
        if (p.wants_bias) add(0, i, select(is_outside, zero<T>(), g));
        g = select(is_outside, zero<T>(), g * ratio);
      } else if (p.wants_bias) {
        add(0, i, g);
      }
      store(m.g + i, g);
    }
  }

  void do_run(const RunAt& run) const {
    read(p.dy, run, m.g);
    if (p.v.is_present) read(p.v, run, m.v);
    if (p.other.is_present) multiply_other(run);
    differentiate(run);
    if (p.dresidual.is_present) write(p.dresidual, run, m.g);
    finish(run);
    if (p.du.is_present) write(p.du, run, m.g);
  }

  /// Moves the sums of a block, over `width` accumulators.
  void flush(int64_t width) const {
    for (int s = 0; s < p.n_sums(); ++s) {
      for (int64_t i = 0; i < width; i += kLanesOfT) {
        store(m.total[s] + i, load(m.total[s] + i) + load(m.block[s] + i));
        store(m.block[s] + i, zero<T>());
      }
    }
  }

  void clear_sums() const {
    for (int s = 0; s < kMostSums; ++s) {
      fill_zero(m.block[s], kRunLength);
      fill_zero(m.total[s], kRunLength);
    }
  }

  T* partial_sums(int64_t partial, int s) const {
    return static_cast<T*>(b.write(p.partials)) + (partial * p.n_sums() + s) * p.n_channels;
  }

  /// Rows [begin, end) of all samples; f(run) for the first element of each row.
  template <class F>
  void each_row(int64_t partial, const F& f) const {
    const int64_t begin = p.n_rows() * partial / p.n_partials;
    const int64_t end = p.n_rows() * (partial + 1) / p.n_partials;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t z = row / p.out[1];
      f(RunAt{z / p.out[0], 0, {z % p.out[0], row % p.out[1], 0}, 0});
    }
  }

  void sum_positions(int64_t channel, int64_t partial) const {
    load_values(channel, 1);
    clear_sums();
    int64_t terms = 0;
    each_row(partial, [&](RunAt run) {
      run.channel = channel;
      const int64_t cols = p.out[2];
      for (int64_t i = 0; i < cols; i += kRunLength) {
        run.position[2] = i;
        run.n = cols - i < kRunLength ? cols - i : kRunLength;
        do_run(run);
        terms += round_up(run.n, kLanesOfT) / kLanesOfT;
        if (terms + kRunLength / kLanesOfT <= kBlockTerms) continue;
        flush(kLanesOfT);
        terms = 0;
      }
    });
    flush(kLanesOfT);
    for (int s = 0; s < p.n_sums(); ++s) {
      partial_sums(partial, s)[channel] = reduce_add(load(m.total[s]));
    }
  }

  void sum_channels(int64_t channel, int64_t partial) const {
    const int64_t n = p.n_channels - channel < kRunLength ? p.n_channels - channel : kRunLength;
    load_values(channel, n);
    clear_sums();
    int64_t terms = 0;
    each_row(partial, [&](RunAt run) {
      run.channel = channel;
      run.n = n;
      for (int64_t i = 0; i < p.out[2]; ++i) {
        run.position[2] = i;
        do_run(run);
        if (++terms < kBlockTerms) continue;
        flush(n);
        terms = 0;
      }
    });
    flush(n);
    for (int s = 0; s < p.n_sums(); ++s) {
      T* to = partial_sums(partial, s) + channel;
      for (int64_t i = 0; i < n; ++i) to[i] = m.total[s][i];
    }
  }

  static int64_t n_pieces(const EpilogueGradProblem& p) {
    return kAlongChannels ? (p.n_channels + kRunLength - 1) / kRunLength : p.n_channels;
  }

  void run_task(int64_t task) const {
    const int64_t piece = task % n_pieces(p), partial = task / n_pieces(p);
    if constexpr (kAlongChannels) {
      sum_channels(piece * kRunLength, partial);
    } else {
      sum_positions(piece, partial);
    }
  }
};

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class T>
size_t scratch_bytes(const void*) noexcept {
  return sizeof(Memory<T>);
}

int64_t n_tasks(const void* problem) noexcept {
  const EpilogueGradProblem& p = as_grad(problem);
  const int64_t pieces = p.along_channels ? Worker<float, float, true>::n_pieces(p)
                                          : Worker<float, float, false>::n_pieces(p);
  return pieces * p.n_partials;
}

template <class T, class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  const EpilogueGradProblem& p = as_grad(problem);
  Memory<T>& m = *static_cast<Memory<T>*>(memory);
  for (int64_t i = begin; i < end; ++i) {
    if (p.along_channels) {
      Worker<T, S, true>{p, b, m}.run_task(i);
    } else {
      Worker<T, S, false>{p, b, m}.run_task(i);
    }
  }
}

}  // namespace

#define SWATH_EPILOGUE(name, T, S)                                                   \
  extern const KernelFns conv_backward_epilogue_##name;                              \
  const KernelFns conv_backward_epilogue_##name{reject,           no_bytes, no_pack, \
                                                scratch_bytes<T>, n_tasks,  run<T, S>};
SWATH_EPILOGUE(f32, float, float)
SWATH_EPILOGUE(f64, double, double)
SWATH_EPILOGUE(f16, float, f16)
SWATH_EPILOGUE(bf16, float, bf16)
#undef SWATH_EPILOGUE

}  // namespace swath::SWATH_ISA
