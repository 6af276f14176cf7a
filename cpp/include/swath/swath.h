/* The C interface of swath: plans over the caller's memory.
 *
 * A plan is made once from descriptions of arrays and the numbers of a call, and run any number of
 * times, from any number of threads at once. Arrays are pointers that the caller owns. No C++ type
 * and no exception crosses this line: every function that can fail returns a swath_status, and
 * swath_last_error() tells the calling thread what was wrong.
 *
 * Structs begin with struct_size: set it to sizeof and leave every field that you do not need at
 * zero, which is its default. Later versions append fields; a library takes structs of older and
 * newer programs as long as fields that it does not know are zero. SWATH_ABI_VERSION grows only if
 * that no longer holds.
 *
 * With one thread and a workspace, swath_run() neither allocates nor locks. */
#ifndef SWATH_SWATH_H
#define SWATH_SWATH_H

#include <stddef.h>
#include <stdint.h>

#include <swath/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SWATH_ABI_VERSION 1
#define SWATH_MAX_RANK 8

typedef int32_t swath_status; /* SWATH_OK, or one of the others */
enum {
  SWATH_OK,
#define SWATH_ERROR(code, python_class, python_base) SWATH_STATUS_##code,
#include <swath/errors.def>
#undef SWATH_ERROR
};

typedef int32_t swath_dtype;
enum {
#define SWATH_DTYPE(name, bytes) SWATH_DTYPE_##name,
#include <swath/dtypes.def>
#undef SWATH_DTYPE
};

typedef int32_t swath_layout;
enum { SWATH_CHANNELS_FIRST, SWATH_CHANNELS_LAST };

typedef int32_t swath_activation;
enum {
#define SWATH_ACTIVATION(name, value) SWATH_ACTIVATION_##name,
#include <swath/activation.def>
#undef SWATH_ACTIVATION
};

typedef int32_t swath_padding_rule;
enum {
  SWATH_PADDING_GIVEN, /* the pairs in `padding` */
  SWATH_PADDING_VALID,
  SWATH_PADDING_SAME,    /* odd kernels, stride 1 */
  SWATH_PADDING_SAME_TF, /* ceil(size / stride) outputs */
  SWATH_PADDING_CAUSAL
};

typedef int32_t swath_padding_mode;
enum {
  SWATH_PAD_ZEROS,
  SWATH_PAD_REFLECT,
  SWATH_PAD_REPLICATE,
  SWATH_PAD_CIRCULAR,
  SWATH_PAD_PARTIAL
};

/* Shape, and strides in elements, which may be zero or negative. */
typedef struct swath_array {
  swath_dtype dtype;
  int32_t rank;
  int64_t shape[SWATH_MAX_RANK];
  int64_t strides[SWATH_MAX_RANK];
} swath_array;

/* ---- The library ---- */

SWATH_API const char* swath_version(void);
SWATH_API int32_t swath_abi_version(void);
/* What the calling thread's last failure was: "conv: groups is 0, ...". Empty if none. */
SWATH_API const char* swath_last_error(void);
/* Its argument, as the function calls it; may be empty. */
SWATH_API const char* swath_last_error_argument(void);
/* Threads of swath's own pool, which starts with the first run that uses it. */
SWATH_API swath_status swath_set_num_threads(int32_t n);
SWATH_API int32_t swath_num_threads(void);
/* A C-contiguous description; rank 0 if dtype or rank are none. */
SWATH_API swath_array swath_contiguous(swath_dtype dtype, int32_t rank, const int64_t* shape);

/* ---- Plans ---- */

typedef struct swath_plan swath_plan;

/* Work on [begin, end); `worker` counts from 0 and is no other running task's. */
typedef void (*swath_task)(void* argument, int64_t begin, int64_t end, int32_t worker);

/* The caller's own threads. parallel_for covers [0, n) by calls of `task` on ranges of at most
 * `grain`, on at most `max_workers` threads, and returns when all are done. */
typedef struct swath_scheduler {
  size_t struct_size;
  void* context;
  int32_t concurrency;
  void (*parallel_for)(void* context, int64_t n, int64_t grain, int32_t max_workers,
                       swath_task task, void* argument);
} swath_scheduler;

typedef struct swath_run_options {
  size_t struct_size;
  int32_t max_threads;              /* 0: all */
  void* workspace;                  /* null: see allocate */
  size_t workspace_bytes;           /* at least swath_plan_workspace_bytes(plan, threads) */
  const swath_scheduler* scheduler; /* null: swath's own pool */
  /* Makes the workspace where none is given, aligned to 64 bytes; null: memory that swath keeps
   * for each calling thread. */
  void* (*allocate)(void* context, size_t n_bytes, size_t alignment);
  void (*release)(void* context, void* memory, size_t n_bytes);
  void* allocator_context;
} swath_run_options;

SWATH_API void swath_plan_release(swath_plan* plan);
SWATH_API int32_t swath_plan_n_outputs(const swath_plan* plan);
SWATH_API swath_status swath_plan_output(const swath_plan* plan, int32_t index,
                                         swath_array* output);
SWATH_API size_t swath_plan_workspace_bytes(const swath_plan* plan, int32_t n_threads);
/* The kernel of the costliest step; lives as long as the plan. */
SWATH_API const char* swath_plan_kernel(const swath_plan* plan);
/* The same plan with its weights packed once; inputs that are no weights may be null. */
SWATH_API swath_status swath_plan_prepack(const swath_plan* plan, const void* const* inputs,
                                          int32_t n_inputs, swath_plan** packed);
/* Inputs in the order of the arguments of the function that made the plan, null where its
 * description was null; C-contiguous outputs as swath_plan_output() describes them. */
SWATH_API swath_status swath_run(const swath_plan* plan, const void* const* inputs,
                                 int32_t n_inputs, void* const* outputs, int32_t n_outputs,
                                 const swath_run_options* options);

/* ---- Convolution and pooling over windows ---- */

/* Numbers per spatial axis: the first ndim count, and 0 stands for 1. */
typedef struct swath_conv_params {
  size_t struct_size;
  int32_t ndim; /* spatial axes: 1, 2 or 3 */
  int64_t stride[3], dilation[3];
  swath_padding_rule padding_rule;
  int64_t padding[3][2]; /* before and after */
  swath_padding_mode padding_mode;
  int64_t groups; /* 0: 1 */
  swath_layout layout;
  swath_activation activation;
  double activation_value; /* of leaky_relu and elu; 0: the usual one */
  int32_t residual_before_activation;
  int64_t channels_begin, channels_end; /* convolve these input channels only; 0, 0: all */
  int32_t drop_other_channels;          /* give only the convolved ones */
} swath_conv_params;

/* y = act((w * x + bias) scale + shift) + residual. x (N, C, *spatial) or channels last, N may be
 * missing; weight (O, C/groups, *kernel); bias, scale, shift (O); null where absent. */
SWATH_API swath_status swath_plan_conv(const swath_array* x, const swath_array* weight,
                                       const swath_array* bias, const swath_array* scale,
                                       const swath_array* shift, const swath_array* residual,
                                       const swath_conv_params* params, swath_plan** plan);

typedef struct swath_conv_transpose_params {
  size_t struct_size;
  int32_t ndim;
  int64_t stride[3], dilation[3], padding[3][2], output_padding[3];
  int64_t groups;
  swath_layout layout;
} swath_conv_transpose_params;

/* The adjoint of the convolution; weight (C, O/groups, *kernel). */
SWATH_API swath_status swath_plan_conv_transpose(const swath_array* x, const swath_array* weight,
                                                 const swath_array* bias,
                                                 const swath_conv_transpose_params* params,
                                                 swath_plan** plan);

typedef struct swath_partial_conv_params {
  size_t struct_size;
  int32_t keep_sums; /* do not divide by the share of the window that is seen */
  int32_t same_mask; /* mask_out is the mask at the window's centre, not "anything seen" */
  double eps;        /* 0: 1e-8 */
} swath_partial_conv_params;

/* Mask-aware convolution; mask (N or 1, C or 1, *spatial) of bool, uint8 or floats, null: all ones.
 * Outputs: y, mask_out. `conv`: zero padding, all channels. */
SWATH_API swath_status swath_plan_partial_conv(const swath_array* x, const swath_array* weight,
                                               const swath_array* bias, const swath_array* mask,
                                               const swath_conv_params* conv,
                                               const swath_partial_conv_params* params,
                                               swath_plan** plan);

typedef struct swath_gate_params {
  size_t struct_size;
  swath_activation gate; /* none (0): sigmoid */
  double gate_value;
  int32_t is_linear;  /* no activation on the gates at all */
  int32_t gate_first; /* the weight's first half makes the gates */
} swath_gate_params;

/* Convolution whose second half of channels gates the first; weight (2 O, C/groups, *kernel). */
SWATH_API swath_status swath_plan_gated_conv(const swath_array* x, const swath_array* weight,
                                             const swath_array* bias, const swath_array* scale,
                                             const swath_array* shift, const swath_array* residual,
                                             const swath_conv_params* conv,
                                             const swath_gate_params* params, swath_plan** plan);

typedef int32_t swath_pool_op;
enum { SWATH_POOL_SUM, SWATH_POOL_MEAN, SWATH_POOL_MAX, SWATH_POOL_MIN };

typedef struct swath_pooling_params {
  size_t struct_size;
  int32_t ndim;
  swath_pool_op op;
  int64_t window[3], stride[3], dilation[3];
  swath_padding_rule padding_rule;
  int64_t padding[3][2];
  int32_t exclude_padding; /* a mean divides by the elements inside */
  swath_layout layout;
} swath_pooling_params;

SWATH_API swath_status swath_plan_pooling(const swath_array* x, const swath_pooling_params* params,
                                          swath_plan** plan);

/* ---- Convolution with long and with dynamic taps ---- */

typedef int32_t swath_long_mode;
enum {
  SWATH_LONG_CAUSAL,
  SWATH_LONG_SAME,
  SWATH_LONG_FULL,
  SWATH_LONG_VALID,
  SWATH_LONG_CIRCULAR,
  SWATH_LONG_TWO_SIDED
};

typedef struct swath_long_conv_params {
  size_t struct_size;
  swath_long_mode mode;
  int32_t has_offset;
  int64_t offset; /* of SWATH_LONG_TWO_SIDED; (K - 1) / 2 without */
  int32_t correlate;
  int32_t interleaved_heads;
  swath_layout layout;
} swath_long_conv_params;

/* y = post_gate (k * (u pre_gate) + skip u pre_gate + bias); u (B, D, L) or (D, L), k (H, K). */
SWATH_API swath_status swath_plan_long_conv(const swath_array* u, const swath_array* k,
                                            const swath_array* skip, const swath_array* bias,
                                            const swath_array* pre_gate,
                                            const swath_array* post_gate,
                                            const swath_long_conv_params* params,
                                            swath_plan** plan);

typedef struct swath_dynamic_conv_params {
  size_t struct_size;
  int32_t ndim;      /* 1 or 2 */
  int64_t kernel[2]; /* of two axes; 0, 0: the taps are a square */
  int64_t stride[2], dilation[2];
  swath_padding_rule padding_rule;
  int64_t padding[2][2];
  int32_t softmax; /* over the taps */
  int32_t renormalize_padding;
  int32_t interleaved_groups;
  swath_layout layout;
} swath_dynamic_conv_params;

/* Taps of their own for every position: weight (N, G, K, *S), or (N, *S, G, K) channels last. */
SWATH_API swath_status swath_plan_dynamic_conv(const swath_array* x, const swath_array* weight,
                                               const swath_dynamic_conv_params* params,
                                               swath_plan** plan);

/* ---- Attention ---- */

typedef int32_t swath_pattern;
enum {
  SWATH_PATTERN_DENSE,
  SWATH_PATTERN_CAUSAL,
  SWATH_PATTERN_WINDOW,       /* of a sequence: `left` keys before, `right` after */
  SWATH_PATTERN_NEIGHBORHOOD, /* of 1 to 3 token axes */
  SWATH_PATTERN_MASK          /* `mask`, bool (B or 1, H or 1, Nq, Nk) */
};

typedef struct swath_attention_params {
  size_t struct_size;
  int32_t heads_last; /* (B, *tokens, H, D), not (B, H, *tokens, D) */
  int32_t return_lse; /* a second output: the log of the sum of exponentials */
  int32_t has_scale;
  double scale; /* D^-1/2 without */
  double softcap;
  swath_pattern pattern;
  int64_t left, right; /* of SWATH_PATTERN_WINDOW; -1: no limit */
  /* Of SWATH_PATTERN_NEIGHBORHOOD, by token axis; 0: 1. */
  int64_t kernel_size[3], dilation[3], stride[3];
  int32_t causal_axis[3];
} swath_attention_params;

/* o = softmax(scale q k^T + bias) v over the pairs that the pattern allows. */
SWATH_API swath_status swath_plan_attention(const swath_array* q, const swath_array* k,
                                            const swath_array* v, const swath_array* bias,
                                            const swath_array* mask,
                                            const swath_attention_params* params,
                                            swath_plan** plan);

#ifdef __cplusplus
}
#endif

#endif
