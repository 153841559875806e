#include "nn/train/cpu/fused.h"

#include "nn/train/cpu/dnnl.h"

static fw_status choose(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    static fw_nn_choose *const files[] = {fw_fused_dense, fw_fused_conv, fw_fused_simple,
                                          fw_fused_rows, fw_fused_attention, fw_fused_rnn};
    for (size_t i = 0; i < sizeof files / sizeof *files && !out->kernel; i++)
        FW_TRY(files[i](node, call, out, error));
    return FW_OK;
}

const fw_nn_backend fw_nn_backend_fused = {.name = "fused", .choose = choose};
const fw_nn_backend *const fw_nn_backends_train[] = {&fw_nn_backend_dnnl, &fw_nn_backend_fused,
                                                     &fw_nn_backend_fast, NULL};
