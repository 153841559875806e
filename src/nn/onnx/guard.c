#include "nn/onnx/onnx.h"
#include "nn/onnx/read.h"

/* Messages that are entered; REFUSED: a field this program does not take. Fields without a rule are
 * stepped over: they nest no deeper than the types of onnx.proto let them. */
typedef enum message { REFUSED, MODEL, GRAPH, NODE, ATTRIBUTE, VALUE, TYPE, TENSOR } message;

static const struct {
    message in;
    uint32_t field;
    message child;
} rules[] = {
    {MODEL, 7, GRAPH},          {MODEL, 20, REFUSED},     {MODEL, 25, REFUSED},
    {GRAPH, 1, NODE},           {GRAPH, 5, TENSOR},       {GRAPH, 11, VALUE},
    {GRAPH, 12, VALUE},         {GRAPH, 13, VALUE},       {GRAPH, 15, REFUSED},
    {NODE, 5, ATTRIBUTE},       {ATTRIBUTE, 5, TENSOR},   {ATTRIBUTE, 6, REFUSED},
    {ATTRIBUTE, 10, TENSOR},    {ATTRIBUTE, 11, REFUSED}, {ATTRIBUTE, 14, REFUSED},
    {ATTRIBUTE, 15, REFUSED},   {ATTRIBUTE, 22, REFUSED}, {ATTRIBUTE, 23, REFUSED},
    {VALUE, 2, TYPE},           {TYPE, 4, REFUSED},       {TYPE, 5, REFUSED},
    {TYPE, 8, REFUSED},         {TYPE, 9, REFUSED},       {TENSOR, 6, REFUSED},
    {TENSOR, 13, REFUSED},
};
enum { RULES = sizeof rules / sizeof *rules, DEPTH_MAX = 6, NO_RULE = RULES };

typedef struct walk {
    const uint8_t *at;
    const uint8_t *ends[DEPTH_MAX];
    message in[DEPTH_MAX];
    uint32_t depth;
} walk;

static bool varint(walk *w, uint64_t *out) {
    *out = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        if (w->at == w->ends[w->depth]) return false;
        uint8_t byte = *w->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static size_t rule_of(message in, uint64_t field) {
    size_t i = 0;
    while (i < RULES && (rules[i].in != in || rules[i].field != field)) i++;
    return i;
}

/* A field with a length: entered, stepped over, or refused. */
static fw_status step_into(walk *w, uint64_t field, fw_error *error) {
    uint64_t size;
    size_t rule = rule_of(w->in[w->depth], field);
    if (!varint(w, &size) || size > (uint64_t)(w->ends[w->depth] - w->at))
        return fw_fail(error, FW_CORRUPT, "ONNX: a field ends behind its message");
    if (rule == NO_RULE) {
        w->at += size;
        return FW_OK;
    }
    if (rules[rule].child == REFUSED)
        return fw_fail(error, FW_UNSUPPORTED,
                       "ONNX: nested graphs, functions, strings, external data and types other than "
                       "tensors are not read");
    FW_ASSERT(w->depth + 1 < DEPTH_MAX);
    w->depth++;
    w->ends[w->depth] = w->at + size;
    w->in[w->depth] = rules[rule].child;
    return FW_OK;
}

static fw_status one_field(walk *w, fw_error *error) {
    uint64_t tag, ignored;
    if (!varint(w, &tag)) return fw_fail(error, FW_CORRUPT, "ONNX: cut off within a field");
    size_t left = (size_t)(w->ends[w->depth] - w->at);
    switch (tag & 7) {
    case 0:
        if (varint(w, &ignored)) return FW_OK;
        break;
    case 1:
        if (left >= 8) return w->at += 8, FW_OK;
        break;
    case 2: return step_into(w, tag >> 3, error);
    case 5:
        if (left >= 4) return w->at += 4, FW_OK;
        break;
    default: break;
    }
    return fw_fail(error, FW_CORRUPT, "ONNX: this is no protocol buffer, or it is cut off");
}

fw_status fw_onnx_guard(const uint8_t *bytes, size_t size, fw_error *error) {
    walk w = {.at = bytes, .ends = {bytes + size}, .in = {MODEL}};
    for (;;) {
        while (w.at == w.ends[w.depth]) {
            if (w.depth == 0) return FW_OK;
            w.depth--;
        }
        FW_TRY(one_field(&w, error));
    }
}
