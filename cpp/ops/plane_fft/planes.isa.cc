// The kernels `lanes`: planes of the arrays to spectra and back.
#include "ops/plane_fft/worker.h"

namespace swath::SWATH_ISA {
namespace {

template <class S>
class PlaneWorker : public ColumnWorker<typename AccOf<S>::type> {
 public:
  using A = typename AccOf<S>::type;
  using Base = ColumnWorker<A>;

  PlaneWorker(const PlaneProblem& problem, const Buffers& buffers, void* memory)
      : Base(problem), buffers_(buffers) {
    carve(memory);
  }
  static int64_t scratch_bytes(const PlaneProblem& p) {
    return PlaneWorker(p, Buffers{}, nullptr).carve(nullptr);
  }

  void run(int64_t task) {
    const int64_t bundle = task / p_.n_shares(), other = task % p_.n_shares();
    const int64_t first = bundle * p_.bundle;
    n_live_ = smaller(p_.bundle, p_.n_planes - first);
    n_ = n_live_ * p_.n_columns();
    first_ = first;
    A* spectrum = p_.job == PlaneJob::bands || p_.job == PlaneJob::merge
                      ? nullptr
                      : static_cast<A*>(buffers_.write(p_.spectra)) +
                            bundle * p_.n_parts * p_.spectrum_size();
    switch (p_.job) {
      case PlaneJob::spectrum:
        rows_in(p_.a, p_.a.array);
        return this->keep_columns(p_.a.span[0], n_, spectrum);
      case PlaneJob::product:
        first_ += other * p_.n_planes;
        rows_in(p_.a, p_.a.array);
        this->multiply_columns(n_, spectrum);
        return rows_out(p_.n_columns(), 0);
      case PlaneJob::cross:
        return run_cross(other, spectrum + other * p_.spectrum_size());
      case PlaneJob::sum:
        this->sum_columns(n_, spectrum);
        return rows_out(p_.n_columns(), 0);
      case PlaneJob::bands:
        return run_bands();
      case PlaneJob::merge:
        return run_merge();
    }
  }

 private:
  using Base::half_row;
  using Base::kLane;
  using Base::p_;
  using Base::row_pitch_;
  using Base::rows_;
  using Base::x_;
  using Base::y_;

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    Base::carve(carver);
    const int64_t n_out = p_.out.span[1].count;
    wide_ = carver.take<A>(padded(n_out) + 16);
    if (p_.job == PlaneJob::bands && p_.n_bands > 2) {
      rest_ = carver.take<A>(p_.bundle * p_.out.span[0].count * padded(n_out));
    }
    return carver.used;
  }

  void run_cross(int64_t part, A* sum) {
    const int64_t begin = part * p_.part_size(), end = smaller(p_.n_batch, begin + p_.part_size());
    const int64_t plane = first_;
    for (int64_t n = begin; n < end; ++n) {
      first_ = n * p_.n_planes + plane;
      rows_in(p_.a, p_.a.array);
      this->keep_columns(p_.a.span[0], n_, this->kept_);
      rows_in(p_.b, p_.b.array);
      this->cross_columns(n_, sum, n == begin);
    }
  }

  void run_bands() {
    rows_in(p_.a, p_.a.array);
    this->keep_columns(p_.a.span[0], n_, this->kept_);
    for (int j = 1; j < p_.n_bands; ++j) {
      const int64_t n = this->band_columns(j, n_);
      this->band_columns_out(j, n);
      rows_out(smaller(n, p_.n_columns()), j);
    }
  }

  void run_merge() {
    for (int64_t i = 0; i < p_.spectrum_size(); i += kLane) store(this->kept_ + i, zero<A>());
    for (int j = 1; j < p_.n_bands; ++j) {
      if (!p_.bands[0].is_present && !p_.bands[j].is_present) continue;
      rows_in(p_.a, p_.bands[j], &p_.bands[0]);
      this->band_columns_in(j, this->band_columns(j, n_));
    }
    const int64_t n = this->band_columns(1, n_);
    this->band_columns_out(0, n);
    rows_out(smaller(n, p_.n_columns()), 0);
  }

  /// Element (0, 0) of the task's plane i; null if there is no such array.
  const S* plane_of(const PlaneArray& array, int64_t i) const {
    if (!array.is_present) return nullptr;
    return static_cast<const S*>(buffers_.read(array.ref)) + array.offset +
           WalkPosition<1>(array.lead, first_ + i).at[0];
  }

  static int64_t wrapped(int64_t i, int64_t n) {
    while (i >= n) i -= n;
    return i;
  }

  /// Copies the row's part that the span has.
  static void widen_span(const PlaneSpan& columns, const S* row, int64_t stride, A* to) {
    for (int64_t i = 0; i < columns.count;) {
      const int64_t c = wrapped(columns.first + i, columns.n);
      const int64_t n = smaller(columns.count - i, columns.n - c);
      widen_row(row + c * stride, stride, to + i, n);
      i += n;
    }
  }

  /// One row of the side's array, less that of `minus`, at `to` or where it lies.
  const A* fetch_row(const PlaneSide& side, const PlaneArray& array, const PlaneArray* minus,
                     int64_t plane, int64_t r, A* to) const {
    const PlaneSpan& columns = side.span[1];
    const int64_t at = wrapped(side.span[0].first + r, side.span[0].n);
    const S* base = plane_of(array, plane);
    const S* subtracted = minus == nullptr ? nullptr : plane_of(*minus, plane);
    if constexpr (sizeof(S) == sizeof(A)) {
      const bool is_whole = columns.first + columns.count <= columns.n;
      if (is_whole && array.column_stride == 1 && subtracted == nullptr && base != nullptr) {
        return base + at * array.row_stride + columns.first;
      }
    }
    if (base != nullptr) {
      widen_span(columns, base + at * array.row_stride, array.column_stride, to);
    } else {
      for (int64_t i = 0; i < columns.count; i += kLane) store(to + i, zero<A>());
    }
    if (subtracted != nullptr) {
      widen_span(columns, subtracted + at * minus->row_stride, minus->column_stride, wide_);
      for (int64_t i = 0; i < columns.count; i += kLane)
        store(to + i, load(to + i) - load(wide_ + i));
    }
    return to;
  }

  /// f(lane, half, plane, row) for the rows that the tile's lanes have.
  template <class F>
  __attribute__((always_inline)) void for_rows(int64_t q, int64_t n_rows, const F& f) const {
    const int64_t n_pairs = (n_rows + 1) / 2;
    for (int l = 0; l < kLane && q + l < n_live_ * n_pairs; ++l) {
      const int64_t plane = (q + l) / n_pairs, row = (q + l) % n_pairs * 2;
      f(l, 0, plane, row);
      if (row + 1 < n_rows) f(l, 1, plane, row + 1);
    }
  }

  void rows_in(const PlaneSide& side, const PlaneArray& array, const PlaneArray* minus = nullptr) {
    const FftLength& length = *p_.length[1];
    const PlaneSpan& columns = side.span[1];
    const int64_t n_rows = side.span[0].count, n_tiles = (n_rows + 1) / 2 * n_live_;
    for (int64_t q = 0; q < n_tiles; q += kLane) {
      const A* from[2][kLanes<A>] = {};
      A* to[kPairParts][kLanes<A>] = {};
      for_rows(q, n_rows, [&](int l, int half, int64_t plane, int64_t row) {
        A* memory = rows_ + (half * kLane + l) * row_pitch_;
        from[half][l] = fetch_row(side, array, minus, plane, row, memory);
        to[2 * half][l] = half_row(row) + plane * p_.n_columns();
        to[2 * half + 1][l] = to[2 * half][l] + p_.pitch();
      });
      clear_points(x_, 0, columns.place);
      rows_to_tile<A>(from[0], from[1], columns.count, columns.place, x_);
      clear_points(x_, columns.place + columns.count, length.n);
      split_pairs<A>(transform(length, x_, y_), length.n, to);
    }
  }

  void rows_out(int64_t n_used, int band) {
    const FftLength& length = *p_.length[1];
    const PlaneSpan& columns = p_.out.span[1];
    const int64_t n_rows = p_.out.span[0].count, n_tiles = (n_rows + 1) / 2 * n_live_;
    for (int64_t q = 0; q < n_tiles; q += kLane) {
      const A* from[kPairParts][kLanes<A>] = {};
      A* to[2][kLanes<A>] = {};
      for_rows(q, n_rows, [&](int l, int half, int64_t plane, int64_t row) {
        from[2 * half][l] = half_row(row) + plane * p_.n_columns();
        from[2 * half + 1][l] = from[2 * half][l] + p_.pitch();
        to[half][l] = rows_ + (half * kLane + l) * row_pitch_;
      });
      join_pairs<A>(from, length.n, n_used, x_);
      const A* found = transform(length, x_, y_);
      // Swapped: the first rows of the pairs are the imaginary parts.
      tile_to_rows<A>(found, 1, columns.count, columns.place, to[0]);
      tile_to_rows<A>(found, 0, columns.count, columns.place, to[1]);
      for_rows(q, n_rows, [&](int l, int half, int64_t plane, int64_t row) {
        write_row(to[half][l], plane, row, band);
      });
    }
  }

  /// Writes a row of the result, or of one of the bands.
  void emit(const A* from, int64_t plane, int64_t row, int band) const {
    const PlaneArray& array = p_.job == PlaneJob::bands ? p_.bands[band] : p_.out.array;
    const PlaneSpan &rows = p_.out.span[0], &columns = p_.out.span[1];
    S* to = static_cast<S*>(buffers_.write(array.ref)) + array.offset +
            WalkPosition<1>(array.lead, first_ + plane).at[0] +
            (rows.first + row) * array.row_stride + columns.first * array.column_stride;
    narrow_row(from, to, array.column_stride, columns.count);
  }

  /// A finished row, and what is made of it.
  void write_row(A* row, int64_t plane, int64_t r, int band) const {
    const int64_t n = p_.out.span[1].count;
    if (p_.job == PlaneJob::merge && p_.bands[0].is_present) {
      const PlaneArray& first = p_.bands[0];
      widen_row(plane_of(first, plane) + r * first.row_stride, first.column_stride, wide_, n);
      for (int64_t i = 0; i < n; i += kLane) store(row + i, load(row + i) + load(wide_ + i));
    }
    emit(row, plane, r, band);
    if (p_.job != PlaneJob::bands) return;
    A* rest = rest_ + (plane * p_.out.span[0].count + r) * padded(n);
    const A* from = rest;
    if (band == 1) {
      const PlaneArray& x = p_.a.array;
      widen_row(plane_of(x, plane) + r * x.row_stride, x.column_stride, wide_, n);
      from = wide_;
    }
    const bool is_last = band + 1 == p_.n_bands;
    A* to = is_last ? wide_ : rest;
    for (int64_t i = 0; i < n; i += kLane) store(to + i, load(from + i) - load(row + i));
    if (is_last) emit(wide_, plane, r, 0);
  }

  const Buffers& buffers_;
  A* wide_ = nullptr;           // a row of an array
  A* rest_ = nullptr;           // what the bands so far have left: [plane][row][padded column]
  int64_t first_ = 0;           // the task's first plane in the arrays
  int64_t n_live_ = 0, n_ = 0;  // its planes, and columns of their spectra
};

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_planes(problem).n_tasks(); }

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(PlaneWorker<S>::scratch_bytes(as_planes(problem)));
}

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  PlaneWorker<S> worker(as_planes(problem), buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

}  // namespace

#define SWATH_PLANES(name, S)                                                 \
  extern const KernelFns plane_fft_lanes_##name;                              \
  const KernelFns plane_fft_lanes_##name{reject,           no_bytes, no_pack, \
                                         scratch_bytes<S>, n_tasks,  run<S>};
SWATH_PLANES(f32, float)
SWATH_PLANES(f64, double)
SWATH_PLANES(f16, f16)
SWATH_PLANES(bf16, bf16)
#undef SWATH_PLANES

}  // namespace swath::SWATH_ISA
