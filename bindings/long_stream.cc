// Streams of a LongConv: blocks of inputs, and the tiles that carry them to later outputs.
#include <algorithm>
#include <cstring>

#include "core/format.h"
#include "executor.h"
#include "long_plan.h"
#include "registry.h"

namespace swath::python {
namespace {

constexpr const char* kStep = "LongConv.step";
constexpr const char* kInit = "LongConv.init_state";

DType accumulator(DType d) { return d == DType::f64 ? DType::f64 : DType::f32; }

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
  const void* from(const void* data, const TensorDesc& x) const {
    return static_cast<const std::byte*>(data) + first * x.strides[axis] * item_bytes(x.dtype);
  }
};

LongConvState::LongConvState(int64_t batch, int64_t channels, int64_t n_span, DType acc)
    : inputs(contiguous_desc(acc, {batch, channels, n_span})), sums(inputs.desc) {
  std::memset(inputs.memory.get(), 0, inputs.n_bytes());
  std::memset(sums.memory.get(), 0, sums.n_bytes());
}

LongConvState::LongConvState(const Buffer& kept_inputs, const Buffer& kept_sums,
                             int64_t inputs_so_far, bool has_open_channels)
    : inputs(kept_inputs.view()),
      sums(kept_sums.view()),
      time(inputs_so_far),
      channels_are_open(has_open_channels) {
  const bool fits = inputs.desc.rank == 3 && sums.desc.rank == 3 && time >= 0 &&
                    inputs.desc.shape == sums.desc.shape && inputs.desc.dtype == sums.desc.dtype;
  if (!fits) refuse(ErrorCode::param, {"LongConvState", "inputs"}, "inputs and sums do not fit");
}

LongConvState LongConvState::copy() const { return {inputs, sums, time, channels_are_open}; }

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
  LongConvState state(n_batch, n, long_stream_span(k_->desc.shape[1]), accumulator(k_->desc.dtype));
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

void LongConvPlan::add_tile(LongConvState& state, int n_threads) const {
  const int64_t span = state.span();
  const int64_t size = std::min(span, state.time & -state.time);
  const LongStream stream = stream_of(state);
  const Spectra spectra = tile_spectra(stream, size);
  LongConvArrays a;
  a.k = &k_->desc;
  const void* inputs[kLongSums + 1] = {};
  inputs[kLongK] = k_->memory.get();
  if (spectra.buffer != nullptr) {
    a.spectrum = &spectra.buffer->desc;
    inputs[kLongSpectrum] = spectra.buffer->memory.get();
  }
  std::byte* sums = at(state.sums, state.time % span);
  inputs[kLongU] = at(state.inputs, (state.time - size) % span);
  inputs[kLongSums] = sums;
  void* const outputs[] = {sums};
  plan_long_stream_tile(stream, a, size).run(inputs, outputs, {.max_threads = n_threads});
}

void LongConvPlan::advance(const Piece& piece, LongConvState& state, int n_threads) const {
  const LongStream stream = stream_of(state);
  const int64_t span = state.span(), place = state.time % span;
  const int64_t before = state.time % kLongStreamBlock;
  const TensorDesc u = piece.cut(piece.u), y = piece.cut(piece.y);
  TensorDesc pre, post;
  LongConvArrays a = describe(u);
  a.response = nullptr;
  if (piece.pre_gate != nullptr) a.pre_gate = &(pre = piece.cut(*piece.pre_gate));
  if (piece.post_gate != nullptr) a.post_gate = &(post = piece.cut(*piece.post_gate));
  const void* inputs[kLongSums + 1] = {};
  inputs[kLongU] = piece.from(piece.u_data, u);
  if (a.pre_gate != nullptr) inputs[kLongPreGate] = piece.from(piece.pre_data, pre);
  void* outputs[] = {at(state.inputs, place)};
  plan_long_stream_store(stream, a).run(inputs, outputs, {.max_threads = n_threads});

  inputs[kLongU] = at(state.inputs, place - before);
  inputs[kLongK] = k_->memory.get();
  if (skip_) inputs[kLongSkip] = skip_->memory.get();
  if (bias_) inputs[kLongBias] = bias_->memory.get();
  if (a.post_gate != nullptr) inputs[kLongPostGate] = piece.from(piece.post_data, post);
  inputs[kLongSums] = at(state.sums, place);
  outputs[0] = const_cast<void*>(piece.from(piece.y_data, y));
  plan_long_stream_block(stream, a, before, y).run(inputs, outputs, {.max_threads = n_threads});

  const size_t n_bytes = static_cast<size_t>(piece.n * item_bytes(state.sums.desc.dtype));
  for (int64_t row = 0; row < state.n_batch() * state.n_channels(); ++row) {
    std::memset(at(state.sums, row * span + place), 0, n_bytes);
  }
  state.time += piece.n;
  if (state.time % kLongStreamBlock == 0 && k_->desc.shape[1] > 1) add_tile(state, n_threads);
}

py::object LongConvPlan::step(py::handle u, LongConvState& state, py::handle pre_gate,
                              py::handle post_gate, py::handle threads) const {
  Call call(kStep);
  const TensorDesc u_desc = call.input(kLongU, u, "u");
  LongConvArrays a = describe(u_desc);
  a.pre_gate = call.optional_input(kLongPreGate, pre_gate, "pre_gate");
  a.post_gate = call.optional_input(kLongPostGate, post_gate, "post_gate");
  const int asked = read_threads(threads, {kStep, "threads"});
  const Plan shape = plan_long_conv(a, stream_of(state).params);  // checks, and describes y
  const bool is_first = params_.layout == Layout::channels_first;
  const int axis = is_first ? u_desc.rank - 1 : u_desc.rank - 2;
  const int channel = is_first ? u_desc.rank - 2 : u_desc.rank - 1;
  const int64_t n_batch = u_desc.rank == 3 ? u_desc.shape[0] : 1;
  const int64_t n_channels = u_desc.shape[channel];
  if (n_batch != state.n_batch() ||
      (n_channels != state.n_channels() && !state.channels_are_open) ||
      state.span() != long_stream_span(k_->desc.shape[1]) ||
      state.inputs.desc.dtype != accumulator(k_->desc.dtype)) {
    refuse(ErrorCode::shape, {kStep, "u"},
           format("u has {} rows of {} channels, the state is of {} rows of {} channels", n_batch,
                  n_channels, state.n_batch(), state.n_channels()));
  }
  if (n_channels != state.n_channels()) {
    const TensorDesc& kept = state.inputs.desc;
    const int64_t extents[] = {n_batch, n_channels, state.span()};
    check_extents({kStep, "u"}, 3, extents);
    state = LongConvState(n_batch, n_channels, state.span(), kept.dtype);
  }
  state.channels_are_open = false;
  Piece piece{u_desc,
              shape.outputs()[0],
              a.pre_gate,
              a.post_gate,
              call.pointers()[kLongU],
              call.pointers()[kLongPreGate],
              call.pointers()[kLongPostGate],
              nullptr,
              axis,
              0,
              0};
  const int64_t length = u_desc.shape[axis];
  const int limit = combined_thread_limit(asked > 0 ? asked : n_threads_);
  return call.make(shape, shape.cost_seconds(), [&](void* y) {
    piece.y_data = y;
    if (shape.outputs()[0].n_elements() == 0) {
      state.time += n_batch * state.n_channels() == 0 ? length : 0;
      return;
    }
    while (piece.first < length) {
      const int64_t rest = length - piece.first, inside = state.time % kLongStreamBlock;
      // A whole block, as large as its place allows, or what is left of the current one.
      piece.n = std::min(rest, kLongStreamBlock - inside);
      for (int64_t size = 2 * kLongStreamBlock;
           inside == 0 && size <= std::min(rest, state.span()) && state.time % size == 0;
           size *= 2) {
        piece.n = size;
      }
      advance(piece, state, limit);
      piece.first += piece.n;
    }
  });
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
