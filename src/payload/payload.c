#include "payload/payload.h"

#include <stdlib.h>

#include "payload/decoders.h"

typedef enum kind { BASE64, JSON, PROTOBUF, CDR } kind;

struct fw_payload_plan {
    kind kind;
    fw_payload_limits limits;
    fw_payload_text text;
    char *encoding; /* BASE64: the name as JSON text */
    char *stack;    /* JSON */
    fw_payload_protobuf *protobuf;
    fw_payload_cdr *cdr;
};

static fw_payload_limits complete(const fw_payload_limits *limits) {
    fw_payload_limits l = {0};
    if (limits != NULL) l = *limits;
    if (l.output_max_bytes == 0) l.output_max_bytes = 134217728;
    if (l.schema_max_bytes == 0) l.schema_max_bytes = 67108864;
    if (l.depth_max == 0) l.depth_max = 100;
    if (l.depth_max > 1024) l.depth_max = 1024;
    if (l.fields_max == 0) l.fields_max = 262144;
    if (l.values_max == 0) l.values_max = 2097152;
    return l;
}

static fw_status open_base64(fw_payload_plan *plan, fw_mcap_text encoding, fw_error *error) {
    fw_payload_text text = {.max_bytes = 6 * (size_t)encoding.size_bytes + 2};
    fw_payload_put_string(&text, encoding.bytes, encoding.size_bytes);
    if (fw_payload_text_status(&text) != FW_OK) {
        free(text.bytes);
        return fw_fail(error, FW_NO_MEMORY, "payload: out of memory");
    }
    plan->encoding = text.bytes;
    return FW_OK;
}

static fw_status open_kind(fw_payload_plan *plan, const fw_mcap_channel *channel,
                           const fw_mcap_schema *schema, fw_error *error) {
    static const struct {
        const char *message, *schema;
        fw_payload_language language;
    } structures[] = {{"cdr", "ros2msg", FW_PAYLOAD_ROS2MSG},
                      {"cdr", "ros2idl", FW_PAYLOAD_IDL},
                      {"cdr", "omgidl", FW_PAYLOAD_IDL},
                      {"ros1", "ros1msg", FW_PAYLOAD_ROS1MSG}};
    fw_mcap_text encoding = channel->message_encoding;
    if (fw_mcap_text_is(encoding, "json")) {
        plan->kind = JSON;
        plan->stack = malloc(plan->limits.depth_max);
        return plan->stack ? FW_OK : fw_fail(error, FW_NO_MEMORY, "payload: out of memory");
    }
    if (schema != NULL && fw_mcap_text_is(encoding, "protobuf") &&
        fw_mcap_text_is(schema->encoding, "protobuf")) {
        plan->kind = PROTOBUF;
        return fw_payload_protobuf_open(&plan->limits, schema->name, schema->data,
                                        schema->size_bytes, &plan->protobuf, error);
    }
    for (size_t i = 0; schema != NULL && i < sizeof structures / sizeof *structures; i++) {
        if (!fw_mcap_text_is(encoding, structures[i].message) ||
            !fw_mcap_text_is(schema->encoding, structures[i].schema))
            continue;
        plan->kind = CDR;
        return fw_payload_cdr_open(&plan->limits, structures[i].language, schema->name,
                                   schema->data, schema->size_bytes, &plan->cdr, error);
    }
    return open_base64(plan, encoding, error);
}

fw_status fw_payload_plan_open(const fw_payload_limits *limits, const fw_mcap_channel *channel,
                               const fw_mcap_schema *schema, fw_payload_plan **out,
                               fw_error *error) {
    fw_payload_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return fw_fail(error, FW_NO_MEMORY, "payload: out of memory");
    plan->limits = complete(limits);
    plan->text.max_bytes = plan->limits.output_max_bytes;
    fw_status status = open_kind(plan, channel, schema, error);
    if (status != FW_OK)
        fw_payload_plan_close(plan);
    else
        *out = plan;
    return status;
}

void fw_payload_plan_close(fw_payload_plan *plan) {
    if (plan == NULL) return;
    fw_payload_protobuf_close(plan->protobuf);
    fw_payload_cdr_close(plan->cdr);
    free(plan->text.bytes);
    free(plan->encoding);
    free(plan->stack);
    free(plan);
}

bool fw_payload_plan_is_known(const fw_payload_plan *plan) {
    return plan->kind != BASE64;
}

static void put_base64(fw_payload_plan *plan, const uint8_t *bytes, size_t size_bytes) {
    fw_payload_put(&plan->text, "{\"encoding\":", 12);
    for (const char *c = plan->encoding; *c; c++) fw_payload_put_char(&plan->text, *c);
    fw_payload_put(&plan->text, ",\"base64\":", 10);
    fw_payload_put_base64(&plan->text, bytes, size_bytes);
    fw_payload_put_char(&plan->text, '}');
}

fw_status fw_payload_decode(fw_payload_plan *plan, const void *bytes, size_t size_bytes,
                            const char **json, size_t *json_size_bytes, fw_error *error) {
    fw_payload_text *text = &plan->text;
    fw_status status = FW_OK;
    text->size_bytes = 0;
    text->failed = FW_OK;
    if (plan->kind == JSON)
        status = fw_payload_decode_json(plan->stack, plan->limits.depth_max, bytes, size_bytes,
                                        text, error);
    else if (plan->kind == PROTOBUF)
        status = fw_payload_decode_protobuf(plan->protobuf, bytes, size_bytes, text, error);
    else if (plan->kind == CDR)
        status = fw_payload_decode_cdr(plan->cdr, bytes, size_bytes, text, error);
    else
        put_base64(plan, bytes, size_bytes);
    if (status != FW_OK) return status;
    status = fw_payload_text_status(text);
    if (status == FW_TOO_BIG)
        return fw_fail(error, status, "payload: a message of over %zu bytes of JSON",
                       text->max_bytes);
    if (status != FW_OK) return fw_fail(error, status, "payload: out of memory");
    *json = text->bytes;
    *json_size_bytes = text->size_bytes;
    return FW_OK;
}
