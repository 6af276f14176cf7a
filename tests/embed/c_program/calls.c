/* A C program against an installed swath: every kind of plan, wrong calls, the caller's scheduler,
 * allocator and workspace. Prints "ok" or the first line that does not hold. */
#include <swath/swath.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counted.h"

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) {                                                      \
      printf("line %d: %s: %s\n", __LINE__, #condition, swath_last_error()); \
      exit(1);                                                               \
    }                                                                        \
  } while (0)

enum { SIDE = 64, TAPS = 5, LENGTH = 300 };

static swath_array floats(int32_t rank, const int64_t* shape) {
  return swath_contiguous(SWATH_DTYPE_f32, rank, shape);
}

static float noise(void) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static void fill(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = noise();
}

static float picture[SIDE * SIDE], taps[TAPS * TAPS], filtered[SIDE * SIDE], other[SIDE * SIDE];

static swath_plan* make_filter(void) {
  const int64_t shape[] = {1, 1, SIDE, SIDE}, kernel[] = {1, 1, TAPS, TAPS};
  const swath_array x = floats(4, shape), w = floats(4, kernel);
  swath_conv_params params = {.struct_size = sizeof params, .ndim = 2};
  params.padding_rule = SWATH_PADDING_SAME;
  swath_plan* plan = NULL;
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &params, &plan) == SWATH_OK);
  swath_array y;
  CHECK(swath_plan_n_outputs(plan) == 1 && swath_plan_output(plan, 0, &y) == SWATH_OK);
  CHECK(y.rank == 4 && y.shape[3] == SIDE && y.strides[2] == SIDE && y.dtype == SWATH_DTYPE_f32);
  CHECK(swath_plan_output(plan, 1, &y) == SWATH_STATUS_param);
  return plan;
}

static float filtered_at(int row, int column) {
  double sum = 0;
  for (int i = 0; i < TAPS; ++i) {
    for (int j = 0; j < TAPS; ++j) {
      const int a = row + i - TAPS / 2, b = column + j - TAPS / 2;
      if (a >= 0 && a < SIDE && b >= 0 && b < SIDE) {
        sum += (double)picture[a * SIDE + b] * taps[i * TAPS + j];
      }
    }
  }
  return (float)sum;
}

static void check_filtered(const float* y) {
  for (int i = 0; i < SIDE; ++i) {
    for (int j = 0; j < SIDE; ++j) {
      CHECK(fabsf(y[i * SIDE + j] - filtered_at(i, j)) < 1e-4f);
    }
  }
}

static void own_parallel_for(void* context, int64_t n, int64_t grain, int32_t max_workers,
                             swath_task task, void* argument) {
  (void)max_workers;
  for (int64_t begin = 0; begin < n; begin += grain) {
    ++*(int*)context;
    task(argument, begin, begin + grain < n ? begin + grain : n, 0);
  }
}

static int n_held;
static void* own_allocate(void* context, size_t n, size_t alignment) {
  (void)context;
  ++n_held;
  return aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment);
}
static void own_release(void* context, void* memory, size_t n) {
  (void)context;
  (void)n;
  --n_held;
  free(memory);
}

static void check_runs(void) {
  fill(picture, SIDE * SIDE);
  fill(taps, TAPS * TAPS);
  swath_plan* plan = make_filter();
  const void* inputs[] = {picture, taps, NULL, NULL, NULL, NULL};
  void* outputs[] = {filtered};
  CHECK(swath_run(plan, inputs, 6, outputs, 1, NULL) == SWATH_OK);
  check_filtered(filtered);

  int n_ranges = 0;
  const swath_scheduler scheduler = {sizeof scheduler, &n_ranges, 3, own_parallel_for};
  swath_run_options options = {.struct_size = sizeof options, .scheduler = &scheduler};
  options.allocate = own_allocate;
  options.release = own_release;
  void* others[] = {other};
  CHECK(swath_run(plan, inputs, 6, others, 1, &options) == SWATH_OK);
  CHECK(n_held == 0 && memcmp(other, filtered, sizeof other) == 0);

  swath_plan* packed = NULL;
  CHECK(swath_plan_prepack(plan, inputs, 6, &packed) == SWATH_OK);
  memset(other, 0, sizeof other);
  CHECK(swath_run(packed, inputs, 6, others, 1, NULL) == SWATH_OK);
  CHECK(memcmp(other, filtered, sizeof other) == 0);

  const size_t n = swath_plan_workspace_bytes(packed, 1);
  void* workspace = aligned_alloc(64, (n + 64) / 64 * 64);
  swath_run_options quiet = {.struct_size = sizeof quiet, .max_threads = 1};
  quiet.workspace = workspace;
  quiet.workspace_bytes = n;
  CHECK(swath_run(packed, inputs, 6, others, 1, &quiet) == SWATH_OK);
  const long allocations = n_allocations, locks = n_locks;
  for (int i = 0; i < 100; ++i) swath_run(packed, inputs, 6, others, 1, &quiet);
  CHECK(n_allocations == allocations && n_locks == locks);
  CHECK(allocations > 0 && memcmp(other, filtered, sizeof other) == 0);

  if (n > 0) {
    quiet.workspace_bytes = n - 1;
    CHECK(swath_run(packed, inputs, 6, others, 1, &quiet) == SWATH_STATUS_param);
    CHECK(strcmp(swath_last_error_argument(), "workspace") == 0);
    quiet.workspace_bytes = n;
    quiet.workspace = (char*)workspace + 4;
    CHECK(swath_run(packed, inputs, 6, others, 1, &quiet) == SWATH_STATUS_param);
  }
  free(workspace);
  swath_plan_release(packed);
  swath_plan_release(plan);
}

/* A run on two threads of swath's own takes the pool's lock: the counter sees the library. */
static void check_pool(void) {
  enum { WIDE = 1024 };
  const int64_t shape[] = {1, 1, WIDE, WIDE}, kernel[] = {1, 1, TAPS, TAPS};
  const swath_array x = floats(4, shape), w = floats(4, kernel);
  const swath_conv_params params = {.struct_size = sizeof params, .ndim = 2};
  swath_plan* plan = NULL;
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &params, &plan) == SWATH_OK);
  float* in = calloc(WIDE * WIDE, sizeof(float));
  float* out = calloc(WIDE * WIDE, sizeof(float));
  const long locks = n_locks;
  CHECK(swath_set_num_threads(2) == SWATH_OK);
  CHECK(swath_run(plan, (const void*[]){in, taps, NULL, NULL, NULL, NULL}, 6, (void*[]){out}, 1,
                  NULL) == SWATH_OK);
  CHECK(n_locks > locks);
  free(in);
  free(out);
  swath_plan_release(plan);
}

static void check_wrong_calls(void) {
  const int64_t shape[] = {1, 4, SIDE, SIDE}, kernel[] = {6, 4, 3, 3};
  const swath_array x = floats(4, shape), w = floats(4, kernel);
  swath_array strange = x;
  swath_plan* plan = (swath_plan*)&strange;
  swath_conv_params params = {.struct_size = sizeof params, .ndim = 2, .groups = 3};
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &params, &plan) != SWATH_OK);
  CHECK(plan == NULL && strstr(swath_last_error(), "swath_plan_conv: ") == swath_last_error());
  CHECK(strstr(swath_last_error(), "groups") != NULL);
  params.groups = 0;
  params.ndim = 7;
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &params, &plan) == SWATH_STATUS_param);
  params.ndim = 2;
  params.activation = 99;
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &params, &plan) == SWATH_STATUS_param);
  params.activation = SWATH_ACTIVATION_relu;
  CHECK(swath_plan_conv(&x, NULL, NULL, NULL, NULL, NULL, &params, &plan) == SWATH_STATUS_param);
  CHECK(strcmp(swath_last_error_argument(), "weight") == 0);
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &params, NULL) == SWATH_STATUS_param);
  strange.rank = 99;
  CHECK(swath_plan_conv(&strange, &w, NULL, NULL, NULL, NULL, &params, &plan) ==
        SWATH_STATUS_shape);
  strange = x;
  strange.shape[0] = INT64_MAX / 2;
  CHECK(swath_plan_conv(&strange, &w, NULL, NULL, NULL, NULL, &params, &plan) ==
        SWATH_STATUS_shape);
  strange = x;
  strange.dtype = SWATH_DTYPE_i32;
  CHECK(swath_plan_conv(&strange, &w, NULL, NULL, NULL, NULL, &params, &plan) ==
        SWATH_STATUS_dtype);

  /* A program of a later version: more fields, which must be zero. */
  struct {
    swath_conv_params known;
    int64_t later;
  } longer = {.known = params};
  longer.known.struct_size = sizeof longer;
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &longer.known, &plan) == SWATH_OK);
  swath_plan_release(plan);
  longer.later = 1;
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &longer.known, &plan) ==
        SWATH_STATUS_unsupported);
  /* One of an earlier version: fewer. */
  params.struct_size = offsetof(swath_conv_params, padding_mode);
  params.padding_mode = 77;
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &params, &plan) == SWATH_OK);
  void* outputs[] = {filtered};
  const void* inputs[] = {picture, NULL, NULL, NULL, NULL, NULL};
  CHECK(swath_run(plan, inputs, 6, outputs, 1, NULL) == SWATH_STATUS_param);
  CHECK(strcmp(swath_last_error_argument(), "weight") == 0);
  CHECK(swath_run(plan, inputs, 2, outputs, 1, NULL) == SWATH_STATUS_param);
  CHECK(swath_run(plan, inputs, 6, outputs, 2, NULL) == SWATH_STATUS_param);
  CHECK(swath_run(NULL, inputs, 6, outputs, 1, NULL) == SWATH_STATUS_param);
  swath_plan_release(plan);
  swath_plan_release(NULL);
}

static float u[LENGTH], k[LENGTH], y[LENGTH];

static void check_long_conv(void) {
  const int64_t shape[] = {1, LENGTH};
  const swath_array desc = floats(2, shape);
  swath_plan* plan = NULL;
  CHECK(swath_plan_long_conv(&desc, &desc, NULL, NULL, NULL, NULL, NULL, &plan) == SWATH_OK);
  fill(u, LENGTH);
  fill(k, LENGTH);
  const void* inputs[] = {u, k, NULL, NULL, NULL, NULL};
  void* outputs[] = {y};
  CHECK(swath_run(plan, inputs, 6, outputs, 1, NULL) == SWATH_OK);
  for (int t = 0; t < LENGTH; ++t) {
    double sum = 0;
    for (int j = 0; j <= t; ++j) sum += (double)u[t - j] * k[j];
    CHECK(fabs(sum - y[t]) < 1e-3);
  }
  swath_plan_release(plan);
}

/* Neighborhood attention of 3 tokens equals dense attention of 3 tokens. */
static void check_attention(void) {
  const int64_t shape[] = {1, 2, 3, 8};
  const swath_array q = floats(4, shape);
  swath_attention_params params = {.struct_size = sizeof params, .return_lse = 1};
  swath_plan *dense = NULL, *near = NULL;
  CHECK(swath_plan_attention(&q, &q, &q, NULL, NULL, &params, &dense) == SWATH_OK);
  params.pattern = SWATH_PATTERN_NEIGHBORHOOD;
  params.kernel_size[0] = 3;
  CHECK(swath_plan_attention(&q, &q, &q, NULL, NULL, &params, &near) == SWATH_OK);
  CHECK(swath_plan_n_outputs(near) == 2);
  static float values[48], a[48], b[48], lse_a[6], lse_b[6];
  fill(values, 48);
  const void* inputs[] = {values, values, values, NULL, NULL};
  CHECK(swath_run(dense, inputs, 5, (void*[]){a, lse_a}, 2, NULL) == SWATH_OK);
  CHECK(swath_run(near, inputs, 5, (void*[]){b, lse_b}, 2, NULL) == SWATH_OK);
  for (int i = 0; i < 48; ++i) CHECK(fabsf(a[i] - b[i]) < 1e-5f);
  for (int i = 0; i < 6; ++i) CHECK(fabsf(lse_a[i] - lse_b[i]) < 1e-5f);
  swath_plan_release(near);
  CHECK(swath_plan_attention(&q, &q, &q, NULL, &q, &params, &near) == SWATH_STATUS_param);
  swath_plan_release(dense);
}

/* A mask of ones changes nothing; the other plans at least give their shapes. */
static void check_the_rest(void) {
  const int64_t shape[] = {1, 2, 9, 9}, kernel[] = {4, 2, 3, 3}, one[] = {1, 1, 9, 9};
  const swath_array x = floats(4, shape), w = floats(4, kernel);
  const swath_array mask = swath_contiguous(SWATH_DTYPE_u8, 4, one);
  const swath_conv_params conv = {.struct_size = sizeof conv, .ndim = 2};
  swath_plan *partial = NULL, *plain = NULL, *gated = NULL, *pool = NULL, *up = NULL, *dyn = NULL;
  CHECK(swath_plan_partial_conv(&x, &w, NULL, &mask, &conv, NULL, &partial) == SWATH_OK);
  CHECK(swath_plan_conv(&x, &w, NULL, NULL, NULL, NULL, &conv, &plain) == SWATH_OK);
  static float in[162], weight[72], a[196], b[196], gates[98];
  static uint8_t ones[81], seen[49];
  fill(in, 162);
  fill(weight, 72);
  memset(ones, 1, sizeof ones);
  CHECK(swath_run(plain, (const void*[]){in, weight, NULL, NULL, NULL, NULL}, 6, (void*[]){a}, 1,
                  NULL) == SWATH_OK);
  CHECK(swath_run(partial, (const void*[]){in, weight, NULL, ones}, 4, (void*[]){b, seen}, 2,
                  NULL) == SWATH_OK);
  CHECK(memcmp(a, b, sizeof a) == 0 && seen[48] == 1);
  ones[0] = 7;
  CHECK(swath_run(partial, (const void*[]){in, weight, NULL, ones}, 4, (void*[]){b, seen}, 2,
                  NULL) == SWATH_STATUS_param);

  CHECK(swath_plan_gated_conv(&x, &w, NULL, NULL, NULL, NULL, &conv, NULL, &gated) == SWATH_OK);
  CHECK(swath_run(gated, (const void*[]){in, weight, NULL, NULL, NULL, NULL}, 6, (void*[]){gates},
                  1, NULL) == SWATH_OK);
  for (int i = 0; i < 98; ++i) {
    CHECK(fabsf(gates[i] - a[i] / (1 + expf(-a[98 + i]))) < 1e-4f);
  }

  swath_pooling_params max = {.struct_size = sizeof max, .ndim = 2, .op = SWATH_POOL_MAX};
  max.window[0] = max.window[1] = 9;
  CHECK(swath_plan_pooling(&x, &max, &pool) == SWATH_OK);
  float most[2], found = in[0];
  CHECK(swath_run(pool, (const void*[]){in}, 1, (void*[]){most}, 1, NULL) == SWATH_OK);
  for (int i = 0; i < 81; ++i) found = fmaxf(found, in[i]);
  CHECK(most[0] == found);

  swath_conv_transpose_params t = {.struct_size = sizeof t, .ndim = 2, .stride = {2, 2}};
  const int64_t back[] = {2, 3, 3, 3};
  const swath_array wt = floats(4, back);
  swath_array shape_of;
  CHECK(swath_plan_conv_transpose(&x, &wt, NULL, &t, &up) == SWATH_OK);
  CHECK(swath_plan_output(up, 0, &shape_of) == SWATH_OK);
  CHECK(shape_of.shape[1] == 3 && shape_of.shape[2] == 19);

  const int64_t sequence[] = {1, 2, 5}, every[] = {1, 1, 3, 5};
  const swath_array s = floats(3, sequence), ws = floats(4, every);
  swath_dynamic_conv_params d = {.struct_size = sizeof d, .ndim = 1, .softmax = 1};
  d.padding_rule = SWATH_PADDING_CAUSAL;
  CHECK(swath_plan_dynamic_conv(&s, &ws, &d, &dyn) == SWATH_OK);
  static float zero_taps[15], mean[10];
  CHECK(swath_run(dyn, (const void*[]){in, zero_taps}, 2, (void*[]){mean}, 1, NULL) == SWATH_OK);
  CHECK(fabsf(mean[4] - (in[2] + in[3] + in[4]) / 3) < 1e-5f);
  swath_plan* all[] = {partial, plain, gated, pool, up, dyn};
  for (int i = 0; i < 6; ++i) swath_plan_release(all[i]);
}

int main(void) {
  CHECK(swath_abi_version() == SWATH_ABI_VERSION);
  CHECK(strlen(swath_version()) > 0 && swath_num_threads() > 0);
  CHECK(swath_set_num_threads(0) == SWATH_STATUS_param);
  CHECK(swath_contiguous(99, 2, (const int64_t[]){1, 2}).rank == 0);
  check_runs();
  check_pool();
  check_wrong_calls();
  check_long_conv();
  check_attention();
  check_the_rest();
  printf("ok\n");
  return 0;
}
