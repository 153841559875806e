/* runner.h - a model opened to run in a precision: plan, packed parameters and a session in one.
 *
 *   precision  plan                                     parameters            backends
 *   F32        every value fp32                         the model's           fast
 *   BF16       values between nodes bf16                rounded once, here    bf16, fast
 *   I8         fp32; linear and convolution in int8     the model's           int8, fast    needs the
 *                                                                             model's ranges (calibrate.h)
 *
 * More sessions on the same plan are the caller's: fw_nn_session_new(runner.plan), run with runner.args.
 */
#ifndef FW_NN_RUN_RUNNER_H
#define FW_NN_RUN_RUNNER_H

#include "nn/run/model.h"

typedef struct fw_nn_runner {
    fw_nn_plan *plan;
    fw_nn_session *session;
    fw_nn_run_args args; /* parameters and packed are set */
    float *rounded;      /* BF16: the parameters; else NULL */
    void *packed;        /* fw_nn_plan_packed_bytes of it, or NULL */
} fw_nn_runner;

/* The model outlives the runner. FW_INVALID: I8 of a model without ranges. */
fw_status fw_nn_runner_open(const fw_nn_model *model, fw_nn_dtype precision, uint32_t rows,
                            fw_nn_runner *out, fw_error *error) FW_MUST;
/* The same for any plan of the model: `pack` and parameters rounded where it stores BF16. */
fw_status fw_nn_runner_open_as(const fw_nn_model *model, const fw_nn_plan_options *options,
                               fw_nn_runner *out, fw_error *error) FW_MUST;
/* inputs, rows: as in fw_nn_run_args. */
void fw_nn_runner_run(fw_nn_runner *runner, const void *const *inputs, uint32_t rows);
void fw_nn_runner_close(fw_nn_runner *runner);

/* "fp32", "bf16", "int8", and back. FW_NOT_FOUND. */
const char *fw_nn_precision_name(fw_nn_dtype precision);
fw_status fw_nn_precision_find(const char *name, fw_nn_dtype *out) FW_MUST;

#endif
