/* plan.h - a graph made ready to run: every decision taken once, then a flat list of calls.
 *
 *   graph --fw_nn_plan_make--> plan (const)             order, kernels, places of all values
 *                                | one plan, many sessions
 *         session = arena + calls with their pointers   --fw_nn_session_run--> outputs
 *
 *   places   parameters   one flat vector, in the order of the graph (fw_nn_layout)
 *            gradients    the same layout; written by training plans only
 *            inputs       the caller's arrays, not copied
 *            arena        everything else: by liveness, values that are never alive at the same time
 *                         share bytes; a reshape is its input's bytes; an element-wise node writes over
 *                         an input that nobody reads afterwards
 *            packed       parameters once more, as kernels like to read them: made by fw_nn_plan_pack
 *                         after every change of the parameters (a training step; a model loaded)
 *
 *   numbers  store F32: every value is fp32. store BF16: arrays of an example between two nodes are kept
 *            as bf16 (half their bytes) and the parameters come rounded to bf16; sums, statistics, losses,
 *            gradients of parameters, inputs and outputs stay fp32. A kernel that knows fp32 alone runs
 *            behind a conversion (convert.h).
 *
 *   values by time:   a |####......|        arena offsets:  a, then c in a's place (best fit, the
 *                     b |.######...|                        largest first)
 *                     c |.....####.|
 *
 * Invariants: (1) running allocates nothing and branches on no shape; (2) the same plan, parameters and
 * inputs give the same bits in every session, on any thread; (3) arena_bytes is what a session has;
 * bound_bytes is the most that is alive at one time, below which no arrangement can go.
 */
#ifndef FW_NN_RUN_PLAN_H
#define FW_NN_RUN_PLAN_H

#include "nn/run/ops.h"

enum { FW_NN_ALIGN_BYTES = 64 };

/* Where parameters lie in a flat vector of floats: 16-element aligned, gaps are zero. */
typedef struct fw_nn_layout {
    size_t *offsets; /* (value_count) in floats, SIZE_MAX for what is no parameter; owned */
    uint32_t value_count;
    size_t floats; /* of the vector */
} fw_nn_layout;
fw_status fw_nn_layout_make(const fw_nn_graph *graph, fw_nn_layout *out, fw_error *error) FW_MUST;
void fw_nn_layout_clear(fw_nn_layout *layout);
/* Initial values: each parameter from a stream of its own (seed and name). params: (floats). */
void fw_nn_initialise(const fw_nn_graph *graph, const fw_nn_layout *layout, uint64_t seed,
                      float *params);

/* Gradient of a parameter in a training graph: `gradient` is added up in the parameter's place. */
typedef struct fw_nn_gradient {
    fw_nn_value parameter, gradient;
} fw_nn_gradient;

/* What a backend answers for one step. */
typedef struct fw_nn_choice {
    fw_nn_kernel *kernel;  /* NULL: not this backend's, the next one is asked */
    size_t scratch_bytes;  /* of a call of the plan's rows */
    /* Parameters in the kernel's own order, where the plan packs (view.packable): `pack` reads in[] of
       the call, whose parameters' data are set, and writes packed_bytes at 64-byte aligned `packed`,
       which the kernel finds as call->packed. It must write every byte it reads later. */
    size_t packed_bytes;
    void (*pack)(const fw_nn_call *call, void *packed);
    void *prepared;        /* made once, read by every session as call->prepared; NULL: none */
    void (*release)(void *prepared);
    /* A session's own part (call->own), where `prepared` cannot be shared by threads; NULL: none. */
    fw_status (*open)(const void *prepared, void **own, fw_error *error);
    void (*close)(void *own);
} fw_nn_choice;

/* A set of kernels: hand-written (nn/run/cpu/fast.h), gradients (nn/train/cpu/fused.h), oneDNN
 * (nn/train/cpu/dnnl.h). `choose` sees the call as it will be run but for data: shapes, the plan's rows,
 * and call->fused, the element-wise operator it would have to do as well (0: none).
 *
 * Fusion: a node whose only reader is an element-wise one is offered as one step with it; no value
 * between them exists then. The plan tries every pair below, and leaves them apart when no backend
 * takes it. The second operand of the reader must be older than the first node.
 *
 *     linear, conv, linear_grad_x, conv_grad_x  +  relu tanh sigmoid gelu silu add, relu_grad ...  */
typedef struct fw_nn_backend {
    const char *name;
    fw_status (*choose)(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error);
    bool bf16; /* choose knows bf16 operands; others are shown fp32 ones and run behind a conversion */
} fw_nn_backend;

typedef struct fw_nn_plan_options {
    uint32_t rows; /* examples of a run, at most */
    bool training;
    const fw_nn_value *keep; /* (keep_count) values to be read after a run, beside the outputs */
    uint32_t keep_count;
    const fw_nn_gradient *gradients; /* (gradient_count) */
    uint32_t gradient_count;
    const fw_nn_backend *const *backends; /* asked in order; NULL-terminated; NULL: references */
    bool pack;           /* parameters are packed before runs (fw_nn_plan_pack) */
    fw_nn_dtype store;   /* F32 or BF16, see above */
    const float *ranges; /* (value_count) of calibration, read while planning and opening sessions */
} fw_nn_plan_options;

typedef struct fw_nn_plan fw_nn_plan;
typedef struct fw_nn_session fw_nn_session;

/* The graph outlives the plan. FW_INVALID: the graph failed; FW_TOO_BIG; FW_NO_MEMORY. */
fw_status fw_nn_plan_make(const fw_nn_graph *graph, const fw_nn_plan_options *options,
                          fw_nn_plan **out, fw_error *error) FW_MUST;
void fw_nn_plan_free(fw_nn_plan *plan);
size_t fw_nn_plan_arena_bytes(const fw_nn_plan *plan);
size_t fw_nn_plan_bound_bytes(const fw_nn_plan *plan);
const fw_nn_layout *fw_nn_plan_layout(const fw_nn_plan *plan);
/* Packing: tasks that threads may share, each once after the parameters changed. packed: 64-byte
 * aligned, fw_nn_plan_packed_bytes of it; 0 where nothing is packed. */
size_t fw_nn_plan_packed_bytes(const fw_nn_plan *plan);
uint32_t fw_nn_plan_pack_tasks(const fw_nn_plan *plan);
void fw_nn_plan_pack_task(const fw_nn_plan *plan, const float *parameters, void *packed,
                          uint32_t task);
void fw_nn_plan_pack(const fw_nn_plan *plan, const float *parameters, void *packed);
/* Steps in their order; NULL past the end. For profiles. */
const fw_nn_node *fw_nn_plan_step(const fw_nn_plan *plan, uint32_t index);
/* Who computes a step: a backend's name, or "reference". */
const char *fw_nn_plan_backend(const fw_nn_plan *plan, uint32_t index);

/* The plan outlives the session. */
fw_status fw_nn_session_new(const fw_nn_plan *plan, fw_nn_session **out, fw_error *error) FW_MUST;
void fw_nn_session_free(fw_nn_session *session);

typedef struct fw_nn_run_args {
    const float *parameters;    /* layout->floats */
    const void *packed;         /* made of them; NULL when the plan packs nothing */
    float *gradients;           /* the same; added to; NULL outside training */
    bool first; /* gradients are those of this run alone: set, not added to, whatever they hold */
    const void *const *inputs;  /* by the order of inputs in the graph; (rows) arrays each */
    uint32_t rows, first_row;   /* first_row: place in the batch, for dropout */
    uint64_t seed;              /* of this step, for dropout */
    /* Called after each step when set: profiling, and finding the node of a NaN. */
    void (*after)(void *self, uint32_t step, const fw_nn_call *call);
    void *after_self;
} fw_nn_run_args;

void fw_nn_session_run(fw_nn_session *session, const fw_nn_run_args *args);
/* What a run left in a value that was kept, an output, or an input or parameter of the last run. */
const void *fw_nn_session_value(const fw_nn_session *session, fw_nn_value value);

#endif
