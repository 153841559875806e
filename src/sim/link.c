/* link.c - calls over a bad network (link.h). */
#include "sim/link.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "http/range.h"
#include "sim/world.h"

enum { PIECE_BYTES = 4096, HEADERS_MAX = 16, BODY_MAX = 8 << 20 };

/* ---- the factory's side ---- */

/* What the handlers see of a request. */
typedef struct native {
    const char *const *headers;
    char length[32], path[512];
    const char *query; /* NULL: none */
    char value[256];   /* of the parameter asked for last */
} native;

static const char *header_of(const void *self, const char *name) {
    const native *n = self;
    size_t size = strlen(name);
    if (strcasecmp(name, "Content-Length") == 0) return n->length;
    for (const char *const *h = n->headers; h && *h; h++)
        if (strncasecmp(*h, name, size) == 0 && (*h)[size] == ':') return *h + size + 2;
    return NULL;
}

static const char *query_of(const void *self, const char *name) {
    native *n = (native *)(uintptr_t)self;
    size_t size = strlen(name);
    for (const char *at = n->query; at && *at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (strncmp(at, name, size) != 0 || at[size] != '=') continue;
        snprintf(n->value, sizeof n->value, "%.*s", (int)strcspn(at + size + 1, "&"), at + size + 1);
        return n->value;
    }
    return NULL;
}

/* The body into the sink; false when it was cut. */
static bool pour(const fw_http_app *app, void *sink, const fw_sim_request *r) {
    size_t end = r->cut < r->body_bytes ? r->cut : r->body_bytes;
    bool going = true;
    for (size_t at = 0; at < end && going; at += PIECE_BYTES) {
        size_t piece = end - at < PIECE_BYTES ? end - at : PIECE_BYTES;
        going = app->sink_write(app->self, sink, (const char *)r->body + at, piece);
    }
    return end == r->body_bytes;
}

bool fw_sim_ask(fw_sim_world *world, const fw_sim_request *r, fw_http_response *response) {
    fw_sim_factory *f = &world->factory;
    native n = {.headers = r->headers};
    *response = (fw_http_response){0};
    if (!f->factory) return false;
    fw_http_app app = fw_factory_app(f->factory);
    snprintf(n.length, sizeof n.length, "%zu", r->body_bytes);
    snprintf(n.path, sizeof n.path, "%.*s", (int)strcspn(r->target, "?"), r->target);
    n.query = strchr(r->target, '?') ? strchr(r->target, '?') + 1 : NULL;
    fw_http_request request = {.method = r->method, .path = n.path, .header = header_of,
                               .query = query_of, .native = &n};
    world->result.counts.calls++;
    bool has_body = r->body_bytes > 0 || strcmp(r->method, "PUT") == 0;
    if (app.admit && !app.admit(app.self, &request, response)) return !f->machine.disk.dead;
    if (has_body) request.sink = app.open_sink(app.self, &request, response);
    if (request.sink) {
        if (pour(&app, request.sink, r)) app.handle(app.self, &request, response);
        app.close_sink(app.self, request.sink);
    } else if (response->status == 0 && r->cut >= r->body_bytes) {
        request.body = r->body;
        request.body_bytes = r->body_bytes;
        app.handle(app.self, &request, response);
    }
    return !f->machine.disk.dead;
}

const char *fw_sim_answer_header(const fw_http_response *r, const char *name) {
    for (uint32_t i = 0; i < r->header_count; i++)
        if (strcasecmp(r->headers[i].name, name) == 0) return r->headers[i].value;
    return NULL;
}

static void drop_answer(fw_http_response *r) {
    if (r->stream_free) r->stream_free(r->stream_self);
    free(r->body);
    *r = (fw_http_response){0};
}

/* ---- the unit's side ---- */

static void read_body(const fw_http_call *call, char **bytes, size_t *size) {
    struct stat info;
    *bytes = NULL;
    *size = 0;
    int fd = open(call->body_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (fstat(fd, &info) == 0 && (uint64_t)info.st_size >= call->body_offset &&
        info.st_size <= BODY_MAX) {
        size_t left = (size_t)((uint64_t)info.st_size - call->body_offset);
        *bytes = malloc(left + 1);
        ssize_t got = *bytes ? pread(fd, *bytes, left, (off_t)call->body_offset) : -1;
        *size = got > 0 ? (size_t)got : 0;
    }
    close(fd);
}

/* The bytes of an answer, as the server would send them: a file with its Range, or the body. */
static fw_status answer_bytes(const fw_http_response *r, const native *n, fw_http_reply *reply,
                              fw_error *error) {
    uint64_t first = 0, count = 0;
    reply->status = r->status;
    if (!r->file_path[0]) {
        size_t size = r->body || r->static_body ? r->body_bytes : 0;
        reply->body = malloc(size + 1);
        if (!reply->body) return fw_fail(error, FW_NO_MEMORY, "no memory");
        if (size > 0) memcpy(reply->body, r->body ? r->body : r->static_body, size);
        reply->body[size] = '\0';
        reply->body_bytes = size;
        return FW_OK;
    }
    FW_TRY(fw_file_read(r->file_path, BODY_MAX, &reply->body, &reply->body_bytes, error));
    fw_http_range range = fw_http_parse_range(header_of(n, "Range"), reply->body_bytes, &first, &count);
    if (range == FW_HTTP_RANGE_REFUSED) reply->status = 416;
    if (range == FW_HTTP_RANGE_PART && r->status == 200) {
        memmove(reply->body, reply->body + first, (size_t)count);
        reply->body_bytes = (size_t)count;
        reply->status = 206;
    }
    return FW_OK;
}

static fw_status take_answer(const fw_http_call *call, const fw_http_response *r, fw_http_reply *reply,
                             fw_error *error) {
    native n = {.headers = call->headers, .length = "0"};
    const char *offset = fw_sim_answer_header(r, "Upload-Offset"),
               *retry = fw_sim_answer_header(r, "Retry-After");
    FW_TRY(answer_bytes(r, &n, reply, error));
    if (offset) reply->upload_offset = strtoll(offset, NULL, 10);
    if (retry) reply->retry_after_s = atoi(retry);
    if (strcmp(call->method, "HEAD") == 0) reply->body_bytes = 0;
    if (reply->body_bytes <= call->reply_max_bytes) return FW_OK;
    free(reply->body);
    reply->body = NULL;
    return fw_fail(error, FW_TOO_BIG, "the answer is over the limit");
}

/* ---- what the factory said, for the promises ---- */

static const char *call_header(const fw_http_call *call, const char *name) {
    native n = {.headers = call->headers, .length = ""};
    return header_of(&n, name);
}

static void witness(fw_sim_world *w, const fw_http_call *call, const char *path, const fw_sim_request *r,
                    const fw_http_response *answer) {
    if (!answer->body) return;
    if (strcmp(call->method, "PUT") == 0 && (answer->status == 200 || answer->status == 201))
        fw_sim_promise_receipt(w, path + strlen("/v1/objects/"), answer->body, answer->body_bytes);
    if (strcmp(path, "/v1/records") != 0 || strcmp(call->method, "POST") != 0 || answer->status != 200)
        return;
    json_t *json = json_loadb(answer->body, answer->body_bytes, 0, NULL);
    const char *first = call_header(call, "Flywheel-First");
    fw_sim_promise_records(w, call_header(call, "Flywheel-Unit"), call_header(call, "Flywheel-Boot"),
                           call_header(call, "Flywheel-Stream"), strtoull(first ? first : "0", NULL, 10),
                           r->body, r->body_bytes,
                           (uint64_t)json_integer_value(json_object_get(json, "next")));
    json_decref(json);
}

/* ---- fate ---- */

typedef enum fate { WELL, REQUEST_LOST, ANSWER_LOST, BODY_CUT, UNREACHABLE } fate;

static fate draw(fw_sim_link *l, int64_t now_ns, int timeout_ms) {
    fw_sim_counts *c = &l->world->result.counts;
    int64_t took_ns = (int64_t)(5 + fw_random_below(&l->random, 60)) * 1000000;
    if (!l->faults) {
        *l->spent_ns += took_ns;
        return WELL;
    }
    if (now_ns < l->down_until_ns) {
        *l->spent_ns += took_ns;
        return UNREACHABLE;
    }
    uint32_t dice = fw_random_below(&l->random, 1000);
    if (dice < 1) { /* down for a while */
        l->down_until_ns = now_ns + (int64_t)(1 + fw_random_below(&l->random, 600)) * FW_SIM_SECOND_NS;
        c->partitions++;
        fw_sim_say(&l->world->trace, now_ns, l->who, "no network for a while");
        return UNREACHABLE;
    }
    if (dice < 60) took_ns *= 1 + fw_random_below(&l->random, 400); /* slow */
    if (took_ns > (int64_t)timeout_ms * 1000000) took_ns = (int64_t)timeout_ms * 1000000;
    *l->spent_ns += took_ns;
    if (took_ns == (int64_t)timeout_ms * 1000000)
        return fw_random_below(&l->random, 2) ? REQUEST_LOST : ANSWER_LOST;
    dice = fw_random_below(&l->random, 1000);
    return dice < 25 ? REQUEST_LOST : dice < 50 ? ANSWER_LOST : dice < 80 ? BODY_CUT : WELL;
}

static fw_status refuse_call(fw_sim_link *l, fate f, fw_error *error) {
    fw_sim_counts *c = &l->world->result.counts;
    if (f == REQUEST_LOST || f == UNREACHABLE) c->lost_requests++;
    return fw_fail(error, f == UNREACHABLE ? FW_CLOSED : FW_TIMEOUT, "simulated: %s",
                   f == UNREACHABLE ? "no way to the factory" : "no answer");
}

/* Hands the request over and brings the answer back, as far as fate lets it. */
static fw_status carry(fw_sim_link *l, const fw_http_call *call, fw_sim_request *r, fate f,
                       fw_http_reply *reply, fw_error *error) {
    fw_sim_world *w = l->world;
    fw_http_response answer = {0};
    char path[512];
    snprintf(path, sizeof path, "%.*s", (int)strcspn(r->target, "?"), r->target);
    if (f == BODY_CUT && r->body_bytes > 0) {
        r->cut = fw_random_below(&l->random, (uint32_t)r->body_bytes);
        w->result.counts.cut_bodies++;
    }
    w->factory.machine.spent_ns = *l->spent_ns;
    bool there = fw_sim_ask(w, r, &answer);
    *l->spent_ns = w->factory.machine.spent_ns;
    w->factory.machine.spent_ns = 0;
    bool cut = r->cut < r->body_bytes;
    if (there && !cut) witness(w, call, path, r, &answer);
    fw_sim_say(&w->trace, w->now_ns + *l->spent_ns, l->who, "%s %.40s -> %d%s%s", call->method, path,
               there ? answer.status : 0, cut ? ", cut" : "", f == ANSWER_LOST ? ", answer lost" : "");
    fw_status status = FW_OK;
    if (f == ANSWER_LOST) w->result.counts.lost_answers++;
    if (!there || cut || f == ANSWER_LOST || answer.status == 0)
        status = fw_fail(error, f == ANSWER_LOST ? FW_TIMEOUT : FW_CLOSED, "simulated: no answer");
    else
        status = take_answer(call, &answer, reply, error);
    drop_answer(&answer);
    const char *did = status == FW_OK && l->faults && strcmp(call->method, "PUT") != 0 &&
                              strcmp(call->method, "HEAD") != 0
                          ? fw_sim_tamper_with(&l->tamper, &l->random, path, w->op.never.hex, reply) : NULL;
    if (did) fw_sim_say(&w->trace, w->now_ns + *l->spent_ns, l->who, "somebody on the way %s", did);
    w->result.counts.tampered += did != NULL;
    return status;
}

static fw_status perform(void *self, const fw_http_call *call, fw_http_reply *reply, fw_error *error) {
    fw_sim_link *l = self;
    char *from_file = NULL;
    *reply = (fw_http_reply){.upload_offset = -1};
    const char *target = strstr(call->url, "://");
    target = target ? strchr(target + 3, '/') : NULL;
    if (!target) return fw_fail(error, FW_INVALID, "no address: %s", call->url);
    if (call->body_path && access(call->body_path, R_OK) != 0)
        return fw_fail(error, FW_NOT_FOUND, "cannot open %s", call->body_path);
    fate f = draw(l, l->world->now_ns + *l->spent_ns, call->timeout_ms);
    if (f == REQUEST_LOST || f == UNREACHABLE) return refuse_call(l, f, error);
    fw_sim_request r = {.method = call->method, .target = target, .headers = call->headers,
                        .body = call->body, .body_bytes = call->body_bytes, .cut = SIZE_MAX};
    if (call->body_path) {
        read_body(call, &from_file, &r.body_bytes);
        r.body = from_file;
    }
    fw_status status = carry(l, call, &r, f, reply, error);
    free(from_file);
    return status;
}

fw_http_client fw_sim_link_client(fw_sim_link *link) {
    return (fw_http_client){.self = link, .perform = perform};
}
