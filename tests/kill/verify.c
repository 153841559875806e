/* verify.c - the count at the end: a factory without faults is asked for all it has. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/client.h"
#include "kill.h"

enum { BOOTS_MAX = 4096, PAGE = 20000, ANSWER_MAX = 64 << 20 };

/* What the factory has of one unit: per boot and stream the next sequence, found without a gap. */
typedef struct found {
    uint64_t next[BOOTS_MAX][KILL_STREAMS];
} found;

typedef struct count {
    const kill_plan *plan;
    fw_http_client client;
    found *units; /* (writers) */
    uint64_t records, wrong;
} count;

static void wrong(count *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(count *c, const char *format, ...) {
    va_list list;
    if (c->wrong++ >= 20) return;
    va_start(list, format);
    fputs("kill test: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

static bool get(count *c, const char *path, fw_http_reply *reply) {
    char url[300];
    fw_error error = {""};
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", c->plan->server_port, path);
    fw_http_call call = {.method = "GET", .url = url, .reply_max_bytes = ANSWER_MAX,
                         .timeout_ms = 60000};
    bool answered = c->client.perform(c->client.self, &call, reply, &error) == FW_OK;
    if (!answered) wrong(c, "GET %s: %s", path, error.text);
    return answered;
}

/* ---- records ---- */

/* One line of GET /v1/records, in the order of the store. */
static void take_record(count *c, const char *line, size_t size, uint64_t *since) {
    char text[KILL_RECORD_MAX];
    unsigned unit = 0, boot = 0, stream = 0;
    json_t *json = json_loadb(line, size, 0, NULL);
    const char *unit_text = json_string_value(json_object_get(json, "unit"));
    const char *boot_text = json_string_value(json_object_get(json, "boot"));
    const char *stream_text = json_string_value(json_object_get(json, "stream"));
    uint64_t number = (uint64_t)json_integer_value(json_object_get(json, "number"));
    *since = (uint64_t)json_integer_value(json_object_get(json, "sequence"));
    bool ours = unit_text && boot_text && stream_text && sscanf(unit_text, "%u", &unit) == 1 &&
                sscanf(boot_text, "boot-%u", &boot) == 1 &&
                sscanf(stream_text, "kill%u", &stream) == 1 && unit < c->plan->writers &&
                boot < BOOTS_MAX && stream < KILL_STREAMS;
    if (!ours) {
        wrong(c, "a record that nobody sent: %.*s", (int)(size < 120 ? size : 120), line);
    } else {
        uint64_t *next = &c->units[unit].next[boot][stream];
        if (number != *next)
            wrong(c, "unit %u boot %u stream %u: record %" PRIu64 " comes where %" PRIu64
                     " belongs", unit, boot, stream, number, *next);
        *next = number + 1;
        size_t wanted = kill_record(unit, boot, stream, number, text);
        json_t *made = json_loadb(text, wanted, 0, NULL);
        if (!json_equal(made, json_object_get(json, "record")))
            wrong(c, "unit %u boot %u stream %u: record %" PRIu64 " has other content", unit, boot,
                  stream, number);
        json_decref(made);
        c->records++;
    }
    json_decref(json);
}

static void read_records(count *c) {
    for (uint64_t since = 0;;) {
        char path[100];
        fw_http_reply reply = {0};
        uint64_t before = since;
        snprintf(path, sizeof path, "/v1/records?since=%" PRIu64 "&limit=%d", since, PAGE);
        if (!get(c, path, &reply)) return;
        if (reply.status != 200) wrong(c, "GET %s: status %d", path, reply.status);
        const char *at = reply.body ? reply.body : "", *end = at + reply.body_bytes;
        while (at < end && reply.status == 200) {
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            if (!stop) stop = end;
            take_record(c, at, (size_t)(stop - at), &since);
            at = stop < end ? stop + 1 : end;
        }
        fw_http_reply_clear(&reply);
        if (since == before) return;
    }
}

/* ---- promises ---- */

static void check_file(count *c, unsigned unit, unsigned number, const char *hash,
                       long long sequence) {
    char path[100];
    uint8_t *bytes = NULL;
    size_t size = 0;
    fw_error error = {""};
    fw_http_reply reply = {0};
    (void)sequence;
    if (kill_file(unit, number, &bytes, &size, &error) != FW_OK) {
        wrong(c, "%s", error.text);
        return;
    }
    snprintf(path, sizeof path, "/v1/objects/%.64s", hash);
    if (get(c, path, &reply) && (reply.status != 200 || reply.body_bytes != size ||
                                 memcmp(reply.body, bytes, size) != 0))
        wrong(c, "unit %u: file %u (%s) was acked and is not there as it was sent (status %d)",
              unit, number, hash, reply.status);
    fw_http_reply_clear(&reply);
    free(bytes);
}

static void check_promises(count *c, uint32_t unit) {
    char path[FW_PATH_MAX], line[256], hash[80];
    kill_journal_path(c->plan, unit, path);
    FILE *file = fopen(path, "r");
    bool ended = false;
    while (file && fgets(line, sizeof line, file)) {
        unsigned boot, stream, number;
        uint64_t first, next;
        long long size, sequence;
        if (line[0] == 'X') wrong(c, "%.*s", (int)strcspn(line + 2, "\n"), line + 2);
        if (line[0] == 'E') ended = true;
        if (sscanf(line, "R %u %u %" SCNu64 " %" SCNu64, &boot, &stream, &first, &next) == 4 &&
            boot < BOOTS_MAX && stream < KILL_STREAMS &&
            c->units[unit].next[boot][stream] < next)
            wrong(c, "unit %u boot %u stream %u: acked up to %" PRIu64 ", %" PRIu64 " are there",
                  unit, boot, stream, next, c->units[unit].next[boot][stream]);
        if (sscanf(line, "F %u %79s %lld %lld", &number, hash, &size, &sequence) == 4)
            check_file(c, unit, number, hash, sequence);
    }
    if (file) fclose(file);
    if (!ended) wrong(c, "unit %u did not come to its end", unit);
}

/* Every recording of the catalogue is named once and is one that was sent. */
static void check_recordings(count *c) {
    fw_http_reply reply = {0};
    if (!get(c, "/v1/recordings?limit=100000", &reply)) return;
    json_t *rows = json_loadb(reply.body, reply.body_bytes, 0, NULL), *seen = json_object(), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        const char *hash = json_string_value(json_object_get(row, "sha256"));
        if (!hash || json_object_get(seen, hash))
            wrong(c, "recording %s is named twice", hash ? hash : "?");
        if (hash) json_object_set_new(seen, hash, json_true());
    }
    uint64_t made = 0;
    for (uint32_t unit = 0; unit < c->plan->writers; unit++)
        made += kill_journal_read(c->plan, unit).files;
    if (json_array_size(rows) != made)
        wrong(c, "%zu recordings in the catalogue, %" PRIu64 " were acked",
              json_array_size(rows), made);
    json_decref(rows);
    json_decref(seen);
    fw_http_reply_clear(&reply);
}

bool kill_verify(const kill_plan *plan) {
    count c = {.plan = plan};
    fw_error error = {""};
    c.units = calloc(plan->writers, sizeof *c.units);
    if (!c.units || fw_http_client_curl(&c.client, &error) != FW_OK) {
        fprintf(stderr, "kill test: no memory, or no client\n");
        free(c.units);
        return false;
    }
    read_records(&c);
    uint64_t promised = 0, files = 0;
    for (uint32_t unit = 0; unit < plan->writers; unit++) {
        kill_promise promise = kill_journal_read(plan, unit);
        promised += promise.records;
        files += promise.files;
        check_promises(&c, unit);
    }
    check_recordings(&c);
    printf("records: %" PRIu64 " acked, %" PRIu64 " there, each once and in order\n"
           "files:   %" PRIu64 " acked and there\nwrong:   %" PRIu64 "\n",
           promised, c.records, files, c.wrong);
    c.client.free(c.client.self);
    free(c.units);
    return c.wrong == 0;
}
