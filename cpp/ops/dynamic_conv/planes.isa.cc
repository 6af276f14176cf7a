// Vectors along whole planes: the kernel `planes`, forward and input gradient of images and, in 16
// bits, sequences.
// Rows laid end to end fill vectors that a row alone would not, and a tap moves them by one
// distance; what that carries over the end of a row is masked. Contiguous planes are read in place
// but at their first and last rows.
#include "ops/dynamic_conv/planes.h"

namespace swath::SWATH_ISA {
namespace {

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

  void run(const PlaneTask& task) {
    n_ = task.n;
    g_ = task.g;
    if constexpr (kIsAcc) {
      for_pieces(plane_, task.begin, task.end, [&](int64_t begin, int64_t end, bool is_inside) {
        run_piece(begin, end, is_inside);
      });
    } else {
      run_piece(task.begin, task.end, false);
    }
  }

 private:
  explicit PlanesWorker(const DynamicProblem& p) : p_(p), plane_(p) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    const int64_t n_taps = p_.n_taps(), block = smaller(p_.positions_block, plane_.n_out);
    x_ = carver.take<A>(kPlaneMembers * plane_.x_pitch(block) + kSlack);
    tile_ = carver.take<A>(has_tiles() ? n_taps * kTilePitch + kSlack : 0);
    scale_ = carver.take<A>(p_.softmax ? kTilePitch : 0);
    y_ = carver.take<A>(kIsAcc ? 0 : kPlaneMembers * kTilePitch);
    inside_ = carver.take<B>(plane_.n_marks * plane_.inside_pitch());
    for (int64_t** at : {&x_at_, &t_at_, &tile_at_, &inside_at_}) {
      *at = carver.take<int64_t>(n_taps);
    }
    return carver.used;
  }

  bool moves() const { return p_.role == DynamicRole::input_grad; }
  bool has_tiles() const {
    return !kIsAcc || moves() || p_.softmax || crowds<A>(p_.taps.m, p_.n_taps());
  }

  void make_terms() {
    int64_t r = 0;
    for (int64_t a = 0; a < plane_.h.n_taps; ++a) {
      for (int64_t c = 0; c < plane_.w.n_taps; ++c, ++r) {
        x_at_[r] = plane_.shift(a, c) - plane_.lowest;
        t_at_[r] = r * p_.taps.m + (moves() ? plane_.shift(a, c) : 0);
        tile_at_[r] = r * kTilePitch;
        inside_at_[r] = plane_.marks_at(c);
      }
    }
    plane_.mark_inside(inside_);
  }

  void run_piece(int64_t begin, int64_t end, bool is_inside) {
    const bool direct_t =
        kIsAcc && !p_.softmax && (!moves() || is_inside) && !crowds<A>(p_.taps.m, p_.n_taps());
    const bool direct_x = is_inside && !crowds<A>(p_.in.m, smaller(p_.n_members, 8));
    const int64_t step = direct_t ? end - begin : kPlaneColumns;
    for (int64_t m = 0; m < p_.n_members; m += kPlaneMembers) {
      const int64_t n_members = smaller(kPlaneMembers, p_.n_members - m),
                    pitch = plane_.x_pitch(end - begin);
      if (!direct_x) stage_x(m, n_members, begin, end - begin, pitch);
      for (int64_t at = begin; at < end; at += step) {
        const int64_t n = smaller(step, end - at);
        if (!direct_t) stage_tile(at, n);
        if (p_.softmax) exponentiate(tile_, p_.n_taps(), kTilePitch, n, scale_, false);
        PlaneProducts<A> q{};
        q.t = direct_t ? static_cast<const A*>(b_->read(p_.taps.ref)) + taps_from(at) : tile_;
        q.t_at = direct_t ? t_at_ : tile_at_;
        q.x = direct_x ? reinterpret_cast<const A*>(x_from(m)) + at + plane_.lowest
                       : x_ + (at - begin);
        q.x_at = x_at_;
        q.x_step = direct_x ? p_.in.m : pitch;
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
      stage_line(line, begin + shift, 1, n, tile_ + r * kTilePitch, padded(n));
    }
  }

  void multiply_and_scale(const PlaneProducts<A>& q) const {
    multiply(q);
    if (!p_.softmax) return;
    for (int64_t j = 0; j < q.n_j; ++j) {
      A* y = q.y + j * q.y_step;
      for_lanes<A>(q.n, [&](int64_t i, int n) {
        store_part(y + i, load_part<A>(y + i, n) * load(scale_ + i), n);
      });
    }
  }

  void write_products(PlaneProducts<A>& q, int64_t m, int64_t at) const {
    S* out = static_cast<S*>(b_->write(p_.out.ref)) + p_.out.at(n_, g_, m, 0, 0) + at;
    if constexpr (kIsAcc) {
      q.y = out;
      q.y_step = p_.out.m;
      multiply_and_scale(q);
    } else {
      q.y = y_;
      q.y_step = kTilePitch;
      multiply_and_scale(q);
      for (int64_t j = 0; j < q.n_j; ++j) {
        narrow_row(y_ + j * kTilePitch, out + j * p_.out.m, 1, q.n);
      }
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  const Plane plane_;
  int64_t n_ = 0, g_ = 0;
  A *x_ = nullptr, *tile_ = nullptr, *scale_ = nullptr, *y_ = nullptr;
  B* inside_ = nullptr;
  int64_t *x_at_ = nullptr, *t_at_ = nullptr, *tile_at_ = nullptr, *inside_at_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::forward && p.role != DynamicRole::input_grad) {
    return "made for products with taps";
  }
  if (p.renormalize) return "taps outside of x do not count";
  if (p.softmax && p.n_members > kPlaneMembers) return "exponentials serve more members";
  const bool is_wide = p.dtype == DType::f32 || p.dtype == DType::f64;
  if (is_one_row(p) && is_wide) return "rows fill vectors of their own";
  if (!is_plane(p, p.in) || !is_plane(p, p.out) || !is_plane(p, p.taps)) {
    return "planes are not contiguous";
  }
  return reject_plane(p);
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(PlanesWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept { return count_plane_tasks(as_dynamic(problem)); }
template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  PlanesWorker<S> worker(p, buffers, scratch);
  const Plane plane(p);
  for (int64_t i = begin; i < end; ++i) worker.run(PlaneTask(p, plane, i));
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
