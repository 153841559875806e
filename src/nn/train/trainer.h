/* trainer.h - training a graph, the same bits whatever the number of threads.
 *
 *   batch (B rows) = tiles of tile_rows --> lanes --> tree --> one gradient --> optimiser
 *
 *      lane 0: tile 0, tile 4, ...  ─┐
 *      lane 1: tile 1, tile 5, ...  ─┴(+)─┐
 *      lane 2: tile 2, tile 6, ...  ─┐    (+)-- gradient
 *      lane 3: tile 3, tile 7, ...  ─┴(+)─┘
 *
 * A lane has its own arena and its own gradient vector; it runs its tiles in their order, each adding
 * to that vector. Lanes are tasks of a pool: a thread takes whole lanes. Their number is fixed by the
 * options, never by threads, and their vectors are added in the tree drawn above.
 *
 * Ranks (ranks.h) are processes that divide the lanes; each is given the whole batch and reads the rows of
 * its own lanes' tiles.
 *
 * Invariants: (1) same graph, options (but threads and ranks), seed and batches: the same parameters, bit for bit;
 * (2) after fw_nn_trainer_new nothing is allocated; (3) a step whose loss or gradient is not finite
 * changes nothing and names the step and the first node that made such a number; (4) a checkpoint
 * written after step n and read back goes on to the same bits as one that never stopped.
 */
#ifndef FW_NN_TRAIN_TRAINER_H
#define FW_NN_TRAIN_TRAINER_H

#include "nn/train/grad.h"
#include "nn/train/optimiser.h"
#include "nn/train/ranks.h"

enum { FW_NN_LANES_MAX = 64, FW_NN_CLASSES_MAX = 256 };

typedef struct fw_nn_trainer_options {
    uint32_t batch;     /* rows of a step, at most */
    uint32_t tile_rows; /* [batch / lanes, rounded up, at most 1024] */
    uint32_t lanes;     /* a power of two [4] */
    uint32_t threads;   /* [1] */
    const fw_nn_ranks *ranks; /* must outlive the trainer [fw_nn_ranks_alone] */
    fw_nn_dtype precision; /* BF16: weights and values between nodes rounded to it;
                              sums, master weights, gradients and moments stay fp32 (plan.h) [F32] */
    uint64_t seed;      /* initial values and dropout */
    fw_nn_optimiser_options optimiser;
    const fw_nn_backend *const *backends; /* as in plan.h [fw_nn_backends_train of fused.h]; an empty
                                             list takes the references */
} fw_nn_trainer_options;

typedef struct fw_nn_trainer fw_nn_trainer;

/* What a step came to. */
typedef struct fw_nn_step_report {
    double loss; /* mean over the rows */
    double gradient_norm;
    float rate;
} fw_nn_step_report;

/* The graph may be freed afterwards. loss: a scalar an example (graph.h). */
fw_status fw_nn_trainer_new(const fw_nn_graph *graph, fw_nn_value loss,
                            const fw_nn_trainer_options *options, fw_nn_trainer **out,
                            fw_error *error) FW_MUST;
void fw_nn_trainer_free(fw_nn_trainer *trainer);

/* One step on `rows` examples, at most batch. inputs: by the order of the graph's inputs, each (rows)
 * arrays. FW_CORRUPT: a number that is not finite, see (3). */
fw_status fw_nn_trainer_step(fw_nn_trainer *trainer, const void *const *inputs, uint32_t rows,
                             fw_nn_step_report *report, fw_error *error) FW_MUST;
/* Mean loss without a step, dropout off. */
fw_status fw_nn_trainer_loss(fw_nn_trainer *trainer, const void *const *inputs, uint32_t rows,
                             double *loss, fw_error *error) FW_MUST;

/* The CPU classes its steps ran on, "x86-64-v3, oneDNN 2.6.3 avx2"; several where it was restored on
 * another machine, with "; " between them: then no machine alone makes these bits again. */
const char *fw_nn_trainer_classes(const fw_nn_trainer *trainer);
uint64_t fw_nn_trainer_steps(const fw_nn_trainer *trainer);
/* Owned by the trainer, laid out as fw_nn_trainer_layout says; may be written between steps. */
float *fw_nn_trainer_parameters(fw_nn_trainer *trainer);
/* The average of the weights; the parameters themselves when none is kept. */
const float *fw_nn_trainer_average(const fw_nn_trainer *trainer);
const fw_nn_layout *fw_nn_trainer_layout(const fw_nn_trainer *trainer);
const fw_nn_graph *fw_nn_trainer_graph(const fw_nn_trainer *trainer);
/* Bytes of this rank's lanes' arenas; what liveness allows at best; of parameters, gradients and moments;
 * of parameters packed. */
typedef struct fw_nn_trainer_memory {
    size_t arena_bytes, bound_bytes, vector_bytes, packed_bytes;
} fw_nn_trainer_memory;
fw_nn_trainer_memory fw_nn_trainer_memory_of(const fw_nn_trainer *trainer);

/* What a checkpoint keeps (checkpoint.h): written by a restore, between steps. */
typedef struct fw_nn_trainer_state {
    float *params, *m, *v, *average; /* (floats); average is NULL where none is kept */
    size_t floats;
    uint64_t *steps;
    char *classes; /* (FW_NN_CLASSES_MAX) */
    const fw_nn_trainer_options *options; /* defaults filled in */
} fw_nn_trainer_state;
fw_nn_trainer_state fw_nn_trainer_state_of(fw_nn_trainer *trainer);

#endif
