/* A repository in a temporary folder, an environment with a clock and faults of its own, and a reader over files that
 * an attacker may have changed on the way. */
#ifndef FW_TESTS_TRUST_PUBLISH_H
#define FW_TESTS_TRUST_PUBLISH_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "trust/repository.h"
#include "trust/tuf.h"

#define DAY_S INT64_C(86400)

/* ---- the environment ---- */

typedef struct machine {
    fw_env env;
    int64_t now_s;
    unsigned calls, dies_at; /* from that write, flush or rename on nothing happens any more; 0: never */
} machine;

static inline bool machine_dead(machine *m) {
    m->calls++;
    if (m->dies_at == 0 || m->calls < m->dies_at) return false;
    errno = EIO;
    return true;
}
static inline int64_t machine_wall(void *self) { return ((machine *)self)->now_s * 1000000000; }
static inline void machine_sleep(void *self, int64_t ns) { ((machine *)self)->now_s += ns / 1000000000; }
static inline ssize_t machine_write(void *self, int fd, const void *bytes, size_t size) {
    if (!machine_dead(self)) return write(fd, bytes, size);
    if (size > 1 && ((machine *)self)->calls == ((machine *)self)->dies_at) (void)!write(fd, bytes, size / 2); /* torn */
    return -1;
}
static inline int machine_sync(void *self, int fd) {
    (void)fd; /* the disk of a test needs no flush */
    return machine_dead(self) ? -1 : 0;
}
static inline int machine_rename(void *self, const char *from, const char *to) {
    return machine_dead(self) ? -1 : rename(from, to);
}
static inline machine *machine_new(void) {
    machine *m = calloc(1, sizeof *m);
    m->now_s = 1800000000;
    m->env = (fw_env){.self = m, .wall_ns = machine_wall, .mono_ns = machine_wall, .sleep_ns = machine_sleep,
                      .write = machine_write, .fdatasync = machine_sync, .rename = machine_rename};
    return m;
}

/* ---- a repository ---- */

typedef struct shelf {
    machine *machine;
    char root[64], folder[FW_PATH_MAX], keys[FW_PATH_MAX];
    const char *unit; /* a director's; NULL: for everybody */
} shelf;

static inline shelf shelf_new(machine *m, const char *root, const char *name) {
    shelf s = {.machine = m};
    snprintf(s.root, sizeof s.root, "%s", root);
    snprintf(s.folder, sizeof s.folder, "%s/%s", root, name);
    snprintf(s.keys, sizeof s.keys, "%s/keys-%s", root, name);
    return s;
}
static inline fw_status shelf_try(const shelf *s, fw_repository **out, fw_error *error) {
    const fw_repository_config config = {.env = &s->machine->env, .folder = s->folder, .keys = s->keys,
                                         .unit = s->unit};
    return fw_repository_open(&config, out, error);
}
static inline fw_repository *shelf_open(const shelf *s) {
    fw_repository *r = NULL;
    fw_error error = {""};
    if (shelf_try(s, &r, &error) != FW_OK) fail_msg("%s", error.text);
    return r;
}
#define good(call)                                                                                                    \
    do {                                                                                                              \
        fw_error good_error = {""};                                                                                   \
        fw_error *why = &good_error;                                                                                  \
        fw_status good_status = (call);                                                                               \
        if (good_status != FW_OK) fail_msg("%s: %s: %s", #call, fw_status_text(good_status), good_error.text);         \
    } while (0)

/* One target, published. */
static inline void shelf_put(const shelf *s, const char *path, const char *bytes, json_t *custom /* taken */) {
    fw_repository *r = shelf_open(s);
    fw_hash hash = fw_hash_bytes(bytes, strlen(bytes));
    good(fw_repository_set(r, path, strlen(bytes), &hash, custom, why));
    good(fw_repository_publish(r, why));
    fw_repository_close(r);
    json_decref(custom);
}

/* ---- a reader ---- */

typedef struct reader {
    machine *machine;
    char folder[FW_PATH_MAX];
    char from[FW_PATH_MAX]; /* the folder served */
    const char *bytes; /* of any target; NULL: none is there */
    unsigned fetched;
    size_t cut_after;  /* a download breaks after so many bytes; 0: never */
    /* what an attacker makes of the line: FW_OK with *bytes set, or FW_END to go on as usual */
    fw_status (*attack)(struct reader *r, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes);
    void *self;
} reader;

static inline fw_status reader_metadata(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                                        fw_error *error) {
    reader *r = self;
    char full[FW_PATH_MAX + 128];
    r->fetched++;
    if (r->attack) {
        fw_status status = r->attack(r, path, max_bytes, bytes, size_bytes);
        if (status != FW_END) return status == FW_OK ? FW_OK : fw_fail(error, status, "attacked");
    }
    snprintf(full, sizeof full, "%s/%s", r->from, path);
    return fw_file_read(full, max_bytes, bytes, size_bytes, error);
}
static inline fw_status reader_target(void *self, const char *path, uint64_t offset, size_t max_bytes, int fd,
                                      fw_error *error) {
    reader *r = self;
    (void)path;
    if (!r->bytes) return fw_fail(error, FW_NOT_FOUND, "no such target");
    size_t size = strlen(r->bytes), n = offset < size ? size - offset : 0;
    bool cut = r->cut_after && n > r->cut_after;
    if (cut) n = r->cut_after;
    if (n > max_bytes) return fw_fail(error, FW_TOO_BIG, "more than it may have");
    if (n && write(fd, r->bytes + offset, n) != (ssize_t)n) return fw_fail_errno(error, "write");
    return cut ? fw_fail(error, FW_CLOSED, "the line broke") : FW_OK;
}
static inline void reader_serve(reader *r, const char *folder) { snprintf(r->from, sizeof r->from, "%s", folder); }
static inline reader reader_new(const shelf *s, const char *name) {
    reader r = {.machine = s->machine};
    reader_serve(&r, s->folder);
    snprintf(r.folder, sizeof r.folder, "%s/%s", s->root, name);
    good(fw_folder_make(r.folder, 0755, why));
    return r;
}
/* Its first trusted root is the repository's newest. */
static inline void reader_init(reader *r, const shelf *s) {
    fw_repository *repository = shelf_open(s);
    char *root = NULL;
    size_t size = 0;
    good(fw_repository_root(repository, &root, &size, why));
    good(fw_tuf_init(&r->machine->env, r->folder, root, size, why));
    free(root);
    fw_repository_close(repository);
}
static inline fw_tuf_client *reader_open(reader *r, fw_tuf_fetch *fetch) {
    fw_tuf_client *client = NULL;
    *fetch = (fw_tuf_fetch){.self = r, .metadata = reader_metadata, .target = reader_target};
    good(fw_tuf_open(&r->machine->env, r->folder, fetch, NULL, &client, why));
    return client;
}
/* One session: refresh, and what it says of a path. */
static inline fw_status reader_find(reader *r, const char *path, fw_tuf_target *out, fw_error *error) {
    fw_tuf_fetch fetch;
    fw_tuf_client *client = reader_open(r, &fetch);
    fw_status status = fw_tuf_refresh(client, error);
    if (status == FW_OK && path) status = fw_tuf_find(client, path, out, error);
    fw_tuf_close(client);
    out->custom = NULL;
    return status;
}

/* ---- folders ---- */

static inline int folder_open(void **state) {
    char *root = strdup("/tmp/fw_trust_XXXXXX");
    if (!mkdtemp(root)) return -1;
    *state = root;
    return 0;
}
static inline int folder_close(void **state) {
    int bad = fw_folder_remove(*state, NULL) != FW_OK;
    free(*state);
    return bad;
}
static inline void copy_folder(const char *from, const char *to) {
    char command[4 * FW_PATH_MAX];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

#endif
