/* program.h - the whole unit as a user starts it, a world on its bus and a factory over HTTP with signed metadata. */
#ifndef FW_TESTS_UNIT_PROGRAM_H
#define FW_TESTS_UNIT_PROGRAM_H

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "http/server.h"
#include "repositories.h"

enum { UNIT = 3, OBJECTS_MAX = 64, PATIENCE_S = 60 };

/* ---- a factory that takes whole uploads and names one model ---- */

typedef struct factory {
    pthread_mutex_t lock; /* guards all below */
    fw_hash objects[OBJECTS_MAX];
    uint32_t count;
    char *model;
    size_t model_bytes;
    fw_hash target, active;
    const char *campaigns; /* the unit's list, told as version "v1"; NULL none */
    repositories repositories;
    bool has_key;
    char versions[1200];   /* the last signed version report */
    uint64_t records;      /* lines taken by /v1/records */
    bool knows_versions;
    fw_http_server *server;
    uint16_t port;
} factory;

static inline void take_object(factory *f, const fw_http_request *request, fw_http_response *response) {
    char text[300];
    const char *hash = request->path + strlen("/v1/objects/");
    fw_hash found = fw_hash_bytes(request->body, request->body_bytes);
    const char *range = request->header(request->native, "Content-Range");
    if (!range || strncmp(range, "bytes 0-", 8) != 0) {
        fw_http_respond_error(response, 409, "from the start, please");
        return;
    }
    if (strcmp(found.hex, hash) != 0) {
        fw_http_respond_error(response, 422, "wrong hash");
        return;
    }
    bool seen = false;
    for (uint32_t i = 0; i < f->count; i++) seen |= strcmp(f->objects[i].hex, hash) == 0;
    if (!seen && f->count < OBJECTS_MAX) f->objects[f->count++] = found;
    if (fw_mcap_validate_bytes(NULL, request->body, request->body_bytes, NULL, NULL) != FW_OK) {
        fw_http_respond_error(response, 422, "no whole MCAP");
        return;
    }
    snprintf(text, sizeof text,
             "{\"sha256\":\"%s\",\"size_bytes\":%zu,\"server_time_ns\":1,\"sequence\":%u}", hash,
             request->body_bytes, f->count);
    fw_http_respond_json(response, 201, strdup(text));
}

static inline void take_records(factory *f, const fw_http_request *request, fw_http_response *response) {
    char text[100];
    const char *first = request->header(request->native, "Flywheel-First");
    unsigned long long next = strtoull(first, NULL, 10);
    for (size_t i = 0; i < request->body_bytes; i++)
        if (request->body[i] == '\n') next++, f->records++;
    if (strstr(request->body, "\"program\":\"flywheel-unit\"")) f->knows_versions = true;
    snprintf(text, sizeof text, "{\"next\":%llu}", next);
    fw_http_respond_json(response, 200, strdup(text));
}

/* What the unit signs of the model that it runs. */
static inline void take_versions(factory *f, const fw_http_request *request) {
    json_t *json = json_loadb(request->body, request->body_bytes, 0, NULL);
    const char *versions = json_string_value(json_object_get(json, "versions"));
    if (versions) snprintf(f->versions, sizeof f->versions, "%s", versions);
    json_decref(json);
}

static inline void handle(void *self, const fw_http_request *request, fw_http_response *response) {
    factory *f = self;
    char text[200];
    pthread_mutex_lock(&f->lock);
    if (strcmp(request->method, "PUT") == 0) {
        take_object(f, request, response);
    } else if (strcmp(request->path, "/v1/records") == 0) {
        take_records(f, request, response);
    } else if (strncmp(request->path, "/v1/tuf/", 8) == 0) {
        repositories_serve(&f->repositories, request->path, response);
    } else if (strcmp(request->path, "/v1/units/3/key") == 0) {
        f->has_key = true;
        fw_http_respond_json(response, 201, strdup("{}"));
    } else if (strcmp(request->path, "/v1/units/3/campaigns") == 0) {
        fw_http_respond_json(response, 200, strdup(f->campaigns));
    } else if (strcmp(request->method, "POST") == 0) {
        const char *active = request->body ? strstr(request->body, "\"active\":\"") : NULL;
        if (active) memcpy(f->active.hex, active + 10, FW_HASH_HEX);
        take_versions(f, request);
        snprintf(text, sizeof text, "{\"target\":\"%s\",\"nonce\":\"00112233445566778899aabbccddeeff\"%s}", f->target.hex,
                 f->campaigns ? ",\"campaigns\":\"v1\"" : "");
        fw_http_respond_json(response, 200, strdup(text));
    } else if (strcmp(request->method, "GET") == 0) {
        response->status = 200;
        response->content_type = "application/octet-stream";
        response->body = malloc(f->model_bytes);
        memcpy(response->body, f->model, f->model_bytes);
        response->body_bytes = f->model_bytes;
    } else {
        fw_http_respond_error(response, 404, "not here");
    }
    pthread_mutex_unlock(&f->lock);
}

static inline void start_factory(factory *f) {
    fw_http_config config = {.address = "127.0.0.1", .port = f->port, .body_max_bytes = 8 << 20,
                             .connections_max = 16, .idle_timeout_s = 30};
    fw_http_app app = {.self = f, .handle = handle};
    fw_error error;
    fw_status status = fw_http_server_start(&config, &app, &f->server, &error);
    if (status != FW_OK) fail_msg("%s", error.text);
    f->port = fw_http_server_port(f->server);
}

static inline void stop_factory(factory *f) {
    fw_http_server_stop(f->server);
    f->server = NULL;
}

static inline void aim(factory *f, fw_policy_kind kind) {
    fw_error error;
    pthread_mutex_lock(&f->lock);
    free(f->model);
    assert_int_equal(fw_policy_rule_file(kind, &f->model, &f->model_bytes, &error), FW_OK);
    f->target = fw_hash_bytes(f->model, f->model_bytes);
    repositories_assign(&f->repositories, &f->target, f->model_bytes);
    pthread_mutex_unlock(&f->lock);
}

static inline uint32_t object_count(factory *f) {
    pthread_mutex_lock(&f->lock);
    uint32_t count = f->count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

/* Waits for the factory to have `count` recordings. */
static inline void await_objects(factory *f, uint32_t count) {
    for (int i = 0; i < PATIENCE_S * 50 && object_count(f) < count; i++) usleep(20000);
    assert_int_equal(object_count(f), count);
}

/* True when the unit has signed that it runs this model. */
static inline bool signs(factory *f, const fw_hash *model) {
    pthread_mutex_lock(&f->lock);
    bool does = f->has_key && strstr(f->versions, model->hex) && strstr(f->versions, "00112233445566778899aabbccddeeff");
    pthread_mutex_unlock(&f->lock);
    return does;
}

/* ---- the unit ---- */

typedef struct rig {
    const char *record; /* "all" unless set */
    char folder[64], bus[96], data[96], url[64];
    factory factory;
    int listener;
    pid_t unit;
} rig;

static inline void start_unit(rig *r) {
    r->unit = fork();
    if (r->unit == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", UNIT);
        execl(FW_BINARY_DIR "/src/flywheel-unit", "flywheel-unit", "--unit", number, "--bus", r->bus,
              "--factory", r->url, "--data", r->data, "--record", r->record ? r->record : "all",
              "--root", r->factory.repositories.root_path, (char *)NULL);
        _exit(127);
    }
    assert_true(r->unit > 0);
}

static inline void stop_unit(rig *r) {
    int how = 0;
    kill(r->unit, SIGTERM);
    assert_int_equal(waitpid(r->unit, &how, 0), r->unit);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

static inline void make_rig(rig *r) {
    fw_error error;
    *r = (rig){.record = r->record, .factory.campaigns = r->factory.campaigns};
    make_folder(r->folder);
    snprintf(r->bus, sizeof r->bus, "%s/bus", r->folder);
    snprintf(r->data, sizeof r->data, "%s/unit", r->folder);
    pthread_mutex_init(&r->factory.lock, NULL);
    repositories_make(&r->factory.repositories, UNIT);
    aim(&r->factory, FW_POLICY_CONSTANT);
    start_factory(&r->factory);
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%u", r->factory.port);
    assert_int_equal(fw_bus_listen(r->bus, &r->listener, &error), FW_OK);
    start_unit(r);
}

static inline void drop_rig(rig *r) {
    if (r->factory.server) stop_factory(&r->factory);
    close(r->listener);
    free(r->factory.model);
    pthread_mutex_destroy(&r->factory.lock);
    repositories_drop(&r->factory.repositories);
    drop_folder(r->folder);
}

static inline int accept_unit(rig *r) {
    fw_error error;
    uint32_t unit = 0;
    int fd = -1;
    fw_status status = fw_bus_accept(r->listener, "driving", PATIENCE_S * 1000, &fd, &unit, &error);
    if (status != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(unit, UNIT);
    return fd;
}

/* Ticks first .. first + count of a drive; the last answer. */
static inline fw_bus_act drive(int fd, uint32_t number, uint32_t first, uint32_t count) {
    fw_bus_act act = {0};
    for (uint32_t i = first; i < first + count; i++) {
        fw_drive_obs obs;
        straight_road(number, i, &obs);
        send_obs(fd, UNIT, &obs);
        act = take_act(fd, NULL);
        assert_int_equal(act.acted, 1);
    }
    return act;
}

static inline fw_bus_act say(int fd, fw_bus_kind kind, uint32_t tick) {
    fw_error error;
    assert_int_equal(fw_bus_send(fd, kind, UNIT, tick, NULL, 0, &error), FW_OK);
    return take_act(fd, NULL);
}

/* Process ids of the tick (0) and the courier (1): the supervisor's children, oldest first. */
static inline pid_t child_pid(const rig *r, int which) {
    char path[96], *text = NULL;
    size_t size = 0;
    int pids[4] = {0};
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", r->unit, r->unit);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (getline(&text, &size, file) > 0) sscanf(text, "%d %d", &pids[0], &pids[1]);
    free(text);
    fclose(file);
    return pids[which];
}

#endif
