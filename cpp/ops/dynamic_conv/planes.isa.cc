// Vectors along whole planes: the kernel `planes`, forward and input gradient of narrow images. Rows
// laid end to end fill vectors that a row alone would not, and a tap moves them by one distance;
// what that carries over the end of a row is masked. Contiguous planes are read in place but at
// their first and last rows.
#include "ops/dynamic_conv/stage.h"

namespace swath::SWATH_ISA {
namespace {

constexpr int64_t kMembers = 16;     // whose x is staged at once
constexpr int64_t kColumns = 128;    // of a tile of taps
constexpr int64_t kMostWidth = 64;   // wider rows fill vectors of their own
constexpr int64_t kMostSpan = 2048;  // positions from the first to the last tap

/// Positions that are read and written, and how taps move them.
struct Plane {
  AxisPhase h, w;
  int64_t width, n_in, n_taps_in, n_out, lowest, span;

  __attribute__((always_inline)) explicit Plane(const DynamicProblem& p)
      : h(axis_phase(p, 0, 0)), w(axis_phase(p, 1, 0)), width(p.cols().x) {
    n_in = in_length(p, 0) * width;
    n_taps_in = p.rows().y * width;
    n_out = h.n * width;
    lowest = h.lowest_shift() * width + w.lowest_shift();
    span = (h.span() - 1) * width + w.span();
  }
  __attribute__((always_inline)) int64_t shift(int64_t a, int64_t c) const {
    return h.shift(a) * width + w.shift(c);
  }
  __attribute__((always_inline)) int64_t n_blocks(const DynamicProblem& p) const {
    return count_blocks(n_out, p.positions_block);
  }
};

template <class S>
class PlanesWorker {
 public:
  using A = typename AccOf<S>::type;
  using B = typename PlaneProducts<A>::Bits;
  static constexpr bool kIsAcc = sizeof(S) == sizeof(A);

  PlanesWorker(const DynamicProblem& problem, const Buffers& buffers, void* memory)
      : p_(problem), b_(&buffers), plane_(problem) {
    carve(memory);
    make_terms();
  }
  static int64_t scratch_bytes(const DynamicProblem& p) { return PlanesWorker(p).carve(nullptr); }

  void run(int64_t task) {
    const int64_t n_blocks = plane_.n_blocks(p_), block = task % n_blocks, group = task / n_blocks;
    g_ = group % p_.n_groups;
    n_ = group / p_.n_groups;
    const int64_t begin = block * p_.positions_block;
    const int64_t end = smaller(begin + p_.positions_block, plane_.n_out);
    if constexpr (kIsAcc) {
      // Whole vectors of these positions read nothing outside the plane.
      const int64_t low = padded(larger(begin, -plane_.lowest));
      const int64_t high =
          smaller(end, plane_.n_in - plane_.lowest - plane_.span + 1) / kSlack * kSlack;
      if (low < high) {
        if (begin < low) run_piece(begin, low, false);
        run_piece(low, high, true);
        if (high < end) run_piece(high, end, false);
        return;
      }
    }
    run_piece(begin, end, false);
  }

 private:
  explicit PlanesWorker(const DynamicProblem& p) : p_(p), plane_(p) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    const int64_t n_taps = p_.n_taps(), block = smaller(p_.positions_block, plane_.n_out);
    x_ = carver.take<A>(kMembers * x_pitch(block) + kSlack);
    tile_ = carver.take<A>(has_tiles() ? n_taps * kColumns + kSlack : 0);
    y_ = carver.take<A>(kIsAcc ? 0 : kMembers * kColumns);
    inside_ = carver.take<B>(p_.cols().kernel * inside_pitch());
    for (int64_t** at : {&x_at_, &t_at_, &tile_at_, &inside_at_}) {
      *at = carver.take<int64_t>(n_taps);
    }
    return carver.used;
  }

  bool moves() const { return p_.role == DynamicRole::input_grad; }
  bool has_tiles() const { return !kIsAcc || moves(); }
  int64_t inside_pitch() const { return plane_.width + kSlack; }
  int64_t x_pitch(int64_t n) const { return padded(padded(n) + plane_.span); }

  void make_terms() {
    int64_t r = 0;
    for (int64_t a = 0; a < plane_.h.n_taps; ++a) {
      for (int64_t c = 0; c < plane_.w.n_taps; ++c, ++r) {
        x_at_[r] = plane_.shift(a, c) - plane_.lowest;
        t_at_[r] = r * p_.taps.m + (moves() ? plane_.shift(a, c) : 0);
        tile_at_[r] = r * kColumns;
        inside_at_[r] = c * inside_pitch();
      }
    }
    for (int64_t c = 0; c < plane_.w.n_taps; ++c) {
      for (int64_t i = 0; i < inside_pitch(); ++i) {
        const int64_t at = i % plane_.width + plane_.w.shift(c);
        inside_[c * inside_pitch() + i] = at >= 0 && at < plane_.width ? B{-1} : B{0};
      }
    }
  }

  void run_piece(int64_t begin, int64_t end, bool is_inside) {
    const bool direct_t = kIsAcc && (!moves() || is_inside);
    const int64_t step = direct_t ? end - begin : kColumns;
    for (int64_t m = 0; m < p_.n_members; m += kMembers) {
      const int64_t n_members = smaller(kMembers, p_.n_members - m), pitch = x_pitch(end - begin);
      if (!is_inside) stage_x(m, n_members, begin, end - begin, pitch);
      for (int64_t at = begin; at < end; at += step) {
        const int64_t n = smaller(step, end - at);
        if (!direct_t) stage_tile(at, n);
        PlaneProducts<A> q{};
        q.t = direct_t ? static_cast<const A*>(b_->read(p_.taps.ref)) + taps_from(at) : tile_;
        q.t_at = direct_t ? t_at_ : tile_at_;
        q.x = is_inside ? reinterpret_cast<const A*>(x_from(m)) + at + plane_.lowest
                        : x_ + (at - begin);
        q.x_at = x_at_;
        q.x_step = is_inside ? p_.in.m : pitch;
        q.inside = inside_;
        q.inside_at = inside_at_;
        q.n_terms = p_.n_taps();
        q.n_j = n_members;
        q.n = n;
        q.col = at % plane_.width;
        q.width = plane_.width;
        q.masks_t = moves();
        write_products(q, m, at);
      }
    }
  }

  const S* x_from(int64_t m) const {
    return static_cast<const S*>(b_->read(p_.in.ref)) + p_.in.at(n_, g_, m, 0, 0);
  }
  int64_t taps_from(int64_t position) const { return p_.taps.at(n_, g_, 0, 0, 0) + position; }

  void stage_x(int64_t m, int64_t n_members, int64_t begin, int64_t n, int64_t pitch) const {
    for (int64_t j = 0; j < n_members; ++j) {
      const Line<S> line{x_from(m + j), 1, plane_.n_in};
      stage_line(line, begin + plane_.lowest, 1, n + plane_.span - 1, x_ + j * pitch, pitch);
    }
  }
  void stage_tile(int64_t begin, int64_t n) const {
    if (!kIsAcc && !p_.taps_are_acc) return stage_tile_of<S>(begin, n);
    stage_tile_of<A>(begin, n);
  }
  template <class T>
  void stage_tile_of(int64_t begin, int64_t n) const {
    const T* taps = static_cast<const T*>(b_->read(p_.taps.ref)) + taps_from(0);
    for (int64_t r = 0; r < p_.n_taps(); ++r) {
      const int64_t shift = moves() ? x_at_[r] + plane_.lowest : 0;
      const Line<T> line{taps + r * p_.taps.m, 1, plane_.n_taps_in};
      stage_line(line, begin + shift, 1, n, tile_ + r * kColumns, padded(n));
    }
  }

  void write_products(PlaneProducts<A>& q, int64_t m, int64_t at) const {
    S* out = static_cast<S*>(b_->write(p_.out.ref)) + p_.out.at(n_, g_, m, 0, 0) + at;
    if constexpr (kIsAcc) {
      q.y = out;
      q.y_step = p_.out.m;
      multiply(q);
    } else {
      q.y = y_;
      q.y_step = kColumns;
      multiply(q);
      for (int64_t j = 0; j < q.n_j; ++j) {
        narrow_row(y_ + j * kColumns, out + j * p_.out.m, 1, q.n);
      }
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  const Plane plane_;
  int64_t n_ = 0, g_ = 0;
  A *x_ = nullptr, *tile_ = nullptr, *y_ = nullptr;
  B* inside_ = nullptr;
  int64_t *x_at_ = nullptr, *t_at_ = nullptr, *tile_at_ = nullptr, *inside_at_ = nullptr;
};

SWATH_ALWAYS_INLINE bool is_plane(const DynamicArray& a, int64_t width) {
  return a.w == 1 && a.h == width;
}

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::forward && p.role != DynamicRole::input_grad) {
    return "made for products with taps";
  }
  if (p.rows().x == 1 || p.cols().x > kMostWidth) return "rows fill vectors of their own";
  if (p.softmax || p.is_packed) return "made for taps as they are";
  const int64_t width = p.cols().x;
  if (p.cols().y != width || p.rows().stride > 1 || p.cols().stride > 1) {
    return "outputs have other positions than inputs";
  }
  if (!is_plane(p.in, width) || !is_plane(p.out, width) || !is_plane(p.taps, width)) {
    return "planes are not contiguous";
  }
  if (p.n_taps() > kSumRun || Plane(p).span > kMostSpan) return "the kernel is large";
  return nullptr;
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(PlanesWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  return p.n_batch * p.n_groups * Plane(p).n_blocks(p);
}
template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  PlanesWorker<S> worker(as_dynamic(problem), buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

}  // namespace

#define SWATH_PLANES(name, S)                                                     \
  extern const KernelFns dynamic_conv_planes_##name;                              \
  const KernelFns dynamic_conv_planes_##name{reject,           no_bytes, no_pack, \
                                             scratch_bytes<S>, n_tasks,  run<S>};
SWATH_PLANES(f32, float)
SWATH_PLANES(f64, double)
SWATH_PLANES(f16, f16)
SWATH_PLANES(bf16, bf16)
#undef SWATH_PLANES

}  // namespace swath::SWATH_ISA
