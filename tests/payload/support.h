/* Decoding in one call, for tests: what comes out, or the line that says why nothing does. */
#ifndef TESTS_PAYLOAD_SUPPORT_H
#define TESTS_PAYLOAD_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "payload/payload.h"

typedef struct kind {
    const char *message_encoding, *schema_encoding, *name;
    const void *schema;
    size_t schema_bytes;
    const fw_payload_limits *limits;
} kind;

static const char *or_empty(const char *text) {
    return text ? text : "";
}

/* Decodes bytes that lie in an allocation of exactly their size. *json is the caller's to free. */
static fw_status decode(const kind *k, const void *bytes, size_t size, char **json,
                        fw_error *error) {
    fw_mcap_channel channel = {.id = 1, .message_encoding = fw_mcap_text_of(k->message_encoding)};
    uint8_t *schema_copy = malloc(k->schema_bytes + 1), *copy = malloc(size + !size);
    memcpy(schema_copy, k->schema ? k->schema : "", k->schema_bytes);
    memcpy(copy, bytes, size);
    fw_mcap_schema schema = {.id = 1,
                             .name = fw_mcap_text_of(or_empty(k->name)),
                             .encoding = fw_mcap_text_of(or_empty(k->schema_encoding)),
                             .data = schema_copy,
                             .size_bytes = (uint32_t)k->schema_bytes};
    fw_payload_plan *plan = NULL;
    const char *text = NULL;
    size_t text_bytes = 0;
    *json = NULL;
    fw_status status = fw_payload_plan_open(k->limits, &channel,
                                            k->schema_encoding ? &schema : NULL, &plan, error);
    free(schema_copy); /* the plan keeps nothing of it */
    if (status == FW_OK) status = fw_payload_decode(plan, copy, size, &text, &text_bytes, error);
    if (status == FW_OK) {
        assert_int_equal(strlen(text), text_bytes);
        *json = strdup(text);
    }
    fw_payload_plan_close(plan);
    free(copy);
    return status;
}

static void expect(const kind *k, const void *bytes, size_t size, const char *json) {
    fw_error error = {""};
    char *got;
    fw_status status = decode(k, bytes, size, &got, &error);
    if (status != FW_OK) fail_msg("%s instead of %s", error.text, json);
    assert_string_equal(got, json);
    free(got);
}

static void expect_failure(const kind *k, const void *bytes, size_t size, fw_status status,
                           const char *why) {
    fw_error error = {""};
    char *got;
    fw_status is = decode(k, bytes, size, &got, &error);
    if (is != status || strstr(error.text, why) == NULL)
        fail_msg("status %d, '%s', instead of %d, '%s'", is, got ? got : error.text, status, why);
}

#endif
