/* Small recordings that say what they are: a car that drives a straight line, one point a second. */
#ifndef FW_TESTS_FACTORY_DRIVES_H
#define FW_TESTS_FACTORY_DRIVES_H

#include "fixture.h"

typedef struct drive {
    const char *unit, *line, *form, *campaign; /* NULL: left out of the metadata record */
    const char *model;                         /* "" or NULL: none */
    double x_m, y_m, speed_mps, noise_m;       /* start, pace along x */
    int seconds, brakes, seed;
    int64_t start_ns;
} drive;

static inline void drive_message(fw_mcap_writer *w, uint16_t channel, uint64_t time_ns,
                                 const char *text) {
    fw_error error;
    assert_int_equal(
        fw_mcap_writer_message(w, channel, 0, time_ns, time_ns, text, strlen(text), &error), FW_OK);
}

static inline size_t make_drive(uint8_t out[MCAP_MAX], const drive *d) {
    fw_mcap_writer *w;
    fw_error error = {""};
    uint16_t schema, ego, event;
    char text[300];
    fw_mcap_memory memory = {out, MCAP_MAX, 0};
    fw_mcap_writer_options options = {.chunk_bytes = 4096};
    assert_int_equal(fw_mcap_writer_open(&options, &w, &error), FW_OK);
    assert_int_equal(fw_mcap_writer_begin(w, fw_mcap_memory_sink(&memory), "", "test", &error),
                     FW_OK);
    assert_int_equal(fw_mcap_writer_add_schema(w, "Ego", "jsonschema", "{}", 2, &schema, &error),
                     FW_OK);
    assert_int_equal(fw_mcap_writer_add_channel(w, schema, "/ego", "json", NULL, 0, &ego, &error),
                     FW_OK);
    assert_int_equal(
        fw_mcap_writer_add_channel(w, schema, "/event", "json", NULL, 0, &event, &error), FW_OK);
    unsigned random = (unsigned)d->seed * 2654435761u + 1;
    for (int i = 0; i < d->seconds; i++) {
        random = random * 1664525u + 1013904223u;
        double noise = ((double)(random >> 16) / 32768.0 - 1.0) * d->noise_m;
        snprintf(text, sizeof text,
                 "{\"tick\":%d,\"x_m\":%.3f,\"y_m\":%.3f,\"speed_mps\":%.3f,\"users\":[[1,2],[3]],"
                 "\"model\":\"%s\"}",
                 i, d->x_m + d->speed_mps * i + noise, d->y_m + noise, d->speed_mps,
                 d->model ? d->model : "");
        drive_message(w, ego, (uint64_t)(d->start_ns + i * 1000000000LL), text);
    }
    for (int i = 0; i < d->brakes; i++) {
        snprintf(text, sizeof text, "{\"event\":\"hard_brake\",\"value\":-4.%d}", i);
        drive_message(w, event, (uint64_t)(d->start_ns + i * 1000000000LL), text);
    }
    fw_mcap_pair pairs[6];
    size_t count = 0;
    if (d->unit) pairs[count++] = (fw_mcap_pair){"unit", d->unit};
    if (d->line) pairs[count++] = (fw_mcap_pair){"line", d->line};
    if (d->form) pairs[count++] = (fw_mcap_pair){"form", d->form};
    if (d->campaign) pairs[count++] = (fw_mcap_pair){"campaign", d->campaign};
    if (d->model && d->model[0]) pairs[count++] = (fw_mcap_pair){"model", d->model};
    assert_int_equal(fw_mcap_writer_metadata(w, "flywheel", pairs, count, &error), FW_OK);
    assert_int_equal(fw_mcap_writer_end(w, &error), FW_OK);
    fw_mcap_writer_close(w);
    return memory.size_bytes;
}

/* Uploads it; its hash into *hash (may be NULL). */
static inline int put_drive(fixture *f, const char *unit, const drive *d, fw_hash *hash) {
    static uint8_t bytes[MCAP_MAX];
    size_t size = make_drive(bytes, d);
    if (hash) *hash = fw_hash_bytes(bytes, size);
    return put(f, unit, bytes, size);
}

/* A call with parameters: names and values in turn, NULL at the end. */
static inline const char *parameter_of(const void *native, const char *name) {
    for (const char *const *p = native; p[0]; p += 2)
        if (strcmp(p[0], name) == 0) return p[1];
    return NULL;
}
static inline const char *no_header(const void *native, const char *name) {
    (void)native, (void)name;
    return NULL;
}
static inline fw_http_response ask_raw(fixture *f, const char *method, const char *path,
                                       const char *const *parameters, const char *body) {
    static const char *const none[] = {NULL};
    fw_http_request request = {.method = method,
                               .path = path,
                               .header = no_header,
                               .query = parameter_of,
                               .native = parameters ? parameters : none,
                               .body = body,
                               .body_bytes = body ? strlen(body) : 0};
    fw_http_response response = {0};
    f->app.handle(f->app.self, &request, &response);
    return response;
}
static inline int ask(fixture *f, const char *path, const char *const *parameters, json_t **json) {
    fw_http_response r = ask_raw(f, "GET", path, parameters, NULL);
    *json = r.body ? json_loadb(r.body, r.body_bytes, 0, NULL) : NULL;
    free(r.body);
    return r.status;
}
static inline int query(fixture *f, const char *text, json_t **json) {
    return ask(f, "/v1/query", (const char *const[]){"q", text, NULL}, json);
}

/* How many recordings a query finds; fails the test when it is refused. */
static inline int found(fixture *f, const char *text) {
    json_t *json;
    int status = query(f, text, &json);
    if (status != 200)
        fail_msg("%s: %d %s", text, status, json_string_value(json_object_get(json, "error")));
    int count = (int)json_integer_value(json_object_get(json, "count"));
    assert_int_equal(count, json_array_size(json_object_get(json, "recordings")));
    json_decref(json);
    return count;
}

#endif
