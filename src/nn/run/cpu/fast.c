#include "nn/run/cpu/fast.h"

static fw_status choose(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    static fw_nn_choose *const files[] = {fw_fast_dense, fw_fast_conv, fw_fast_simple,
                                          fw_fast_rows, fw_fast_attention, fw_fast_rnn, fw_fast_loss,
                                          fw_fast_sets};
    for (size_t i = 0; i < sizeof files / sizeof *files && !out->kernel; i++)
        FW_TRY(files[i](node, call, out, error));
    return FW_OK;
}

const fw_nn_backend fw_nn_backend_fast = {.name = "fast", .choose = choose};
const fw_nn_backend *const fw_nn_backends_run[] = {&fw_nn_backend_fast, NULL};
