/* flywheel log cat: messages as lines, decoded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd_log.h"
#include "payload/payload.h"
#include "payload/text.h"

enum { IDS = 65536 };

/* How messages of one schema and encoding are said, by all channels that have them; without a plan,
 * why there is none. */
typedef struct voice {
    struct voice *next; /* of the same schema, for other encodings */
    fw_mcap_text encoding;
    fw_payload_plan *plan;
    fw_error why;
} voice;

typedef struct cat {
    fw_log_options options;
    fw_log_inputs inputs;
    voice **voices;     /* (inputs.count, IDS) by schema, made when first needed */
    voice **of_channel; /* (inputs.count, IDS) the same by channel */
    fw_payload_text line;
    uint64_t printed, failed;
    fw_error first_failure;
} cat;

/* ------------------------------------------------------------------------ printing ----- */

static void put_text(fw_payload_text *line, const char *text) {
    fw_payload_put(line, text, strlen(text));
}

static void put_name(fw_payload_text *line, fw_mcap_text name) {
    fw_payload_put_string(line, name.bytes, name.size_bytes);
}

/* A topic without quotes, where it needs none. */
static void put_bare(fw_payload_text *line, fw_mcap_text topic) {
    bool is_plain = topic.size_bytes > 0;
    for (uint32_t i = 0; i < topic.size_bytes; i++) {
        unsigned char c = (unsigned char)topic.bytes[i];
        is_plain = is_plain && c > 0x20 && c < 0x7f && c != '"' && c != '\\';
    }
    if (is_plain)
        fw_payload_put(line, topic.bytes, topic.size_bytes);
    else
        put_name(line, topic);
}

static void put_failure(cat *c, const fw_mcap_message *m, const fw_error *why) {
    if (c->failed++ == 0) c->first_failure = *why;
    put_text(&c->line, "{\"error\":");
    put_name(&c->line, fw_mcap_text_of(why->text));
    put_text(&c->line, ",\"base64\":");
    fw_payload_put_base64(&c->line, m->data, (size_t)m->size_bytes);
    put_text(&c->line, "}");
}

static void put_head(cat *c, const fw_mcap_message *m) {
    fw_payload_text *line = &c->line;
    char time[40];
    if (!c->options.json) {
        snprintf(time, sizeof time, "%" PRIu64 ".%09" PRIu64 " ", m->log_time_ns / 1000000000,
                 m->log_time_ns % 1000000000);
        put_text(line, time);
        put_bare(line, m->channel->topic);
        put_text(line, " ");
        return;
    }
    put_text(line, "{\"topic\":");
    put_name(line, m->channel->topic);
    put_text(line, ",\"sequence\":");
    fw_payload_put_u64(line, m->sequence);
    put_text(line, ",\"log_time_ns\":");
    fw_payload_put_u64(line, m->log_time_ns);
    put_text(line, ",\"publish_time_ns\":");
    fw_payload_put_u64(line, m->publish_time_ns);
    put_text(line, ",\"encoding\":");
    put_name(line, m->channel->message_encoding);
    if (m->schema != NULL) {
        put_text(line, ",\"schema\":");
        put_name(line, m->schema->name);
    }
    put_text(line, ",\"data\":");
}

/* ------------------------------------------------------------------------ decoding ----- */

static bool same_text(fw_mcap_text a, fw_mcap_text b) {
    return a.size_bytes == b.size_bytes &&
           (a.size_bytes == 0 || memcmp(a.bytes, b.bytes, a.size_bytes) == 0);
}

/* NULL: out of memory. */
static voice *voice_of(cat *c, size_t which, const fw_mcap_message *m) {
    voice **of_channel = &c->of_channel[which * IDS + m->channel_id];
    if (*of_channel != NULL) return *of_channel;
    fw_mcap_text encoding = m->channel->message_encoding;
    voice **list = &c->voices[which * IDS + (m->schema ? m->schema->id : 0)];
    voice *v = *list;
    while (v != NULL && !same_text(v->encoding, encoding)) v = v->next;
    if (v == NULL) {
        v = calloc(1, sizeof *v);
        if (v == NULL) return NULL;
        v->next = *list;
        v->encoding = encoding;
        if (fw_payload_plan_open(NULL, m->channel, m->schema, &v->plan, &v->why) != FW_OK)
            v->plan = NULL;
        *list = v;
    }
    *of_channel = v;
    return v;
}

static fw_status print_message(cat *c, size_t which, const fw_mcap_message *m, fw_error *error) {
    const char *json;
    size_t size;
    voice *v = voice_of(c, which, m);
    if (v == NULL) return fw_fail(error, FW_NO_MEMORY, "out of memory");
    c->line.size_bytes = 0;
    put_head(c, m);
    if (v->plan == NULL)
        put_failure(c, m, &v->why);
    else if (fw_payload_decode(v->plan, m->data, (size_t)m->size_bytes, &json, &size, error) ==
             FW_OK)
        fw_payload_put(&c->line, json, size);
    else
        put_failure(c, m, error);
    put_text(&c->line, c->options.json ? "}\n" : "\n");
    if (fw_payload_text_status(&c->line) != FW_OK)
        return fw_fail(error, FW_NO_MEMORY, "out of memory");
    fwrite(c->line.bytes, 1, c->line.size_bytes, stdout);
    c->printed++;
    return FW_OK;
}

static fw_status print_all(cat *c, fw_error *error) {
    const fw_mcap_message *m;
    size_t which;
    fw_status status = fw_log_inputs_query(&c->inputs, &c->options, FW_MCAP_ORDER_TIME, error);
    while (status == FW_OK && c->printed < c->options.limit && !ferror(stdout) &&
           (status = fw_log_inputs_next(&c->inputs, &which, &m, error)) == FW_OK)
        status = print_message(c, which, m, error);
    return status == FW_END ? FW_OK : status;
}

/* What was not right, though messages were printed. */
static int judge(const cat *c) {
    int exit_status = FW_CLI_DONE;
    fw_error error;
    for (size_t i = 0; i < c->inputs.count; i++) {
        if (!c->inputs.items[i].is_cut) continue;
        (void)fw_fail(&error, FW_CORRUPT,
                      "%.200s is cut or broken: messages up to there were printed",
                      c->inputs.items[i].path);
        exit_status = fw_cli_fail(&error);
    }
    if (c->failed > 0) {
        (void)fw_fail(&error, FW_CORRUPT,
                      "%" PRIu64 " of %" PRIu64 " messages could not be decoded: %.250s", c->failed,
                      c->printed, c->first_failure.text);
        exit_status = fw_cli_fail(&error);
    }
    return exit_status;
}

static void close_cat(cat *c) {
    for (size_t i = 0; c->voices != NULL && i < c->inputs.count * IDS; i++) {
        for (voice *v = c->voices[i], *next; v != NULL; v = next) {
            next = v->next;
            fw_payload_plan_close(v->plan);
            free(v);
        }
    }
    free(c->voices);
    free(c->of_channel);
    free(c->line.bytes);
    fw_log_inputs_close(&c->inputs);
}

int fw_cmd_log_cat(int argc, char **argv) {
    static cat c; /* its list of files is large */
    fw_error error = {""};
    const unsigned takes =
        FW_LOG_TAKES_MANY | FW_LOG_TAKES_JSON | FW_LOG_TAKES_RANGE | FW_LOG_TAKES_LIMIT;
    c = (cat){.line.max_bytes = SIZE_MAX / 4};
    if (fw_log_read_options(argc, argv, takes, "cat FILE", &c.options, &error) != FW_OK)
        return fw_cli_usage("log", &error);
    fw_status status = fw_log_inputs_open(&c.options, &c.inputs, &error);
    if (status == FW_OK) {
        c.voices = calloc(c.inputs.count * IDS, sizeof *c.voices);
        c.of_channel = calloc(c.inputs.count * IDS, sizeof *c.of_channel);
        status = c.voices && c.of_channel ? print_all(&c, &error)
                                          : fw_fail(&error, FW_NO_MEMORY, "out of memory");
    }
    int exit_status = status == FW_OK ? judge(&c) : fw_cli_fail(&error);
    close_cat(&c);
    return exit_status;
}
