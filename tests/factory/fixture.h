/* A factory in a temporary folder: a line that believes everything, a world of faults, a launcher
 * that runs scripts, and HTTP calls without a socket. */
#ifndef FW_TESTS_FACTORY_FIXTURE_H
#define FW_TESTS_FACTORY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "factory/factory.h"
#include "factory/catalogue/recordings.h"
#include "mcap/mcap.h"

/* ---- faults: the n-th write, flush or rename fails ---- */

typedef struct faulty {
    fw_env env;
    int64_t skip_ns;         /* the clocks run ahead by this */
    unsigned calls, fail_at; /* 0: never */
    int fail_errno;
    bool stays; /* every later call fails too */
} faulty;

static inline bool faulty_hits(faulty *f) {
    f->calls++;
    if (f->fail_at == 0 || f->calls < f->fail_at || (f->calls > f->fail_at && !f->stays))
        return false;
    errno = f->fail_errno;
    return true;
}
static inline int64_t faulty_wall(void *self) {
    return fw_env_wall_ns(fw_env_real()) + ((faulty *)self)->skip_ns;
}
static inline int64_t faulty_mono(void *self) {
    return fw_env_mono_ns(fw_env_real()) + ((faulty *)self)->skip_ns;
}
static inline void faulty_sleep(void *self, int64_t ns) {
    ((faulty *)self)->skip_ns += ns;
}
static inline ssize_t faulty_write(void *self, int fd, const void *bytes, size_t size) {
    if (!faulty_hits(self)) return write(fd, bytes, size);
    if (size > 1) (void)!write(fd, bytes, size / 2); /* torn */
    return -1;
}
static inline int faulty_sync(void *self, int fd) {
    return faulty_hits(self) ? -1 : fdatasync(fd);
}
static inline int faulty_rename(void *self, const char *from, const char *to) {
    return faulty_hits(self) ? -1 : rename(from, to);
}

/* ---- a line that believes everything but the word "poison" ---- */

static inline fw_status any_recording(const char *path, fw_error *error) {
    (void)path, (void)error;
    return FW_OK;
}
static inline fw_status any_model(const char *path, char kind[FW_LINE_KIND_MAX], fw_error *error) {
    char *text;
    size_t size;
    FW_TRY(fw_file_read(path, 1 << 20, &text, &size, error));
    bool bad = memmem(text, size, "poison", 6) != NULL;
    free(text);
    if (bad) return fw_fail(error, FW_CORRUPT, "a poisoned model");
    strcpy(kind, "network");
    return FW_OK;
}
static const fw_factory_line any_line = {
    .name = "driving", .check_recording = any_recording, .check_model = any_model};

/* ---- jobs by script ---- */

typedef enum act { ACT_NONE, ACT_SUCCEED, ACT_REFUSE, ACT_CRASH, ACT_FINAL, ACT_HANG } act;
typedef struct scripted {
    fw_launcher launcher;
    act script[16]; /* one per start */
    int started, polls, stale_ended;
    char input[2][65536]; /* last train and gate input */
    char output[1 << 17];
    size_t output_at;
    act now;
} scripted;

static inline void write_text(const char *path, const char *text) {
    fw_error error;
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, strlen(text), &error), FW_OK);
}

static inline void do_job(scripted *s, const char *folder, const char *job, json_t *in) {
    char path[FW_PATH_MAX + 40], text[2400];
    bool train = strcmp(job, "train") == 0;
    const char *dataset = json_string_value(json_object_get(in, "dataset"));
    if (train) {
        snprintf(text, sizeof text, "network for seed %" JSON_INTEGER_FORMAT " and %s",
                 json_integer_value(json_object_get(in, "seed")), dataset);
        write_text(json_string_value(json_object_get(in, "candidate")), text);
        fw_hash hash = fw_hash_bytes(text, strlen(text));
        snprintf(text, sizeof text,
                 "{\"job\":\"train\",\"dataset\":\"%s\",\"candidate\":\"%s\","
                 "\"agent_steps\":77,\"core_s\":1.5,\"scenarios\":3}",
                 dataset, hash.hex);
    } else {
        char *turn = json_dumps(json_object_get(in, "gate"), JSON_COMPACT);
        snprintf(text, sizeof text,
                 "{\"job\":\"gate\",\"dataset\":\"%s\",\"candidate\":\"%s\","
                 "\"promote\":%s,\"reason\":\"by script\",\"scenarios\":3,\"difference\":0.1,\"turn\":%s,"
                 "\"record\":{\"promote\":%s,\"reason\":\"by script\",\"hypotheses\":{\"alpha_t\":0.025,\"beta\":0.1},"
                 "\"primary\":{\"log_e\":5.5},\"clusters\":[[\"a\",1,0,2,0]],\"log_wealth\":[[1,0.5]]}}",
                 dataset, json_string_value(json_object_get(in, "candidate_hash")),
                 s->now == ACT_REFUSE ? "false" : "true", turn ? turn : "null", s->now == ACT_REFUSE ? "false" : "true");
        free(turn);
    }
    snprintf(path, sizeof path, "%s/%s.json", folder, job);
    write_text(path, text);
}

static inline fw_status scripted_start(void *self, const char *const *argv, fw_job *job,
                                       fw_error *error) {
    scripted *s = self;
    char folder[FW_PATH_MAX], path[FW_PATH_MAX], *text;
    size_t size;
    assert_true(s->started < 16);
    s->now = s->script[s->started++];
    s->polls = 0;
    snprintf(folder, sizeof folder, "%s/jobs/generation-%s", argv[4], argv[6]);
    int used = snprintf(path, sizeof path, "%s/%s.in.json", folder, argv[2]);
    assert_true(used > 0 && used < FW_PATH_MAX);
    assert_int_equal(fw_file_read(path, 65535, &text, &size, error), FW_OK);
    memcpy(s->input[strcmp(argv[2], "gate") == 0], text, size + 1);
    json_t *in = json_loads(text, 0, NULL);
    assert_non_null(in);
    free(text);
    if (s->now == ACT_SUCCEED || s->now == ACT_REFUSE) do_job(s, folder, argv[2], in);
    json_decref(in);
    snprintf(s->output, sizeof s->output, "{\"phase\":\"ppo\",\"done\":5,\"total\":10}\n%s",
             s->now == ACT_FINAL ? "{\"error\":\"no use\"}\n" : "not json\n");
    s->output_at = 0;
    *job = (fw_job){.pid = 4242, .out_fd = 0, .start_ticks = 17};
    return FW_OK;
}
static inline long scripted_read(void *self, fw_job *job, char *out, size_t size) {
    scripted *s = self;
    size_t left = strlen(s->output) - s->output_at, used = left < 7 ? left : 7; /* in pieces */
    (void)job;
    assert_true(size >= 7);
    memcpy(out, s->output + s->output_at, used);
    s->output_at += used;
    return (long)used;
}
/* The running job says this now. */
static inline void scripted_say(scripted *s, const char *text) {
    assert_true(strlen(text) < sizeof s->output);
    strcpy(s->output, text);
    s->output_at = 0;
}
static inline bool scripted_ended(void *self, fw_job *job, int *status) {
    scripted *s = self;
    if (s->now == ACT_HANG || s->polls++ < 2) return false;
    job->pid = 0;
    *status = s->now == ACT_CRASH ? SIGSEGV : s->now == ACT_FINAL ? 1 << 8 : 0;
    return true;
}
static inline void scripted_stop(void *self, fw_job *job) {
    (void)self;
    *job = (fw_job){.out_fd = -1};
}
static inline void scripted_end_stale(void *self, pid_t pid, int64_t ticks) {
    assert_int_equal(pid, 4242);
    assert_int_equal(ticks, 17);
    ((scripted *)self)->stale_ended++;
}

/* ---- the factory ---- */

typedef struct fixture {
    char folder[64], data[80];
    faulty faults;
    scripted jobs;
    fw_factory_config config;
    fw_factory *factory;
    fw_http_app app;
} fixture;

static inline void fixture_start(fixture *f) {
    fw_error error = {""};
    if (fw_factory_open(&f->config, &f->factory, &error) != FW_OK) fail_msg("%s", error.text);
    f->app = fw_factory_app(f->factory);
}
static inline void fixture_stop(fixture *f) {
    fw_factory_close(f->factory);
    f->factory = NULL;
}
static inline int fixture_open(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const char *base = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%.30s/fw_factory_XXXXXX",
             base && strlen(base) <= 30 ? base : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->data, sizeof f->data, "%s/data", f->folder);
    f->faults.env = (fw_env){.self = &f->faults, .wall_ns = faulty_wall, .mono_ns = faulty_mono,
                           .sleep_ns = faulty_sleep, .write = faulty_write,
                           .fdatasync = faulty_sync, .rename = faulty_rename};
    f->jobs.launcher = (fw_launcher){&f->jobs,       scripted_start, scripted_read,
                                     scripted_ended, scripted_stop,  scripted_end_stale};
    f->config = (fw_factory_config){.data_folder = f->data,
                                    .program = "/no/flywheel",
                                    .env = &f->faults.env,
                                    .line = &any_line,
                                    .launcher = &f->jobs.launcher,
                                    .threads = 1,
                                    .upload_max_bytes = 100000};
    fixture_start(f);
    *state = f;
    return 0;
}
static inline int fixture_close(void **state) {
    fixture *f = *state;
    fw_error error;
    fixture_stop(f);
    assert_int_equal(fw_folder_remove(f->folder, &error), FW_OK);
    free(f);
    return 0;
}

/* ---- calls ---- */

typedef struct headers {
    const char *names[8], *values[8];
} headers;
static inline const char *header_of(const void *native, const char *name) {
    const headers *h = native;
    for (int i = 0; i < 8 && h->names[i]; i++)
        if (strcasecmp(h->names[i], name) == 0) return h->values[i];
    return NULL;
}
static inline const char *no_query(const void *native, const char *name) {
    (void)native, (void)name;
    return NULL;
}
static inline const char *answer_header(const fw_http_response *r, const char *name) {
    for (uint32_t i = 0; i < r->header_count; i++)
        if (strcmp(r->headers[i].name, name) == 0) return r->headers[i].value;
    return NULL;
}

/* A PUT whose sender vanishes after `sent` bytes when sent < size; then the status stays 0. */
static inline fw_http_response put_cut(fixture *f, const char *hash, const void *bytes, size_t size,
                                       size_t sent, headers h) {
    char path[120], length[32];
    fw_http_response response = {0};
    snprintf(path, sizeof path, "/v1/objects/%s", hash);
    snprintf(length, sizeof length, "%zu", size);
    int i = 0;
    while (h.names[i]) i++;
    h.names[i] = "Content-Length", h.values[i] = length;
    fw_http_request request = {
        .method = "PUT", .path = path, .header = header_of, .query = no_query, .native = &h};
    request.sink = f->app.open_sink(f->app.self, &request, &response);
    if (!request.sink) {
        if (!response.status) f->app.handle(f->app.self, &request, &response);
        return response;
    }
    bool going = true;
    for (size_t at = 0; at < sent && going; at += 1000) {
        size_t piece = sent - at < 1000 ? sent - at : 1000;
        going = f->app.sink_write(f->app.self, request.sink, (const char *)bytes + at, piece);
    }
    if (sent == size) f->app.handle(f->app.self, &request, &response);
    f->app.close_sink(f->app.self, request.sink);
    return response;
}

static inline headers unit_headers(const char *unit) {
    return (headers){{"Flywheel-Unit", "Flywheel-Kind"}, {unit, "recording"}};
}

/* PUTs under the right hash; returns the HTTP status. */
static inline int put(fixture *f, const char *unit, const void *bytes, size_t size) {
    fw_hash hash = fw_hash_bytes(bytes, size);
    fw_http_response r = put_cut(f, hash.hex, bytes, size, size, unit_headers(unit));
    free(r.body);
    return r.status;
}

/* GET or POST; *json is the answer, owned by the caller. Returns the HTTP status. */
static inline int call(fixture *f, const char *method, const char *path, const char *body,
                       json_t **json) {
    headers none = {{NULL}, {NULL}};
    fw_http_request request = {.method = method,
                               .path = path,
                               .header = header_of,
                               .query = no_query,
                               .native = &none,
                               .body = body,
                               .body_bytes = body ? strlen(body) : 0};
    fw_http_response response = {0};
    f->app.handle(f->app.self, &request, &response);
    if (json)
        *json = response.body ? json_loadb(response.body, response.body_bytes, 0, NULL) : NULL;
    free(response.body);
    return response.status;
}

static inline int64_t status_number(fixture *f, const char *name) {
    json_t *json;
    assert_int_equal(call(f, "GET", "/v1/status", NULL, &json), 200);
    int64_t value = json_integer_value(json_object_get(json, name));
    json_decref(json);
    return value;
}

/* ---- recordings ---- */

enum { MCAP_MAX = 60000 };

/* A recording with `events` events; `salt` makes its bytes differ. Returns its size. */
static inline size_t make_mcap(uint8_t out[MCAP_MAX], int salt, int events) {
    fw_mcap_writer *writer;
    fw_error error;
    uint16_t schema, ego, event;
    char text[100];
    fw_mcap_memory memory = {out, MCAP_MAX, 0};
    fw_mcap_writer_options options = {.chunk_bytes = 4096};
    assert_int_equal(fw_mcap_writer_open(&options, &writer, &error), FW_OK);
    assert_int_equal(fw_mcap_writer_begin(writer, fw_mcap_memory_sink(&memory), "", "test", &error),
                     FW_OK);
    assert_int_equal(fw_mcap_writer_add_schema(writer, "x", "jsonschema", "{}", 2, &schema, &error),
                     FW_OK);
    assert_int_equal(
        fw_mcap_writer_add_channel(writer, schema, "/ego", "json", NULL, 0, &ego, &error), FW_OK);
    assert_int_equal(
        fw_mcap_writer_add_channel(writer, schema, "/event", "json", NULL, 0, &event, &error),
        FW_OK);
    for (int i = 0; i < 50; i++) {
        int size = snprintf(text, sizeof text, "{\"x_m\":%d,\"salt\":%d}", i, salt);
        assert_int_equal(fw_mcap_writer_message(writer, ego, 0, (uint64_t)i + 1000,
                                                (uint64_t)i + 1000, text, (size_t)size, &error),
                         FW_OK);
    }
    for (int i = 0; i < events; i++) {
        int size =
            snprintf(text, sizeof text, "{\"event\":\"hard_brake\",\"value\":-4.5,\"tick\":%d}", i);
        assert_int_equal(fw_mcap_writer_message(writer, event, 0, (uint64_t)i + 2000,
                                                (uint64_t)i + 2000, text, (size_t)size, &error),
                         FW_OK);
    }
    assert_int_equal(fw_mcap_writer_end(writer, &error), FW_OK);
    fw_mcap_writer_close(writer);
    return memory.size_bytes;
}

static inline int put_mcap(fixture *f, const char *unit, int salt, int events) {
    static uint8_t bytes[MCAP_MAX];
    size_t size = make_mcap(bytes, salt, events);
    return put(f, unit, bytes, size);
}

/* Uploads text as a model and registers it as the champion. */
static inline fw_hash add_champion(fixture *f, const char *text) {
    char body[200];
    json_t *json;
    fw_hash hash = fw_hash_bytes(text, strlen(text));
    headers h = {{"Flywheel-Kind"}, {"model"}};
    fw_http_response r = put_cut(f, hash.hex, text, strlen(text), strlen(text), h);
    assert_true(r.status == 201 || r.status == 200);
    free(r.body);
    snprintf(body, sizeof body, "{\"hash\":\"%s\",\"card\":{},\"champion\":true}", hash.hex);
    assert_int_equal(call(f, "POST", "/v1/models", body, &json), 201);
    assert_true(json_is_true(json_object_get(json, "champion")));
    json_decref(json);
    return hash;
}

#endif
