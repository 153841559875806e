/* support.h - what the tests of MCAP share: a growing sink, a file with a bit of everything. */
#ifndef FW_TESTS_MCAP_SUPPORT_H
#define FW_TESTS_MCAP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mcap/mcap.h"

typedef struct made_file {
    uint8_t at[1 << 22];
    fw_mcap_memory memory;
} made_file;

static inline fw_mcap_sink made_file_sink(made_file *b) {
    b->memory = (fw_mcap_memory){.bytes = b->at, .capacity_bytes = sizeof b->at};
    return fw_mcap_memory_sink(&b->memory);
}

#define ok(expression)                                                                             \
    do {                                                                                           \
        fw_error ok_error = {.text = ""};                                                          \
        fw_error *error = &ok_error;                                                               \
        fw_status ok_status = (expression);                                                        \
        if (ok_status != FW_OK) fail_msg("%s: %s", fw_status_text(ok_status), ok_error.text);      \
    } while (0)

/* Message i of the sample: its size and bytes. */
static inline size_t sample_message(unsigned i, uint8_t *out) {
    size_t size = (i * 37) % 300;
    for (size_t k = 0; k < size; k++) out[k] = (uint8_t)(i + (k % 7) * k);
    return size;
}

/* Two schemas, three channels (one without schema), `messages` messages, two attachments, one
 * metadata record. */
static inline void write_sample(fw_mcap_writer *w, fw_mcap_sink sink, unsigned messages) {
    uint16_t schema[2], channel[3];
    uint8_t data[300];
    fw_mcap_pair pairs[] = {{"unit", "car-1"}, {"model", "none"}};
    ok(fw_mcap_writer_begin(w, sink, "flywheel", "test", error));
    ok(fw_mcap_writer_add_schema(w, "A", "jsonschema", "{}", 2, &schema[0], error));
    ok(fw_mcap_writer_add_channel(w, schema[0], "/a", "json", NULL, 0, &channel[0], error));
    ok(fw_mcap_writer_metadata(w, "flywheel", pairs, 2, error));
    for (unsigned i = 0; i < messages; i++) {
        if (i == messages / 2) {
            ok(fw_mcap_writer_add_schema(w, "B", "jsonschema", "{ }", 3, &schema[1], error));
            ok(fw_mcap_writer_add_channel(w, schema[1], "/b", "json", pairs, 2, &channel[1],
                                          error));
            ok(fw_mcap_writer_add_channel(w, 0, "/c", "raw", NULL, 0, &channel[2], error));
            ok(fw_mcap_writer_attachment(w, 5, 6, "notes", "text/plain", "hello", 5, error));
        }
        uint16_t id = i < messages / 2 ? channel[0] : channel[i % 3];
        ok(fw_mcap_writer_message(w, id, i, 1000 + i, 900 + i, data, sample_message(i, data),
                                  error));
    }
    ok(fw_mcap_writer_attachment(w, 7, 0, "", "", "", 0, error));
    ok(fw_mcap_writer_end(w, error));
}

/* A source over bytes that gives at most `step` at a time. */
typedef struct dripping {
    const uint8_t *at;
    size_t left, step;
} dripping;

static inline fw_status drip(void *self, void *out, size_t size, size_t *got, fw_error *error) {
    (void)error;
    dripping *d = self;
    size_t n = size < d->step ? size : d->step;
    if (n > d->left) n = d->left;
    if (n > 0) memcpy(out, d->at, n);
    d->at += n;
    d->left -= n;
    *got = n;
    return FW_OK;
}

#endif
