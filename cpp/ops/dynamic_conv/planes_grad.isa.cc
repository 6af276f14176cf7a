// The gradient of the taps of narrow planes: the kernel `taps_grad_planes`. As `planes`, vectors go
// on over the ends of rows.
#include "ops/dynamic_conv/planes.h"

namespace swath::SWATH_ISA {
namespace {

template <class S>
class PlanesGradWorker {
 public:
  using A = typename AccOf<S>::type;
  using B = typename PlaneSums<A>::Bits;
  static constexpr bool kIsAcc = sizeof(S) == sizeof(A);

  PlanesGradWorker(const DynamicProblem& problem, const Buffers& buffers, void* memory)
      : p_(problem), b_(&buffers), plane_(problem) {
    carve(memory);
    int64_t r = 0;
    for (int64_t a = 0; a < plane_.h.n_taps; ++a) {
      for (int64_t c = 0; c < plane_.w.n_taps; ++c, ++r) {
        x_at_[r] = plane_.shift(a, c) - plane_.lowest;
        inside_at_[r] = plane_.marks_at(c);
      }
    }
    plane_.mark_inside(inside_);
  }
  static int64_t scratch_bytes(const DynamicProblem& p) {
    return PlanesGradWorker(p).carve(nullptr);
  }

  void run(const PlaneTask& task) {
    n_ = task.n;
    g_ = task.g;
    if constexpr (kIsAcc) {
      for_pieces(plane_, task.begin, task.end, [&](int64_t begin, int64_t end, bool is_inside) {
        run_piece(begin, end, is_inside);
      });
    } else {
      for (int64_t at = task.begin; at < task.end; at += kPlaneColumns) {
        run_piece(at, smaller(at + kPlaneColumns, task.end), false);
      }
    }
  }

 private:
  explicit PlanesGradWorker(const DynamicProblem& p) : p_(p), plane_(p) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    const int64_t n_taps = p_.n_taps();
    const int64_t most = smaller(kIsAcc ? p_.positions_block : kPlaneColumns, plane_.n_out);
    x_ = carver.take<A>(kPlaneMembers * plane_.x_pitch(most) + kSlack);
    dy_ = carver.take<A>(kIsAcc ? 0 : kPlaneMembers * kTilePitch + kSlack);
    dp_ = carver.take<A>(kIsAcc ? 0 : n_taps * kTilePitch);
    inside_ = carver.take<B>(plane_.n_marks * plane_.inside_pitch());
    for (int64_t** at : {&x_at_, &inside_at_}) *at = carver.take<int64_t>(n_taps);
    return carver.used;
  }

  void run_piece(int64_t begin, int64_t end, bool is_inside) const {
    PlaneSums<A> q{};
    q.n = end - begin;
    q.n_j = p_.n_taps();
    q.x_at = x_at_;
    q.inside = inside_;
    q.inside_at = inside_at_;
    q.col = begin % plane_.width;
    q.width = plane_.width;
    S* out = static_cast<S*>(b_->write(p_.out.ref)) + p_.out.at(n_, g_, 0, 0, 0) + begin;
    for (int64_t m = 0; m < p_.n_members; m += kPlaneMembers) {
      q.n_terms = smaller(kPlaneMembers, p_.n_members - m);
      q.adds = m > 0;
      if (is_inside) {
        q.x = reinterpret_cast<const A*>(x_from(m)) + begin + plane_.lowest;
        q.x_step = p_.in.m;
      } else {
        q.x = x_;
        q.x_step = plane_.x_pitch(q.n);
        stage_x(m, q.n_terms, begin, q.n, q.x_step);
      }
      const S* dy = static_cast<const S*>(b_->read(p_.dy.ref)) + p_.dy.at(n_, g_, m, 0, 0) + begin;
      if constexpr (kIsAcc) {
        q.dy = dy;
        q.dy_step = p_.dy.m;
        q.out = out;
        q.out_step = p_.out.m;
      } else {
        q.dy = dy_;
        q.dy_step = kTilePitch;
        q.out = dp_;
        q.out_step = kTilePitch;
        for (int64_t j = 0; j < q.n_terms; ++j) {
          widen_row(dy + j * p_.dy.m, 1, dy_ + j * kTilePitch, q.n);
        }
      }
      multiply(q);
    }
    if constexpr (!kIsAcc) {
      for (int64_t k = 0; k < q.n_j; ++k) {
        narrow_row(dp_ + k * kTilePitch, out + k * p_.out.m, 1, q.n);
      }
    }
  }

  const S* x_from(int64_t m) const {
    return static_cast<const S*>(b_->read(p_.in.ref)) + p_.in.at(n_, g_, m, 0, 0);
  }
  void stage_x(int64_t m, int64_t n_members, int64_t begin, int64_t n, int64_t pitch) const {
    for (int64_t j = 0; j < n_members; ++j) {
      const Line<S> line{x_from(m + j), 1, plane_.n_in};
      stage_line(line, begin + plane_.lowest, 1, n + plane_.span - 1, x_ + j * pitch, pitch);
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  const Plane plane_;
  int64_t n_ = 0, g_ = 0;
  A *x_ = nullptr, *dy_ = nullptr, *dp_ = nullptr;
  B* inside_ = nullptr;
  int64_t *x_at_ = nullptr, *inside_at_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::taps_grad) return "made for the gradient of taps";
  if (!is_plane(p, p.dy)) return "planes are not contiguous";
  return reject_plane(p);
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(PlanesGradWorker<S>::scratch_bytes(as_dynamic(problem)));
}
int64_t n_tasks(const void* problem) noexcept { return count_plane_tasks(as_dynamic(problem)); }
template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  PlanesGradWorker<S> worker(p, buffers, scratch);
  const Plane plane(p);
  for (int64_t i = begin; i < end; ++i) worker.run(PlaneTask(p, plane, i));
}

}  // namespace

#define SWATH_PLANES_GRAD(name, S)                                                          \
  extern const KernelFns dynamic_conv_taps_grad_planes_##name;                              \
  const KernelFns dynamic_conv_taps_grad_planes_##name{reject,           no_bytes, no_pack, \
                                                       scratch_bytes<S>, n_tasks,  run<S>};
SWATH_PLANES_GRAD(f32, float)
SWATH_PLANES_GRAD(f64, double)
SWATH_PLANES_GRAD(f16, f16)
SWATH_PLANES_GRAD(bf16, bf16)
#undef SWATH_PLANES_GRAD

}  // namespace swath::SWATH_ISA
