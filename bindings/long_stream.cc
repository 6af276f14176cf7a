// Streams of a LongConv: blocks of inputs, and the tiles that carry them to later outputs.
#include <algorithm>
#include <cstring>
#include <functional>

#include "core/format.h"
#include "executor.h"
#include "long_plan.h"
#include "ops/common/scalar.h"
#include "registry.h"

namespace swath::python {
namespace {

constexpr const char* kStep = "LongConv.step";
constexpr const char* kInit = "LongConv.init_state";

/// Of how many kinds of steps and of tiles plans are kept.
constexpr size_t kStepPlans = 8, kTilePlans = 64;

std::byte* at(const Buffer& b, int64_t element) {
  return b.memory.get() + element * item_bytes(b.desc.dtype);
}

}  // namespace

/// Part of a chunk: arrays by description of the whole chunk, and which positions.
struct LongConvPlan::Piece {
  TensorDesc u, y;
  const TensorDesc *pre_gate, *post_gate;
  const void *u_data, *pre_data, *post_data;
  void* y_data;
  int axis;
  int64_t first, n;

  TensorDesc cut(TensorDesc x) const {
    x.shape[axis] = n;
    return x;
  }
  /// f(arrays, y), described as the positions alone.
  template <class F>
  void with_arrays(const LongConvPlan& plan, const F& f) const {
    const TensorDesc of_u = cut(u);
    TensorDesc pre, post;
    LongConvArrays a = plan.describe(of_u);
    a.response = nullptr;
    if (pre_gate != nullptr) a.pre_gate = &(pre = cut(*pre_gate));
    if (post_gate != nullptr) a.post_gate = &(post = cut(*post_gate));
    f(a, cut(y));
  }
  const void* from(const void* data, const TensorDesc& x) const {
    return static_cast<const std::byte*>(data) + first * x.strides[axis] * item_bytes(x.dtype);
  }
};

LongConvState::LongConvState(int64_t batch, int64_t channels, int64_t n_span, DType acc)
    : inputs(contiguous_desc(acc, {batch, channels, n_span})),
      sums(inputs.desc),
      block(contiguous_desc(acc, {batch, channels, 2 * kLongStreamBlock})) {
  for (const Buffer* b : {&inputs, &sums, &block}) std::memset(b->memory.get(), 0, b->n_bytes());
}

LongConvState::LongConvState(const Buffer& kept_inputs, const Buffer& kept_sums,
                             const Buffer& of_block, int64_t inputs_so_far, bool has_open_channels)
    : inputs(kept_inputs.view()),
      sums(kept_sums.view()),
      block(of_block.view()),
      time(inputs_so_far),
      channels_are_open(has_open_channels) {
  const TensorDesc &a = inputs.desc, &b = sums.desc, &c = block.desc;
  const bool fits = a.rank == 3 && b.rank == 3 && c.rank == 3 && time >= 0 && a.shape == b.shape &&
                    c.shape[0] == a.shape[0] && c.shape[1] == a.shape[1] &&
                    c.shape[2] == 2 * kLongStreamBlock && a.dtype == b.dtype && a.dtype == c.dtype;
  if (!fits) {
    refuse(ErrorCode::param, {"LongConvState", "inputs"}, "inputs, sums and block do not fit");
  }
}

LongConvState LongConvState::copy() const { return {inputs, sums, block, time, channels_are_open}; }

LongConvState LongConvPlan::init_state(py::handle batch, py::handle channels) const {
  if (params_.mode != LongMode::causal && params_.mode != LongMode::full) {
    refuse(ErrorCode::param, {kInit, "mode"},
           "mode is neither 'causal' nor 'full', needed is one of them for a stream");
  }
  if (response_) {
    refuse(ErrorCode::param, {kInit, "freq_mask"},
           "freq_mask makes the taps reach ahead, needed is a plan without it for a stream");
  }
  const int64_t n_batch = read_int(batch, {kInit, "batch"});
  if (n_batch < 0) refuse({kInit, "batch"}, batch, "a number of rows");
  const int64_t n_heads = k_->desc.shape[0];
  int64_t n = n_heads;
  for (const Constant* c : {&skip_, &bias_}) {
    if (*c) n = (*c)->desc.shape[0];
  }
  if (!channels.is_none()) n = read_int(channels, {kInit, "channels"});
  if (n < 0 || (n_heads == 0 ? n != 0 : n % n_heads != 0)) {
    refuse(ErrorCode::param, {kInit, "channels"},
           format("channels is {}, needed is a multiple of the {} heads of k", n, n_heads));
  }
  LongConvState state(n_batch, n, long_stream_span(k_->desc.shape[1]),
                      accumulator_of(k_->desc.dtype));
  state.channels_are_open = channels.is_none() && !skip_ && !bias_;
  check_extents({kInit, "batch"}, 3, state.inputs.desc.shape.data());
  const LongStream stream = stream_of(state);
  if (n_batch * n > 0 && k_->desc.shape[1] > 1) {
    for (int64_t size = kLongStreamBlock; size <= stream.span; size *= 2) {
      tile_spectra(stream, size);  // now, so that no step has to
    }
  }
  return state;
}

LongStream LongConvPlan::stream_of(const LongConvState& state) const {
  LongStream s{state.n_batch(), state.n_channels(), state.span(), params_};
  s.params.name = kStep;
  s.params.mode = LongMode::causal;
  return s;
}

LongConvPlan::Spectra LongConvPlan::tile_spectra(const LongStream& stream, int64_t size) const {
  const bool is_kept = !is_kernel_forced();
  if (is_kept) {
    const std::lock_guard lock(mutex_);
    for (const Spectra& s : tiles_) {
      if (s.length == size) return s;
    }
  }
  LongConvArrays a;
  a.k = &k_->desc;
  const Plan plan = plan_long_stream_spectrum(stream, a, size);
  Spectra made{size, nullptr};
  if (!plan.outputs().empty()) {
    auto buffer = std::make_shared<Buffer>(plan.outputs()[0]);
    const void* inputs[kLongSums + 1] = {};
    inputs[kLongK] = k_->memory.get();
    void* const outputs[] = {buffer->memory.get()};
    plan.run(inputs, outputs, {.max_threads = combined_thread_limit(n_threads_)});
    made.buffer = std::move(buffer);
  }
  if (is_kept) {
    const std::lock_guard lock(mutex_);
    tiles_.push_back(made);
  }
  return made;
}

LongConvPlan::TilePlan LongConvPlan::tile_plan(const LongConvState& state, int64_t size) const {
  const bool is_kept = !is_kernel_forced();
  if (is_kept) {
    const std::lock_guard lock(mutex_);
    for (const TilePlan& t : tile_plans_) {
      if (t.size == size && t.n_batch == state.n_batch() && t.n_channels == state.n_channels()) {
        return t;
      }
    }
  }
  const LongStream stream = stream_of(state);
  TilePlan made{size, state.n_batch(), state.n_channels(), tile_spectra(stream, size).buffer,
                Plan()};
  LongConvArrays a;
  a.k = &k_->desc;
  if (made.spectra != nullptr) a.spectrum = &made.spectra->desc;
  made.plan = plan_long_stream_tile(stream, a, size);
  if (is_kept) {
    const std::lock_guard lock(mutex_);
    if (tile_plans_.size() == kTilePlans) tile_plans_.erase(tile_plans_.begin());
    tile_plans_.push_back(made);
  }
  return made;
}

void LongConvPlan::add_tile(LongConvState& state, int n_threads) const {
  if (state.time % kLongStreamBlock != 0 || k_->desc.shape[1] < 2) return;
  const int64_t span = state.span();
  const int64_t size = std::min(span, state.time & -state.time);
  const TilePlan tile = tile_plan(state, size);
  const void* inputs[kLongSums + 1] = {};
  inputs[kLongK] = k_->memory.get();
  if (tile.spectra != nullptr) inputs[kLongSpectrum] = tile.spectra->memory.get();
  std::byte* sums = at(state.sums, state.time % span);
  inputs[kLongU] = at(state.inputs, (state.time - size) % span);
  inputs[kLongSums] = sums;
  void* const outputs[] = {sums};
  tile.plan.run(inputs, outputs, {.max_threads = n_threads});
}

void LongConvPlan::keep_block_taps() {
  const TensorDesc& k = k_->desc;
  Buffer& taps =
      block_taps_.emplace(contiguous_desc(accumulator_of(k.dtype), {k.shape[0], kLongStreamBlock}));
  std::memset(taps.memory.get(), 0, taps.n_bytes());
  for (int64_t h = 0; h < k.shape[0]; ++h) {
    for (int64_t j = 0; j < std::min(kLongStreamBlock, k.shape[1]); ++j) {
      store_scalar(taps.desc.dtype, taps.memory.get(), (h + 1) * kLongStreamBlock - 1 - j,
                   load_scalar(k.dtype, k_->memory.get(), h * k.shape[1] + j));
    }
  }
}

void LongConvPlan::add_tokens(const Piece& piece, const Plan* plan, LongConvState& state,
                              int n_threads) const {
  const TensorDesc &u = piece.u, &y = piece.y;
  const void* inputs[kLongSums + 1] = {};
  inputs[kLongU] = piece.from(piece.u_data, u);
  if (piece.pre_gate != nullptr) {
    inputs[kLongPreGate] = piece.from(piece.pre_data, *piece.pre_gate);
  }
  if (piece.post_gate != nullptr) {
    inputs[kLongPostGate] = piece.from(piece.post_data, *piece.post_gate);
  }
  if (skip_) inputs[kLongSkip] = skip_->memory.get();
  if (bias_) inputs[kLongBias] = bias_->memory.get();
  inputs[kLongTime] = &state.time;
  inputs[kLongSpectrum] = block_taps_->memory.get();
  void* const outputs[] = {const_cast<void*>(piece.from(piece.y_data, y)),
                           state.inputs.memory.get(), state.sums.memory.get(),
                           state.block.memory.get()};
  if (plan != nullptr) {
    plan->run(inputs, outputs, {.max_threads = n_threads});
  } else {
    piece.with_arrays(*this, [&](const LongConvArrays& a, const TensorDesc& part) {
      const Plan made = plan_long_stream_tokens(stream_of(state), a, part);
      made.run(inputs, outputs, {.max_threads = n_threads});
    });
  }
  state.time += piece.n;
}

void LongConvPlan::add_block(const Piece& piece, LongConvState& state, int n_threads) const {
  const LongStream stream = stream_of(state);
  const int64_t span = state.span(), place = state.time % span;
  piece.with_arrays(*this, [&](const LongConvArrays& a, const TensorDesc& y) {
    const void* inputs[kLongSums + 1] = {};
    inputs[kLongU] = piece.from(piece.u_data, piece.u);
    if (a.pre_gate != nullptr) inputs[kLongPreGate] = piece.from(piece.pre_data, *a.pre_gate);
    void* outputs[] = {at(state.inputs, place)};
    plan_long_stream_store(stream, a).run(inputs, outputs, {.max_threads = n_threads});

    inputs[kLongU] = at(state.inputs, place);
    inputs[kLongK] = k_->memory.get();
    if (skip_) inputs[kLongSkip] = skip_->memory.get();
    if (bias_) inputs[kLongBias] = bias_->memory.get();
    if (a.post_gate != nullptr) inputs[kLongPostGate] = piece.from(piece.post_data, *a.post_gate);
    inputs[kLongSums] = at(state.sums, place);
    outputs[0] = const_cast<void*>(piece.from(piece.y_data, y));
    plan_long_stream_block(stream, a, y).run(inputs, outputs, {.max_threads = n_threads});
  });
  const auto n_bytes = static_cast<size_t>(piece.n * item_bytes(state.sums.desc.dtype));
  for (int64_t row = 0; row < state.n_batch() * state.n_channels(); ++row) {
    std::memset(at(state.sums, row * span + place), 0, n_bytes);
  }
  state.time += piece.n;
}

void LongConvPlan::check_state(const TensorDesc& u, const LongConvState& state) const {
  const bool is_first = params_.layout == Layout::channels_first;
  const int channel = is_first ? u.rank - 2 : u.rank - 1;
  const int64_t n_batch = u.rank == 3 ? u.shape[0] : 1;
  if (n_batch != state.n_batch() || u.shape[channel] != state.n_channels() ||
      state.span() != long_stream_span(k_->desc.shape[1]) ||
      state.inputs.desc.dtype != accumulator_of(k_->desc.dtype)) {
    refuse(ErrorCode::shape, {kStep, "u"},
           format("u has {} rows of {} channels, the state is of {} rows of {} channels", n_batch,
                  u.shape[channel], state.n_batch(), state.n_channels()));
  }
}

void LongConvPlan::settle_channels(const LongConvArrays& a, LongConvState& state) const {
  const TensorDesc& u = *a.u;
  if (!state.channels_are_open || u.rank < 2) return;
  const int64_t n = u.shape[params_.layout == Layout::channels_first ? u.rank - 2 : u.rank - 1];
  if (n == state.n_channels()) return;
  plan_long_conv(a, stream_of(state).params);  // checks u before anything changes
  const int64_t extents[] = {state.n_batch(), n, state.span()};
  check_extents({kStep, "u"}, 3, extents);
  state = LongConvState(state.n_batch(), n, state.span(), state.inputs.desc.dtype);
  state.channels_are_open = true;
}

LongConvPlan::StepPlans LongConvPlan::make_step_plans(const LongConvArrays& a,
                                                      const LongConvState& state) const {
  const LongStream stream = stream_of(state);
  const TensorDesc& u = *a.u;
  StepPlans made{u, {}, {}, plan_long_conv(a, stream.params), Plan()};  // checks, and describes y
  check_state(u, state);
  if (a.pre_gate != nullptr) made.pre_gate = *a.pre_gate;
  if (a.post_gate != nullptr) made.post_gate = *a.post_gate;
  const TensorDesc& y = made.whole.outputs()[0];
  if (y.n_elements() > 0 && length_of(u) <= kLongStreamBlock) {
    LongConvArrays of_stream = a;
    of_stream.response = nullptr;
    made.tokens = plan_long_stream_tokens(stream, of_stream, y);
  }
  return made;
}

LongConvPlan::StepPlans LongConvPlan::step_plans(const LongConvArrays& a,
                                                 const LongConvState& state) const {
  const auto is_same = [](const TensorDesc* given, const TensorDesc& known) {
    if (given == nullptr) return known.rank == 0;
    return given->dtype == known.dtype && given->device == known.device &&
           given->rank == known.rank && given->shape == known.shape &&
           given->strides == known.strides;
  };
  if (is_kernel_forced()) return make_step_plans(a, state);
  {
    const std::lock_guard lock(mutex_);
    for (const StepPlans& p : step_plans_) {
      if (is_same(a.u, p.u) && is_same(a.pre_gate, p.pre_gate) &&
          is_same(a.post_gate, p.post_gate)) {
        check_state(*a.u, state);
        return p;
      }
    }
  }
  StepPlans made = make_step_plans(a, state);
  const std::lock_guard lock(mutex_);
  if (step_plans_.size() == kStepPlans) step_plans_.erase(step_plans_.begin());
  step_plans_.push_back(made);
  return made;
}

py::object LongConvPlan::step(py::handle u, LongConvState& state, py::handle pre_gate,
                              py::handle post_gate, py::handle threads) const {
  Call call(kStep);
  const TensorDesc u_desc = call.input(kLongU, u, "u");
  LongConvArrays a = describe(u_desc);
  a.pre_gate = call.optional_input(kLongPreGate, pre_gate, "pre_gate");
  a.post_gate = call.optional_input(kLongPostGate, post_gate, "post_gate");
  const int asked = read_threads(threads, {kStep, "threads"});
  settle_channels(a, state);
  const StepPlans plans = step_plans(a, state);
  state.channels_are_open = false;
  const TensorDesc& y_desc = plans.whole.outputs()[0];
  const bool is_first = params_.layout == Layout::channels_first;
  Piece piece{u_desc,
              y_desc,
              a.pre_gate,
              a.post_gate,
              call.pointers()[kLongU],
              call.pointers()[kLongPreGate],
              call.pointers()[kLongPostGate],
              nullptr,
              is_first ? u_desc.rank - 1 : u_desc.rank - 2,
              0,
              0};
  const int64_t length = length_of(u_desc);
  const int limit = combined_thread_limit(asked > 0 ? asked : n_threads_);
  const auto fill = [&](void* y) {
    piece.y_data = y;
    if (y_desc.n_elements() == 0) {
      state.time += state.n_batch() * state.n_channels() == 0 ? length : 0;
      return;
    }
    for (; piece.first < length; piece.first += piece.n) {
      const int64_t rest = length - piece.first, inside = state.time % kLongStreamBlock;
      piece.n = std::min(rest, kLongStreamBlock - inside);
      if (piece.n < kLongStreamBlock) {
        add_tokens(piece, piece.n == length ? &plans.tokens : nullptr, state, limit);
      } else {
        // As many blocks as the place allows.
        for (int64_t size = 2 * piece.n;
             size <= std::min(rest, state.span()) && state.time % size == 0; size *= 2) {
          piece.n = size;
        }
        add_block(piece, state, limit);
      }
      add_tile(state, limit);
    }
  };
  return call.make(plans.whole, plans.whole.cost_seconds(), std::cref(fill));
}

py::object LongConvPlan::flush(LongConvState& state, py::handle post_gate,
                               py::handle threads) const {
  const bool is_full = params_.mode == LongMode::full;
  const int64_t n = is_full ? k_->desc.shape[1] - 1 : 0;
  const bool is_first = params_.layout == Layout::channels_first;
  const int64_t n_batch = state.n_batch(), n_channels = state.n_channels();
  const DType dtype = k_->desc.dtype;
  const py::module_ numpy = py::module_::import("numpy");
  const py::object kind = dtype == DType::bf16  ? numpy_bfloat16({"LongConv.flush", "state"})
                          : dtype == DType::f16 ? py::object(numpy.attr("float16"))
                          : dtype == DType::f64 ? py::object(numpy.attr("float64"))
                                                : py::object(numpy.attr("float32"));
  const py::object u = numpy.attr("zeros")(
      is_first ? py::make_tuple(n_batch, n_channels, n) : py::make_tuple(n_batch, n, n_channels),
      kind);
  return step(u, state, py::none(), post_gate, threads);
}

}  // namespace swath::python
