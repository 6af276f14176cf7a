#include "recorded.h"

#include <swath/error.h>

#include <deque>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>
#include <vector>

#include "bindings.h"
#include "core/format.h"
#include "numpy_api.h"
#include "recorded_abi.h"

namespace swath::python {
namespace {

struct Run {
  Plan plan;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  int max_threads;
};

struct Recording {
  std::vector<Run> runs;
  bool is_possible = true;
};

thread_local Recording* t_recording = nullptr;

class RecordingScope {
 public:
  explicit RecordingScope(Recording& recording) noexcept : previous_(t_recording) {
    t_recording = &recording;
  }
  RecordingScope(const RecordingScope&) = delete;
  ~RecordingScope() { t_recording = previous_; }

 private:
  Recording* previous_;
};

/// Which array a slot of the plan reads or writes, and where it starts; -1: the slot is empty.
struct Place {
  int array = -1;
  size_t offset = 0;
};

struct Recorded {
  Plan plan;
  int max_threads = 0;
  std::vector<Place> inputs, outputs;
  std::vector<size_t> input_bytes, output_bytes;
};

/// Entries stay: compiled programs hold their numbers for as long as the process lives.
struct Table {
  std::shared_mutex mutex;
  std::deque<Recorded> entries;
  int64_t first;  // random, so that a number of another process is refused

  Table() {
    std::random_device random;
    first = static_cast<int64_t>(random()) << 30 | static_cast<int64_t>(random() >> 2);
  }
};

Table& table() {
  static Table* const t = new Table;  // outlives every thread that may still run a program
  return *t;
}

std::vector<RecordedArray> memory_of(const py::tuple& arrays) {
  std::vector<RecordedArray> found;
  for (const py::handle array : arrays) {
    if (!PyArray_Check(array.ptr()) || !PyArray_IS_C_CONTIGUOUS(as_ndarray(array.ptr()))) return {};
    PyArrayObject* a = as_ndarray(array.ptr());
    found.push_back({PyArray_DATA(a), static_cast<size_t>(PyArray_NBYTES(a))});
  }
  return found;
}

/// The array that holds the address, or none.
Place find_place(const std::vector<RecordedArray>& arrays, const void* address) {
  for (size_t i = 0; i < arrays.size(); ++i) {
    const auto begin = reinterpret_cast<uintptr_t>(arrays[i].data);
    const auto at = reinterpret_cast<uintptr_t>(address);
    if (at >= begin && at - begin < arrays[i].n_bytes) return {static_cast<int>(i), at - begin};
  }
  return {};
}

/// False if an address lies in none of the arrays.
template <class Pointers>
bool find_places(const std::vector<RecordedArray>& arrays, const Pointers& pointers,
                 std::vector<Place>& places) {
  for (const void* address : pointers) {
    places.push_back(address == nullptr ? Place{} : find_place(arrays, address));
    if (address != nullptr && places.back().array < 0) return false;
  }
  return true;
}

/// The number of the recorded call, -1 if it is more than one plan from arguments to results.
int64_t keep(const Recording& recording, const py::tuple& arrays, const py::tuple& results) {
  if (!recording.is_possible || recording.runs.size() != 1) return -1;
  const Run& run = recording.runs.front();
  Recorded entry;
  entry.plan = run.plan;
  entry.max_threads = run.max_threads;
  const std::vector<RecordedArray> from = memory_of(arrays), to = memory_of(results);
  if (from.size() != arrays.size() || to.size() != results.size()) return -1;
  if (!find_places(from, run.inputs, entry.inputs)) return -1;
  if (run.outputs.size() != to.size() || !find_places(to, run.outputs, entry.outputs)) return -1;
  std::vector<bool> is_written(to.size(), false);
  for (const Place& place : entry.outputs) {
    if (place.array < 0 || place.offset != 0) return -1;
    is_written[static_cast<size_t>(place.array)] = true;
  }
  for (const bool written : is_written) {
    if (!written) return -1;
  }
  for (const RecordedArray& a : from) entry.input_bytes.push_back(a.n_bytes);
  for (const RecordedArray& a : to) entry.output_bytes.push_back(a.n_bytes);
  Table& t = table();
  const std::unique_lock lock(t.mutex);
  t.entries.push_back(std::move(entry));
  return t.first + static_cast<int64_t>(t.entries.size()) - 1;
}

py::tuple record(const py::object& fn, const py::tuple& arrays) {
  Recording recording;
  py::tuple results;
  {
    const RecordingScope scope(recording);
    results = py::tuple(fn(*arrays));
  }
  return py::make_tuple(results, keep(recording, arrays, results));
}

const Recorded* find_entry(int64_t id) {
  Table& t = table();
  const std::shared_lock lock(t.mutex);
  const int64_t index = id - t.first;
  if (index < 0 || index >= static_cast<int64_t>(t.entries.size())) return nullptr;
  return &t.entries[static_cast<size_t>(index)];
}

bool have_sizes(const RecordedArray* arrays, size_t n, const std::vector<size_t>& needed) {
  if (n != needed.size()) return false;
  for (size_t i = 0; i < n; ++i) {
    if (arrays[i].n_bytes != needed[i]) return false;
  }
  return true;
}

template <class Pointer>
std::vector<Pointer> pointers_at(const std::vector<Place>& places, const RecordedArray* arrays) {
  std::vector<Pointer> pointers(places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i].array < 0) continue;
    pointers[i] = static_cast<std::byte*>(arrays[places[i].array].data) + places[i].offset;
  }
  return pointers;
}

const char* run_recorded(int64_t id, const RecordedArray* inputs, size_t n_inputs,
                         const RecordedArray* outputs, size_t n_outputs) {
  thread_local std::string text;
  const Recorded* entry = find_entry(id);
  if (entry == nullptr) {
    return "swath: the program was compiled in another process; its calls are not recorded here";
  }
  if (!have_sizes(inputs, n_inputs, entry->input_bytes) ||
      !have_sizes(outputs, n_outputs, entry->output_bytes)) {
    return "swath: the arrays do not have the sizes that the call was recorded with";
  }
  try {
    entry->plan.run(pointers_at<const void*>(entry->inputs, inputs),
                    pointers_at<void*>(entry->outputs, outputs),
                    {.max_threads = entry->max_threads});
  } catch (const std::exception& error) {
    text = error.what();
    return text.c_str();
  }
  return nullptr;
}

}  // namespace

bool is_recording() noexcept { return t_recording != nullptr; }

void note_run(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs,
              int max_threads) {
  t_recording->runs.push_back(
      {plan, {inputs.begin(), inputs.end()}, {outputs.begin(), outputs.end()}, max_threads});
}

void refuse_recording() noexcept { t_recording->is_possible = false; }

void bind_recorded(py::module_& m) {
  m.def("record", &record, py::arg("fn"), py::arg("arrays"), py::pos_only());
  m.attr("run_recorded") = py::capsule(
      reinterpret_cast<void*>(static_cast<RunRecorded>(&run_recorded)), kRunRecordedCapsule);
}

}  // namespace swath::python
