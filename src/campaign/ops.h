/* ops.h - what a compiled condition is made of, between compile.c and run.c.
 *
 * Postfix: an operation takes its operands from the stack's top and leaves one number there; a
 * condition's value is 1 or 0. All operations run in every tick: the memories need it.
 */
#ifndef FW_CAMPAIGN_OPS_H
#define FW_CAMPAIGN_OPS_H

#include "campaign/campaign.h"

typedef enum fw_campaign_op_kind {
    FW_CAMPAIGN_OP_NUMBER, /* number */
    FW_CAMPAIGN_OP_SIGNAL, /* signals[index] */
    FW_CAMPAIGN_OP_RATE,   /* (number -> number) change per second; memory index: the value before */
    FW_CAMPAIGN_OP_NEGATE, /* (number -> number) */
    FW_CAMPAIGN_OP_ABS,
    FW_CAMPAIGN_OP_ADD, /* (number, number -> number) */
    FW_CAMPAIGN_OP_SUBTRACT,
    FW_CAMPAIGN_OP_LESS, /* (number, number -> condition) */
    FW_CAMPAIGN_OP_LESS_EQUAL,
    FW_CAMPAIGN_OP_GREATER,
    FW_CAMPAIGN_OP_GREATER_EQUAL,
    FW_CAMPAIGN_OP_EQUAL,
    FW_CAMPAIGN_OP_NOT_EQUAL,
    FW_CAMPAIGN_OP_TRUTH, /* (number -> condition) there and not 0 */
    FW_CAMPAIGN_OP_NOT,   /* (condition -> condition) */
    FW_CAMPAIGN_OP_AND,   /* (condition, condition -> condition) */
    FW_CAMPAIGN_OP_OR,
    FW_CAMPAIGN_OP_RISING, /* (condition -> condition) memory index: the value before */
    FW_CAMPAIGN_OP_HELD,   /* (condition -> condition) number: milliseconds; memory index: for how many
                              ns it has been true, -1 when it is not */
} fw_campaign_op_kind;

/* Compiles the condition into out->ops, op_count and memory_count. The error begins with "when: ". */
fw_status fw_campaign_compile(const char *when, size_t size_bytes,
                              const fw_campaign_signals *signals, fw_campaign *out,
                              fw_error *error) FW_MUST;
/* Names of a campaign's fields, NULL after the last: for the test that compares the schema. */
const char *fw_campaign_field(uint32_t index);
/* The one of names nearest to text (fewest letters changed, added or taken away), NULL when none is
 * near. */
const char *fw_campaign_nearest(const char *text, size_t size_bytes, const char *const *names,
                                uint32_t count);

#endif
