/* byzantine.c - calls of somebody who means no good (byzantine.h). */
#include "sim/byzantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

enum { JUNK_BYTES = 3000, EVERY_S = 60, FLOOD = 40 };

/* A call, and what came of it in the story. */
static void call(fw_sim_world *w, const char *what, const char *method, const char *target,
                 const char *const *headers, const void *body, size_t size, int refused) {
    fw_http_response answer;
    fw_sim_request r = {.method = method, .target = target, .headers = headers, .body = body,
                        .body_bytes = size, .cut = SIZE_MAX};
    bool there = fw_sim_ask(w, &r, &answer);
    w->result.counts.byzantine_calls++;
    fw_sim_say(&w->trace, w->now_ns, "byzantine", "%s -> %d", what, there ? answer.status : 0);
    if (there && refused && answer.status / 100 == 2)
        fw_sim_broken(w, "receipt", "byzantine", "%s was taken with %d", what, answer.status);
    if (answer.stream_free) answer.stream_free(answer.stream_self);
    free(answer.body);
}

static void junk(fw_random *random, uint8_t out[JUNK_BYTES]) {
    for (int i = 0; i < JUNK_BYTES; i++) out[i] = (uint8_t)fw_random_u32(random);
}

/* Somebody's recording that the factory has, or NULL. */
static const fw_sim_recording *known(fw_sim_world *w, fw_random *random) {
    const fw_sim_promises *p = &w->promises;
    size_t from = p->room ? fw_random_below(random, (uint32_t)p->room) : 0;
    for (size_t i = 0; i < p->room; i++) {
        const fw_sim_recording *r = &p->recordings[(from + i) & (p->room - 1)];
        if (r->received) return r;
    }
    return NULL;
}

static void put(fw_sim_world *w, const char *what, const char *hash, const char *unit, const void *body,
                size_t size, int refused) {
    char target[128], name[64];
    snprintf(target, sizeof target, "/v1/objects/%s", hash);
    snprintf(name, sizeof name, "Flywheel-Unit: %s", unit);
    const char *const headers[] = {name, "Flywheel-Kind: recording", NULL};
    call(w, what, "PUT", target, headers, body, size, refused);
}

static void wrong_hash(fw_sim_world *w, fw_random *random) {
    uint8_t bytes[JUNK_BYTES];
    junk(random, bytes);
    fw_hash other = fw_hash_bytes(bytes, JUNK_BYTES - 1);
    put(w, "bytes under another hash", other.hex, "1", bytes, JUNK_BYTES, 1);
}

static void no_recording(fw_sim_world *w, fw_random *random) {
    uint8_t bytes[JUNK_BYTES];
    junk(random, bytes);
    put(w, "what is no recording", fw_hash_bytes(bytes, JUNK_BYTES).hex, "mallory", bytes, JUNK_BYTES, 1);
}

/* A recording of somebody else's, cut: other bytes, so another hash, and no recording. */
static void cut_short(fw_sim_world *w, fw_random *random) {
    const fw_sim_recording *r = known(w, random);
    char path[FW_PATH_MAX], *bytes = NULL;
    size_t size;
    fw_error error;
    if (!r) return;
    fw_objects_path(&w->factory.factory->objects, r->hash.hex, path);
    if (fw_file_read(path, 1 << 20, &bytes, &size, &error) != FW_OK) return;
    size = 1 + fw_random_below(random, (uint32_t)size - 1);
    put(w, "a cut recording", fw_hash_bytes(bytes, size).hex, "mallory", bytes, size, 1);
    free(bytes);
}

/* The hash of what the factory has, with other bytes: the receipt must stay what it was. */
static void replay(fw_sim_world *w, fw_random *random) {
    uint8_t bytes[JUNK_BYTES];
    const fw_sim_recording *r = known(w, random);
    junk(random, bytes);
    if (r) put(w, "a known hash again", r->hash.hex, "mallory", bytes, JUNK_BYTES, 0);
}

static void report(fw_sim_world *w, const char *unit, const char *body, const char *what) {
    char target[80];
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    snprintf(target, sizeof target, "/v1/units/%s/report", unit);
    call(w, what, "POST", target, headers, body, strlen(body), 0);
}

static void lie(fw_sim_world *w, fw_random *random) {
    static const char *const bodies[] = {
        "{", "[]", "{\"active\":7}", "{\"active\":null,\"tick\":-1}", "{\"active\":\"\\u0000\"}",
        "{\"active\":\"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\",\"staged\":null,"
        "\"tick\":1,\"recordings\":0,\"spool_bytes\":0,\"lost_bytes\":0}"};
    report(w, "mallory", bodies[fw_random_below(random, sizeof bodies / sizeof *bodies)], "a lie");
}

/* Records with a gap, and of a stream that is somebody else's. */
static void bent_records(fw_sim_world *w, fw_random *random) {
    char first[64];
    snprintf(first, sizeof first, "Flywheel-First: %u", 1 + fw_random_below(random, 1000000));
    const char *const headers[] = {"Flywheel-Unit: mallory", "Flywheel-Boot: 00", "Flywheel-Stream: health",
                                   first, NULL};
    static const char body[] = "{\"a\":1}\n{\"b\":2}\n";
    call(w, "records with a gap", "POST", "/v1/records", headers, body, sizeof body - 1, 1);
}

static void flood(fw_sim_world *w, fw_random *random) {
    for (int i = 0; i < FLOOD; i++) {
        char unit[32];
        snprintf(unit, sizeof unit, "flood-%u", fw_random_below(random, 500));
        report(w, unit, "{\"active\":null,\"staged\":null,\"tick\":0,\"recordings\":0,\"spool_bytes\":0,"
                        "\"lost_bytes\":0}", "a flood");
    }
}

void fw_sim_byzantine_open(fw_sim_world *w) {
    w->byzantine.random = fw_random_named(w->config->seed, "byzantine");
    w->byzantine.due_ns = fw_sim_wait_ns(&w->byzantine.random, EVERY_S);
}

void fw_sim_byzantine_step(fw_sim_world *w) {
    fw_random *random = &w->byzantine.random;
    w->byzantine.due_ns = w->now_ns + fw_sim_wait_ns(random, EVERY_S);
    if (!w->factory.factory) return;
    switch (fw_random_below(random, 8)) {
    case 0: wrong_hash(w, random); break;
    case 1: no_recording(w, random); break;
    case 2: cut_short(w, random); break;
    case 3: replay(w, random); break;
    case 4: bent_records(w, random); break;
    case 5: flood(w, random); break;
    default: lie(w, random); break;
    }
}
