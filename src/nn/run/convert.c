#include "nn/run/convert.h"

#include <string.h>

#include "nn/run/cpu/kernels.h"
#include "nn/run/plan_parts.h"

FW_KERNEL void fw_nn_to_bf16(const float *from, uint16_t *to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        uint32_t quiet = bits >> 16 | 0x40;
        to[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
    }
}

FW_KERNEL void fw_nn_from_bf16(const uint16_t *from, float *to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

FW_KERNEL void fw_nn_round_bf16(const float *from, float *to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        bits = (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

/* ---- calls ---- */

static size_t wide_bytes(const fw_nn_call *call, const fw_nn_view *view) {
    if (view->dtype != FW_NN_BF16) return 0;
    return fw_nn_round_up(fw_nn_total(call, view) * sizeof(float), FW_NN_ALIGN_BYTES);
}

bool fw_nn_converts(const fw_nn_call *call) {
    return fw_nn_convert_bytes(call) > 0;
}

size_t fw_nn_convert_bytes(const fw_nn_call *call) {
    size_t bytes = wide_bytes(call, &call->with);
    for (uint32_t i = 0; i < call->input_count; i++) bytes += wide_bytes(call, &call->in[i]);
    for (uint32_t i = 0; i < call->output_count; i++) bytes += wide_bytes(call, &call->out[i]);
    return bytes;
}

static void widen(fw_nn_view *view) {
    if (view->dtype == FW_NN_BF16) view->dtype = FW_NN_F32;
}

fw_nn_call fw_nn_widened(const fw_nn_call *call) {
    fw_nn_call wide = *call;
    widen(&wide.with);
    for (uint32_t i = 0; i < call->input_count; i++) widen(&wide.in[i]);
    for (uint32_t i = 0; i < call->output_count; i++) widen(&wide.out[i]);
    return wide;
}

/* A place in the scratch for a bf16 operand; reads: with its numbers in it. */
static void stage(const fw_nn_call *call, const fw_nn_view *from, fw_nn_view *to, bool reads,
                  uint8_t **scratch) {
    if (from->dtype != FW_NN_BF16) return;
    to->data = *scratch;
    *scratch += wide_bytes(call, from);
    if (reads) fw_nn_from_bf16(from->data, to->data, fw_nn_total(call, from));
}

void fw_nn_convert_run(fw_nn_kernel *kernel, const fw_nn_call *call, size_t own_bytes) {
    fw_nn_call wide = fw_nn_widened(call);
    uint8_t *scratch = (uint8_t *)call->scratch + fw_nn_round_up(own_bytes, FW_NN_ALIGN_BYTES);
    for (uint32_t i = 0; i < call->input_count; i++)
        stage(call, &call->in[i], &wide.in[i], true, &scratch);
    if (call->with.data) stage(call, &call->with, &wide.with, true, &scratch);
    for (uint32_t i = 0; i < call->output_count; i++)
        stage(call, &call->out[i], &wide.out[i], false, &scratch);
    kernel(&wide);
    for (uint32_t i = 0; i < call->output_count; i++)
        if (call->out[i].dtype == FW_NN_BF16)
            fw_nn_to_bf16(wide.out[i].data, call->out[i].data, fw_nn_total(call, &call->out[i]));
}
