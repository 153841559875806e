/* repo.h - a TUF repository for tests, in memory, whose keeper can lie, lose keys and be cut; and a client's folder.
 *
 *   repo_open(&r)                      root, targets, snapshot and timestamp at version 1, one key each
 *   repo_publish(&r, "targets snapshot timestamp")
 *                                      the next version of each, signed by repo's signers of the role; snapshot and
 *                                      timestamp follow what was published before them
 *   repo_content(&r, "snapshot")       what will be signed next: change it as you like
 *   repo_refresh(&r)                   a new client on the folder, one refresh
 *
 * Keys are numbers: repo_keys(&r, "root", 2, "0 1 2") lets the root name three of them with threshold 2,
 * repo_signers(&r, "root", "0 1") signs with two. What was asked of the repository stands in r.asked.
 */
#ifndef FW_TESTS_TRUST_REPO_H
#define FW_TESTS_TRUST_REPO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "trust/canonical.h"
#include "trust/key.h"
#include "trust/metadata.h"
#include "trust/tuf.h"

#define REPO_UNUSED __attribute__((unused))
enum { REPO_FILES = 256, REPO_KEYS = 40, REPO_NAME = 256, REPO_SIGNERS_MAX = 12 };
static const int64_t repo_day_s = 86400, repo_start_s = 1800000000; /* 2027 */

typedef struct repo_file {
    char name[REPO_NAME];
    char *bytes;
    size_t size;
} repo_file;

typedef struct repo {
    json_t *contents, *signers; /* {role: content}, {role: [key number]} */
    repo_file files[REPO_FILES];
    size_t file_count;
    fw_private_key *keys[REPO_KEYS];
    bool hashes;      /* snapshot and timestamp say length and hashes */
    bool plain_names; /* no versions in names: the root says so too */
    char asked[4096]; /* names of files asked for, each with a space behind */
    fw_env env;
    int64_t now_s;
    int clock_reads;
    char folder[64];
    fw_tuf_limits limits;
    fw_error error;
    /* Faults of the line. */
    const char *fails; /* the name of a file that cannot be had */
    fw_status fails_with;
    size_t cut_after_bytes; /* of a target: SIZE_MAX never */
    size_t extra_bytes;     /* sent behind a target's end */
} repo;

/* ---- keys ---- */

static fw_private_key *repo_private(repo *r, int number) {
    uint8_t seed[32] = {(uint8_t)(number + 1)};
    assert_in_range(number, 0, REPO_KEYS - 1);
    if (!r->keys[number]) assert_int_equal(fw_private_key_of_seed(seed, &r->keys[number], NULL), FW_OK);
    return r->keys[number];
}

static json_t *repo_public(repo *r, int number, fw_hash *id) {
    fw_public_key *key = NULL;
    assert_int_equal(fw_private_key_public(repo_private(r, number), &key, NULL), FW_OK);
    json_t *json = fw_public_key_json(key);
    *id = fw_public_key_id(key);
    fw_public_key_free(key);
    return json;
}

/* Calls each for the numbers of "0 3 12". */
#define REPO_NUMBERS(text, number)                                                                           \
    for (char *at_ = (char *)(uintptr_t)(text), *end_ = at_; *at_; at_ = end_)                               \
        for (long number = strtol(at_, &end_, 10), once_ = 1; once_; once_ = 0)

static json_t *repo_content(repo *r, const char *role) { return json_object_get(r->contents, role); }

/* keyids and threshold of a role, and the keys beside it. */
static void repo_name_keys(repo *r, json_t *keys, json_t *role, int threshold, const char *numbers) {
    json_t *ids = json_array();
    REPO_NUMBERS(numbers, number) {
        fw_hash id;
        json_t *key = repo_public(r, (int)number, &id);
        json_object_set_new(keys, id.hex, key);
        json_array_append_new(ids, json_string(id.hex));
    }
    json_object_set_new(role, "keyids", ids);
    json_object_set_new(role, "threshold", json_integer(threshold));
}

static json_t *repo_role(repo *r, const char *role) {
    return json_object_get(json_object_get(repo_content(r, "root"), "roles"), role);
}

static REPO_UNUSED void repo_keys(repo *r, const char *role, int threshold, const char *numbers) {
    repo_name_keys(r, json_object_get(repo_content(r, "root"), "keys"), repo_role(r, role), threshold, numbers);
}

static void repo_signers(repo *r, const char *role, const char *numbers) {
    json_t *list = json_array();
    REPO_NUMBERS(numbers, number) json_array_append_new(list, json_integer(number));
    json_object_set_new(r->signers, role, list);
}

/* Another key for the role, and it signs. */
static REPO_UNUSED void repo_rotate(repo *r, const char *role, const char *numbers, const char *signers) {
    repo_keys(r, role, 1, numbers);
    repo_signers(r, role, signers);
}

/* ---- files ---- */

static repo_file *repo_find(repo *r, const char *name) {
    for (size_t i = 0; i < r->file_count; i++)
        if (!strcmp(r->files[i].name, name)) return &r->files[i];
    return NULL;
}

static void repo_put(repo *r, const char *name, const void *bytes, size_t size) {
    repo_file *file = repo_find(r, name);
    if (!file) {
        assert_true(r->file_count < REPO_FILES);
        file = &r->files[r->file_count++];
        snprintf(file->name, sizeof file->name, "%s", name);
    }
    free(file->bytes);
    file->bytes = malloc(size + 1);
    memcpy(file->bytes, bytes, size);
    file->bytes[size] = '\0';
    file->size = size;
}

static REPO_UNUSED void repo_remove(repo *r, const char *name) {
    repo_file *file = repo_find(r, name);
    assert_non_null(file);
    free(file->bytes);
    *file = r->files[--r->file_count];
}

/* ---- signing and publishing ---- */

static json_t *repo_sign(repo *r, const json_t *content, const json_t *numbers) {
    json_t *signatures = json_array(), *number;
    char *canonical = NULL;
    size_t size = 0, i;
    assert_int_equal(fw_canonical_write(content, &canonical, &size, &r->error), FW_OK);
    json_array_foreach(numbers, i, number) {
        uint8_t raw[FW_SIGNATURE_MAX];
        char hex[2 * FW_SIGNATURE_MAX + 1];
        size_t raw_size = 0;
        fw_hash id;
        json_decref(repo_public(r, (int)json_integer_value(number), &id));
        fw_private_key *key = repo_private(r, (int)json_integer_value(number));
        assert_int_equal(fw_private_key_sign(key, canonical, size, raw, &raw_size, &r->error), FW_OK);
        for (size_t b = 0; b < raw_size; b++) snprintf(hex + 2 * b, 3, "%02x", raw[b]);
        json_array_append_new(signatures, json_pack("{s:s,s:s}", "keyid", id.hex, "sig", hex));
    }
    free(canonical);
    return signatures;
}

static void repo_name(const repo *r, const char *role, int64_t version, char out[REPO_NAME]) {
    char quoted[200];
    assert_int_equal(fw_tuf_quote(role, false, quoted, sizeof quoted, NULL), FW_OK);
    bool prefix = strcmp(role, "timestamp") != 0 && (!strcmp(role, "root") || !r->plain_names);
    if (prefix) snprintf(out, REPO_NAME, "%lld.%s.json", (long long)version, quoted);
    else snprintf(out, REPO_NAME, "%s.json", quoted);
}

static json_t *repo_described(const repo *r, int64_t version, const char *bytes, size_t size) {
    json_t *said = json_pack("{s:I}", "version", (json_int_t)version);
    if (!r->hashes) return said;
    json_object_set_new(said, "length", json_integer((json_int_t)size));
    json_object_set_new(said, "hashes", json_pack("{s:s}", "sha256", fw_hash_bytes(bytes, size).hex));
    return said;
}

/* Text of signed metadata, as it stands: no version grows. */
static char *repo_text(repo *r, const char *role) {
    json_t *content = repo_content(r, role);
    json_t *whole = json_pack("{s:O,s:o}", "signed", content, "signatures", repo_sign(r, content, json_object_get(r->signers, role)));
    char *text = json_dumps(whole, JSON_INDENT(1));
    json_decref(whole);
    return text;
}

/* Published as it stands, under the version that it says. */
static void repo_publish_as_is(repo *r, const char *role) {
    char name[REPO_NAME], file[REPO_NAME], *text = repo_text(r, role);
    int64_t version = json_integer_value(json_object_get(repo_content(r, role), "version"));
    repo_name(r, role, version, name);
    repo_put(r, name, text, strlen(text));
    snprintf(file, sizeof file, "%s.json", role);
    bool is_snapshot = !strcmp(role, "snapshot"), leads = is_snapshot || !strcmp(role, "root") || !strcmp(role, "timestamp");
    if (!leads)
        json_object_set_new(json_object_get(repo_content(r, "snapshot"), "meta"), file, repo_described(r, version, text, strlen(text)));
    if (is_snapshot)
        json_object_set_new(json_object_get(repo_content(r, "timestamp"), "meta"), file, repo_described(r, version, text, strlen(text)));
    free(text);
}

static void repo_set_version(repo *r, const char *role, int64_t version) {
    json_object_set_new(repo_content(r, role), "version", json_integer(version));
}

static int64_t repo_version(repo *r, const char *role) {
    return json_integer_value(json_object_get(repo_content(r, role), "version"));
}

/* role's metadata will say that file is of this version, and no more of it. */
static REPO_UNUSED void repo_say(repo *r, const char *role, const char *file, int64_t version) {
    json_object_set_new(json_object_get(repo_content(r, role), "meta"), file, json_pack("{s:I}", "version", (json_int_t)version));
}

/* The next version of each of the roles, in their order. */
static void repo_publish(repo *r, const char *roles) {
    char words[512], *rest = words, *role;
    snprintf(words, sizeof words, "%s", roles);
    while ((role = strsep(&rest, " "))) {
        repo_set_version(r, role, repo_version(r, role) + 1);
        repo_publish_as_is(r, role);
    }
}

static void repo_expires(repo *r, const char *role, int64_t seconds) {
    time_t when = (time_t)seconds;
    struct tm parts;
    char text[32];
    gmtime_r(&when, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    json_object_set_new(repo_content(r, role), "expires", json_string(text));
}

/* ---- targets and delegations ---- */

static void repo_add_role(repo *r, const char *role, const char *type) {
    json_object_set_new(r->contents, role, json_pack("{s:s,s:s,s:i}", "_type", type, "spec_version", "1.0.31", "version", 0));
    repo_expires(r, role, repo_start_s + 30 * repo_day_s);
}

static void repo_add_targets(repo *r, const char *role, const char *signer) {
    repo_add_role(r, role, "targets");
    json_object_set_new(repo_content(r, role), "targets", json_object());
    repo_signers(r, role, signer);
}

static REPO_UNUSED json_t *repo_target(repo *r, const char *role, const char *path, const char *text) {
    char name[REPO_NAME];
    fw_hash hash = fw_hash_bytes(text, strlen(text));
    json_t *said = json_pack("{s:I,s:{s:s}}", "length", (json_int_t)strlen(text), "hashes", "sha256", hash.hex);
    json_object_set_new(json_object_get(repo_content(r, role), "targets"), path, said);
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (r->plain_names) snprintf(name, sizeof name, "%s", path);
    else snprintf(name, sizeof name, "%.*s%s.%s", (int)(base - path), path, hash.hex, base);
    repo_put(r, name, text, strlen(text));
    return said;
}

/* delegator gives paths ("a b*") to role, whose key is `key`. A new role is made; one that is there stays. */
static REPO_UNUSED json_t *repo_delegate(repo *r, const char *delegator, const char *role, const char *key, bool terminating,
                                         const char *paths) {
    json_t *content = repo_content(r, delegator), *delegations = json_object_get(content, "delegations");
    char words[512], *rest = words, *path;
    if (!delegations) {
        json_object_set_new(content, "delegations", json_pack("{s:{},s:[]}", "keys", "roles"));
        delegations = json_object_get(content, "delegations");
    }
    if (!repo_content(r, role)) repo_add_targets(r, role, key);
    json_t *entry = json_pack("{s:s,s:b,s:[]}", "name", role, "terminating", terminating, "paths");
    repo_name_keys(r, json_object_get(delegations, "keys"), entry, 1, key);
    snprintf(words, sizeof words, "%s", paths);
    while ((path = strsep(&rest, " "))) json_array_append_new(json_object_get(entry, "paths"), json_string(path));
    json_array_append_new(json_object_get(delegations, "roles"), entry);
    return entry;
}

/* ---- the line ---- */

static fw_status repo_metadata(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size, fw_error *error) {
    repo *r = self;
    const repo_file *file = repo_find(r, path);
    size_t used = strlen(r->asked);
    snprintf(r->asked + used, sizeof r->asked - used, "%s ", path);
    if (r->fails && !strcmp(r->fails, path)) return fw_fail(error, r->fails_with, "the line fails for %s", path);
    if (!file) return fw_fail(error, FW_NOT_FOUND, "no %s", path);
    if (file->size > max_bytes) return fw_fail(error, FW_TOO_BIG, "%s is too big", path);
    *bytes = malloc(file->size + 1);
    if (!*bytes) return fw_fail(error, FW_NO_MEMORY, "no memory for %s", path);
    memcpy(*bytes, file->bytes, file->size + 1);
    *size = file->size;
    return FW_OK;
}

static fw_status repo_bytes(void *self, const char *path, uint64_t offset, size_t max_bytes, int fd, fw_error *error) {
    repo *r = self;
    const repo_file *file = repo_find(r, path);
    size_t used = strlen(r->asked);
    snprintf(r->asked + used, sizeof r->asked - used, "%s@%llu ", path, (unsigned long long)offset);
    if (r->fails && !strcmp(r->fails, path)) return fw_fail(error, r->fails_with, "the line fails for %s", path);
    if (!file) return fw_fail(error, FW_NOT_FOUND, "no %s", path);
    if (offset > file->size) return fw_fail(error, FW_MISMATCH, "%s is shorter", path);
    size_t left = file->size - offset;
    if (left > max_bytes && r->extra_bytes == 0) return fw_fail(error, FW_TOO_BIG, "%s is too big", path);
    size_t sent = left < r->cut_after_bytes ? left : r->cut_after_bytes;
    assert_int_equal(write(fd, file->bytes + offset, sent), (ssize_t)sent);
    for (size_t i = 0; i < r->extra_bytes; i++) assert_int_equal(write(fd, "x", 1), 1);
    return sent < left ? fw_fail(error, FW_CLOSED, "%s was cut", path) : FW_OK;
}

static const fw_tuf_fetch *repo_line(repo *r) {
    static fw_tuf_fetch line;
    line = (fw_tuf_fetch){.self = r, .metadata = repo_metadata, .target = repo_bytes};
    return &line;
}

/* ---- life ---- */

static int64_t repo_clock(void *self) {
    repo *r = self;
    r->clock_reads++;
    return r->now_s * 1000000000;
}

static void repo_first_contents(repo *r) {
    static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
    for (int i = 0; i < 4; i++) repo_add_role(r, roles[i], roles[i]);
    json_object_set_new(repo_content(r, "root"), "consistent_snapshot", json_boolean(!r->plain_names));
    json_object_set_new(repo_content(r, "root"), "keys", json_object());
    json_object_set_new(repo_content(r, "root"), "roles", json_pack("{s:{},s:{},s:{},s:{}}", "root", "timestamp", "snapshot", "targets"));
    json_object_set_new(repo_content(r, "timestamp"), "meta", json_object());
    json_object_set_new(repo_content(r, "snapshot"), "meta", json_object());
    json_object_set_new(repo_content(r, "targets"), "targets", json_object());
    repo_rotate(r, "root", "0", "0");
    repo_rotate(r, "timestamp", "1", "1");
    repo_rotate(r, "snapshot", "2", "2");
    repo_rotate(r, "targets", "3", "3");
}

static void repo_init_client(repo *r) {
    const repo_file *root = repo_find(r, "1.root.json");
    assert_int_equal(fw_tuf_init(&r->env, r->folder, root->bytes, root->size, &r->error), FW_OK);
}

/* r's flags may be set before; everything else is zero. The client trusts the first root. */
static void repo_open(repo *r) {
    r->contents = json_object();
    r->signers = json_object();
    r->now_s = repo_start_s;
    r->env = *fw_env_real();
    r->env.self = r;
    r->env.wall_ns = repo_clock;
    r->cut_after_bytes = SIZE_MAX;
    strcpy(r->folder, "/tmp/fw_tuf_XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    repo_first_contents(r);
    repo_publish(r, "root targets snapshot timestamp");
    repo_init_client(r);
}

static void repo_close(repo *r) {
    json_decref(r->contents);
    json_decref(r->signers);
    for (size_t i = 0; i < r->file_count; i++) free(r->files[i].bytes);
    for (int i = 0; i < REPO_KEYS; i++) fw_private_key_free(r->keys[i]);
    assert_int_equal(fw_folder_remove(r->folder, NULL), FW_OK);
}

/* ---- the client ---- */

static fw_tuf_client *repo_client(repo *r) {
    fw_tuf_client *client = NULL;
    assert_int_equal(fw_tuf_open(&r->env, r->folder, repo_line(r), &r->limits, &client, &r->error), FW_OK);
    return client;
}

static REPO_UNUSED fw_status repo_refresh(repo *r) {
    fw_tuf_client *client = repo_client(r);
    r->asked[0] = '\0';
    fw_status status = fw_tuf_refresh(client, &r->error);
    fw_tuf_close(client);
    return status;
}

/* The version that the folder trusts; 0: none. */
static REPO_UNUSED int64_t repo_trusted(const repo *r, const char *role) {
    char path[512], *bytes = NULL, quoted[200];
    size_t size = 0;
    assert_int_equal(fw_tuf_quote(role, false, quoted, sizeof quoted, NULL), FW_OK);
    snprintf(path, sizeof path, "%s/%s.json", r->folder, quoted);
    if (fw_file_read(path, 1 << 23, &bytes, &size, NULL) != FW_OK) return 0;
    json_t *whole = json_loadb(bytes, size, 0, NULL);
    int64_t version = json_integer_value(json_object_get(json_object_get(whole, "signed"), "version"));
    json_decref(whole);
    free(bytes);
    return version;
}

/* Fails unless the folder trusts these versions. */
static REPO_UNUSED void repo_expect(const repo *r, int64_t root, int64_t timestamp, int64_t snapshot, int64_t targets) {
    assert_int_equal(repo_trusted(r, "root"), root);
    assert_int_equal(repo_trusted(r, "timestamp"), timestamp);
    assert_int_equal(repo_trusted(r, "snapshot"), snapshot);
    assert_int_equal(repo_trusted(r, "targets"), targets);
}

/* Refreshes, and looks for one target. */
static REPO_UNUSED fw_status repo_look(repo *r, const char *path, fw_tuf_target *out) {
    fw_tuf_client *client = repo_client(r);
    r->asked[0] = '\0';
    fw_status status = fw_tuf_refresh(client, &r->error);
    if (status == FW_OK) status = fw_tuf_find(client, path, out, &r->error);
    out->custom = NULL;
    fw_tuf_close(client);
    return status;
}

#endif
