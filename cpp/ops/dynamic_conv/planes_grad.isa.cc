// The gradient of the taps of planes: the kernel `taps_grad_planes`. As `planes`, vectors go on
// over the ends of rows; planes whose channels lie last are turned first.
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
      : p_(problem), b_(&buffers), plane_(problem), in_place_(is_in_place(problem)) {
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
    if (in_place_) {
      for_pieces(plane_, task.begin, task.end, [&](int64_t begin, int64_t end, bool is_inside) {
        run_piece(begin, end, is_inside);
      });
      return;
    }
    if (has_one_block()) stage_x(0, p_.n_members, task.begin, task.end - task.begin);
    for (int64_t at = task.begin; at < task.end; at += kPlaneColumns) {
      run_tile(at, smaller(at + kPlaneColumns, task.end), task);
    }
  }

 private:
  explicit PlanesGradWorker(const DynamicProblem& p)
      : p_(p), plane_(p), in_place_(is_in_place(p)) {}

  static bool is_in_place(const DynamicProblem& p) {
    return kIsAcc && p.in.w == 1 && p.dy.w == 1 && p.out.w == 1;
  }
  bool has_one_block() const { return p_.n_members <= kPlaneMembers; }

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    const int64_t n_taps = p_.n_taps();
    const int64_t most = smaller(p_.positions_block, plane_.n_out);
    x_ = carver.take<A>(kPlaneMembers * plane_.x_pitch(most) + kSlack);
    dy_ = carver.take<A>(in_place_ ? 0 : kPlaneMembers * kTilePitch + kSlack);
    dp_ = carver.take<A>(in_place_ ? 0 : n_taps * kTilePitch);
    inside_ = carver.take<B>(plane_.n_marks * plane_.inside_pitch());
    for (int64_t** at : {&x_at_, &inside_at_}) *at = carver.take<int64_t>(n_taps);
    return carver.used;
  }

  PlaneSums<A> sums_of(int64_t begin, int64_t end) const {
    PlaneSums<A> q{};
    q.n = end - begin;
    q.n_j = p_.n_taps();
    q.x_at = x_at_;
    q.inside = inside_;
    q.inside_at = inside_at_;
    q.col = begin % plane_.width;
    q.width = plane_.width;
    return q;
  }

  /// dy and the result in place, x too where vectors stay inside of it.
  void run_piece(int64_t begin, int64_t end, bool is_inside) const {
    PlaneSums<A> q = sums_of(begin, end);
    q.dy_step = p_.dy.m;
    q.out = reinterpret_cast<A*>(out_from(begin));
    q.out_step = p_.out.m;
    for (int64_t m = 0; m < p_.n_members; m += kPlaneMembers) {
      q.n_terms = smaller(kPlaneMembers, p_.n_members - m);
      q.adds = m > 0;
      q.dy = reinterpret_cast<const A*>(dy_from(m, begin));
      if (is_inside) {
        q.x = reinterpret_cast<const A*>(x_from(m)) + begin + plane_.lowest;
        q.x_step = p_.in.m;
      } else {
        stage_x(m, q.n_terms, begin, q.n);
        q.x = x_;
        q.x_step = plane_.x_pitch(q.n);
      }
      multiply(q);
    }
  }

  /// Copies of all three; x may be there already, from the task's first output on.
  void run_tile(int64_t begin, int64_t end, const PlaneTask& task) const {
    PlaneSums<A> q = sums_of(begin, end);
    q.dy = dy_;
    q.dy_step = kTilePitch;
    q.out = dp_;
    q.out_step = kTilePitch;
    for (int64_t m = 0; m < p_.n_members; m += kPlaneMembers) {
      q.n_terms = smaller(kPlaneMembers, p_.n_members - m);
      q.adds = m > 0;
      if (!has_one_block()) stage_x(m, q.n_terms, begin, q.n);
      q.x = has_one_block() ? x_ + (begin - task.begin) : x_;
      q.x_step = plane_.x_pitch(has_one_block() ? task.end - task.begin : q.n);
      const Line<S> dy{dy_from(m, begin), p_.dy.w, q.n};
      stage_members(dy, p_.dy.m, q.n_terms, 0, q.n, dy_, kTilePitch, padded(q.n));
      multiply(q);
    }
    S* out = out_from(begin);
    if (p_.out.w != 1) return write_lines(dp_, kTilePitch, q.n_j, q.n, out, p_.out.w);
    for (int64_t k = 0; k < q.n_j; ++k) {
      narrow_row(dp_ + k * kTilePitch, out + k * p_.out.m, 1, q.n);
    }
  }

  const S* x_from(int64_t m) const {
    return static_cast<const S*>(b_->read(p_.in.ref)) + p_.in.at(n_, g_, m, 0, 0);
  }
  const S* dy_from(int64_t m, int64_t position) const {
    return static_cast<const S*>(b_->read(p_.dy.ref)) + p_.dy.at(n_, g_, m, 0, position);
  }
  S* out_from(int64_t position) const {
    return static_cast<S*>(b_->write(p_.out.ref)) + p_.out.at(n_, g_, 0, 0, position);
  }
  void stage_x(int64_t m, int64_t n_members, int64_t begin, int64_t n) const {
    const int64_t pitch = plane_.x_pitch(n);
    stage_members({x_from(m), p_.in.w, plane_.n_in}, p_.in.m, n_members, begin + plane_.lowest,
                  n + plane_.span - 1, x_, pitch, pitch);
  }
  static void stage_members(Line<S> line, int64_t member_step, int64_t n_members, int64_t first,
                            int64_t n, A* to, int64_t to_step, int64_t pitch) {
    if (line.stride != 1) return stage_lines(line, n_members, first, 1, n, to, to_step, pitch);
    for (int64_t j = 0; j < n_members; ++j, line.x += member_step) {
      stage_line(line, first, 1, n, to + j * to_step, pitch);
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_ = nullptr;
  const Plane plane_;
  const bool in_place_;
  int64_t n_ = 0, g_ = 0;
  A *x_ = nullptr, *dy_ = nullptr, *dp_ = nullptr;
  B* inside_ = nullptr;
  int64_t *x_at_ = nullptr, *inside_at_ = nullptr;
};

const char* reject(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (p.role != DynamicRole::taps_grad) return "made for the gradient of taps";
  if (p.softmax) return "made for taps as they are";
  if (p.along_channels) return "vectors lie along the channels";
  for (const DynamicArray* a : {&p.in, &p.dy, &p.out}) {
    if (!is_even(p, *a) || (a->w != 1 && a->m != 1)) return "planes are not contiguous";
  }
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
