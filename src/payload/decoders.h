/* decoders.h - private: one decoder a kind of message, each a schema half and a data half. */
#ifndef FW_PAYLOAD_DECODERS_H
#define FW_PAYLOAD_DECODERS_H

#include "payload/payload.h"
#include "payload/text.h"

/* stack: (depth_max) */
fw_status fw_payload_decode_json(char *stack, uint32_t depth_max, const uint8_t *bytes,
                                 size_t size_bytes, fw_payload_text *out, fw_error *error) FW_MUST;

/* A FileDescriptorSet and the message type `root` of it. */
typedef struct fw_payload_protobuf fw_payload_protobuf;
fw_status fw_payload_protobuf_open(const fw_payload_limits *limits, fw_mcap_text root,
                                   const uint8_t *set, size_t size_bytes, fw_payload_protobuf **out,
                                   fw_error *error) FW_MUST;
void fw_payload_protobuf_close(fw_payload_protobuf *protobuf);
fw_status fw_payload_decode_protobuf(fw_payload_protobuf *protobuf, const uint8_t *bytes,
                                     size_t size_bytes, fw_payload_text *out,
                                     fw_error *error) FW_MUST;

/* Structures of CDR (and of ROS 1), from one of three languages. */
typedef enum fw_payload_language {
    FW_PAYLOAD_ROS1MSG,
    FW_PAYLOAD_ROS2MSG,
    FW_PAYLOAD_IDL
} fw_payload_language;
typedef struct fw_payload_cdr fw_payload_cdr;
fw_status fw_payload_cdr_open(const fw_payload_limits *limits, fw_payload_language language,
                              fw_mcap_text root, const uint8_t *text, size_t size_bytes,
                              fw_payload_cdr **out, fw_error *error) FW_MUST;
void fw_payload_cdr_close(fw_payload_cdr *cdr);
fw_status fw_payload_decode_cdr(fw_payload_cdr *cdr, const uint8_t *bytes, size_t size_bytes,
                                fw_payload_text *out, fw_error *error) FW_MUST;

#endif
