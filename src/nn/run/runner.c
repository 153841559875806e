#include "nn/run/runner.h"

#include <stdlib.h>
#include <string.h>

#include "nn/run/cpu/bf16.h"
#include "nn/run/convert.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/int8.h"

static const struct {
    const char *name;
    fw_nn_dtype precision;
} names[] = {{"fp32", FW_NN_F32}, {"bf16", FW_NN_BF16}, {"int8", FW_NN_I8}};
enum { PRECISIONS = sizeof names / sizeof *names };

const char *fw_nn_precision_name(fw_nn_dtype precision) {
    size_t i = 0;
    while (i + 1 < PRECISIONS && names[i].precision != precision) i++;
    return names[i].name;
}

fw_status fw_nn_precision_find(const char *name, fw_nn_dtype *out) {
    for (size_t i = 0; i < PRECISIONS; i++)
        if (strcmp(names[i].name, name) == 0) {
            *out = names[i].precision;
            return FW_OK;
        }
    return FW_NOT_FOUND;
}

static fw_nn_plan_options options_of(const fw_nn_model *model, fw_nn_dtype precision,
                                     uint32_t rows) {
    fw_nn_plan_options o = {.rows = rows, .pack = true, .backends = fw_nn_backends_run};
    if (precision == FW_NN_BF16) o.backends = fw_nn_backends_bf16, o.store = FW_NN_BF16;
    if (precision == FW_NN_I8) o.backends = fw_nn_backends_int8, o.ranges = model->ranges;
    return o;
}

static fw_status open_parts(const fw_nn_model *model, const fw_nn_plan_options *options,
                            fw_nn_runner *r, fw_error *error) {
    bool rounds = options->store == FW_NN_BF16;
    FW_TRY(fw_nn_plan_make(model->graph, options, &r->plan, error));
    FW_TRY(fw_nn_session_new(r->plan, &r->session, error));
    size_t bytes = fw_nn_plan_packed_bytes(r->plan), floats = model->layout.floats;
    if (rounds) r->rounded = fw_nn_vector_new(floats);
    if (bytes > 0) r->packed = fw_nn_vector_new(bytes / sizeof(float) + 1);
    if ((rounds && !r->rounded) || (bytes > 0 && !r->packed))
        return fw_fail(error, FW_NO_MEMORY, "no memory to open a model");
    r->args.parameters = model->params;
    if (rounds) {
        fw_nn_round_bf16(model->params, r->rounded, floats);
        r->args.parameters = r->rounded;
    }
    r->args.packed = r->packed;
    if (r->packed) fw_nn_plan_pack(r->plan, r->args.parameters, r->packed);
    return FW_OK;
}

fw_status fw_nn_runner_open_as(const fw_nn_model *model, const fw_nn_plan_options *options,
                               fw_nn_runner *out, fw_error *error) {
    fw_nn_runner r = {0};
    fw_status status = open_parts(model, options, &r, error);
    if (status == FW_OK) *out = r;
    else fw_nn_runner_close(&r);
    return status;
}

fw_status fw_nn_runner_open(const fw_nn_model *model, fw_nn_dtype precision, uint32_t rows,
                            fw_nn_runner *out, fw_error *error) {
    if (precision == FW_NN_I8 && !model->ranges)
        return fw_fail(error, FW_INVALID,
                       "the model has no ranges for int8: flywheel nn quantise makes them");
    fw_nn_plan_options options = options_of(model, precision, rows);
    return fw_nn_runner_open_as(model, &options, out, error);
}

void fw_nn_runner_run(fw_nn_runner *runner, const void *const *inputs, uint32_t rows) {
    runner->args.inputs = inputs;
    runner->args.rows = rows;
    fw_nn_session_run(runner->session, &runner->args);
}

void fw_nn_runner_close(fw_nn_runner *runner) {
    fw_nn_session_free(runner->session);
    fw_nn_plan_free(runner->plan);
    free(runner->rounded);
    free(runner->packed);
    *runner = (fw_nn_runner){0};
}
