/* payload_target.h - what the payload decoders' fuzz targets share: schema and data both from the
 * input: 2 bytes of the schema's length (little-endian), the schema, the data. What is decoded must
 * be JSON that the JSON decoder takes. */
#ifndef FW_TESTS_FUZZ_PAYLOAD_TARGET_H
#define FW_TESTS_FUZZ_PAYLOAD_TARGET_H

#include <stdlib.h>
#include <string.h>

#include "payload/payload.h"

static const fw_payload_limits limits = {.output_max_bytes = 1 << 16,
                                         .schema_max_bytes = 1 << 18,
                                         .fields_max = 2000,
                                         .values_max = 5000};

static void check_json(const char *json, size_t size) {
    static const fw_payload_limits wide = {.output_max_bytes = 1 << 18, .depth_max = 1024};
    const fw_mcap_channel channel = {.message_encoding = fw_mcap_text_of("json")};
    fw_payload_plan *plan;
    const char *again;
    size_t again_size;
    if (fw_payload_plan_open(&wide, &channel, NULL, &plan, NULL) != FW_OK) abort();
    if (fw_payload_decode(plan, json, size, &again, &again_size, NULL) != FW_OK) abort();
    if (size != again_size || memcmp(json, again, size) != 0) abort();
    fw_payload_plan_close(plan);
}

static void fuzz_payload(const char *message_encoding, const char *schema_encoding,
                         const char *name, const uint8_t *bytes, size_t size_bytes) {
    if (size_bytes < 2) return;
    size_t left = size_bytes - 2, schema_size = (size_t)(bytes[0] | bytes[1] << 8);
    if (schema_size > left) schema_size = left;
    const fw_mcap_channel channel = {.message_encoding = fw_mcap_text_of(message_encoding)};
    const fw_mcap_schema schema = {.name = fw_mcap_text_of(name),
                                   .encoding = fw_mcap_text_of(schema_encoding),
                                   .data = bytes + 2,
                                   .size_bytes = (uint32_t)schema_size};
    fw_payload_plan *plan;
    fw_error error = {""};
    const char *json;
    size_t json_size;
    if (fw_payload_plan_open(&limits, &channel, &schema, &plan, &error) != FW_OK) {
        if (error.text[0] == '\0') abort();
        return;
    }
    fw_status status = fw_payload_decode(plan, bytes + 2 + schema_size, left - schema_size, &json,
                                         &json_size, &error);
    if (status == FW_OK) check_json(json, json_size);
    if (status != FW_OK && error.text[0] == '\0') abort();
    fw_payload_plan_close(plan);
}

#endif
