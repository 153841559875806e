/* tuf_find.c - who speaks of a target: the search through delegations (tuf.h; section 5.6.7). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/tuf_inner.h"

/* ---- what metadata says of a target ---- */

static void copy_text(char *out, size_t out_size, const char *text) { snprintf(out, out_size, "%s", text ? text : ""); }

static void fill_target(const char *path, const json_t *said, fw_tuf_target *out) {
    const json_t *hashes = json_object_get(said, "hashes");
    *out = (fw_tuf_target){.length_bytes = (uint64_t)json_integer_value(json_object_get(said, "length")),
                           .custom = json_object_get(said, "custom")};
    copy_text(out->path, sizeof out->path, path);
    copy_text(out->sha256.hex, sizeof out->sha256.hex, json_string_value(json_object_get(hashes, "sha256")));
    copy_text(out->sha512, sizeof out->sha512, json_string_value(json_object_get(hashes, "sha512")));
}

static bool has_hash(const fw_tuf_target *target) { return *target->sha256.hex || *target->sha512; }

static const json_t *said_of(const fw_metadata *metadata, const char *path) {
    return json_object_get(json_object_get(metadata->content, "targets"), path);
}

void fw_tuf_each(const fw_tuf_client *client, bool (*each)(void *self, const fw_tuf_target *target), void *self) {
    const fw_metadata *targets = client->fresh ? client->trusted[FW_TUF_TARGETS] : NULL;
    const char *path;
    json_t *said;
    if (!targets) return;
    json_object_foreach(json_object_get(targets->content, "targets"), path, said) {
        fw_tuf_target target;
        fill_target(path, said, &target);
        if (has_hash(&target) && strlen(path) < sizeof target.path && !each(self, &target)) return;
    }
}

/* ---- delegated metadata ---- */

/* A delegation: who delegates, and what it says of the role. */
typedef struct delegation {
    const fw_metadata *delegator;
    const json_t *role;
} delegation;

static const char *name_of(const json_t *role) { return json_string_value(json_object_get(role, "name")); }

static fw_status verify_by_delegator(const fw_tuf_client *c, const void *authority, const fw_metadata *metadata,
                                     fw_error *error) {
    const delegation *d = authority;
    const json_t *keys = json_object_get(json_object_get(d->delegator->content, "delegations"), "keys");
    (void)c;
    return fw_metadata_verify(metadata, keys, d->role, name_of(d->role), error);
}

static fw_status obtain_role(fw_tuf_client *c, const delegation *d, const char *quoted, fw_metadata **out, fw_error *error) {
    const json_t *meta = json_object_get(c->trusted[FW_TUF_SNAPSHOT]->content, "meta");
    char file[3 * FW_TUF_ROLE_NAME_MAX];
    snprintf(file, sizeof file, "%s.json", name_of(d->role));
    fw_tuf_wanted wanted = {.type = FW_TUF_TARGETS, .name = quoted, .authority = d, .verify = verify_by_delegator,
                            .said = json_object_get(meta, file)};
    if (!wanted.said) return fw_fail(error, FW_MISMATCH, "role %.80s is delegated to and not in the snapshot", name_of(d->role));
    return fw_tuf_obtain(c, &wanted, out, error);
}

static fw_status make_room(fw_tuf_client *c, fw_error *error) {
    if (c->held_count < c->held_room) return FW_OK;
    size_t room = c->held_room ? 2 * c->held_room : 16;
    if (room > FW_TUF_HELD_MAX) return fw_fail(error, FW_TOO_BIG, "over %d delegated roles: refresh first", FW_TUF_HELD_MAX);
    fw_tuf_held *grown = realloc(c->held, room * sizeof *grown);
    if (!grown) return fw_fail(error, FW_NO_MEMORY, "no memory for delegated roles");
    c->held = grown;
    c->held_room = room;
    return FW_OK;
}

/* From what is held under this very delegator, else from DIR or the repository. */
static fw_status delegated(fw_tuf_client *c, const delegation *d, const fw_metadata **out, fw_error *error) {
    fw_tuf_held fresh = {.delegator = d->delegator};
    FW_TRY(fw_tuf_quote(name_of(d->role), false, fresh.name, sizeof fresh.name, error));
    for (size_t i = 0; i < c->held_count; i++)
        if (c->held[i].delegator == d->delegator && !strcmp(c->held[i].name, fresh.name)) {
            *out = c->held[i].metadata;
            return FW_OK;
        }
    FW_TRY(make_room(c, error));
    FW_TRY(obtain_role(c, d, fresh.name, &fresh.metadata, error));
    c->held[c->held_count++] = fresh;
    *out = fresh.metadata;
    return FW_OK;
}

/* ---- the search ---- */

/* Delegations still to be looked at, the next one last; names of roles that were. */
typedef struct search {
    const char *path;
    char path_hash[FW_HASH_HEX + 1];
    delegation *left;
    size_t left_count, left_room;
    json_t *visited;
} search;

/* The delegations of one role come before all that are left, in their order; behind a terminating one comes none. */
static fw_status push_delegations(search *s, const fw_metadata *metadata, fw_error *error) {
    const json_t *roles = json_object_get(json_object_get(metadata->content, "delegations"), "roles"), *role;
    size_t i, count = json_array_size(roles), first;
    if (s->left_count + count > s->left_room) {
        size_t room = s->left_count + count;
        delegation *grown = realloc(s->left, room * sizeof *grown);
        if (!grown) return fw_fail(error, FW_NO_MEMORY, "no memory to search delegations");
        s->left = grown;
        s->left_room = room;
    }
    first = s->left_count;
    json_array_foreach(roles, i, role) {
        if (!fw_tuf_delegates(role, s->path, s->path_hash)) continue;
        s->left[s->left_count++] = (delegation){metadata, role};
        if (!json_is_true(json_object_get(role, "terminating"))) continue;
        memmove(s->left, s->left + first, (s->left_count - first) * sizeof *s->left);
        s->left_count -= first;
        first = 0;
        break;
    }
    for (size_t a = first, b = s->left_count; a + 1 < b; a++, b--) {
        delegation swap = s->left[a];
        s->left[a] = s->left[b - 1];
        s->left[b - 1] = swap;
    }
    return FW_OK;
}

/* The role that speaks of the path; NULL when none does. */
static fw_status walk(fw_tuf_client *c, search *s, const fw_metadata **found, fw_error *error) {
    const fw_metadata *metadata = c->trusted[FW_TUF_TARGETS];
    while (!said_of(metadata, s->path)) {
        FW_TRY(push_delegations(s, metadata, error));
        while (s->left_count > 0 && json_object_get(s->visited, name_of(s->left[s->left_count - 1].role))) s->left_count--;
        if (s->left_count == 0) return FW_OK;
        if (json_object_size(s->visited) >= c->limits.delegations_max)
            return fw_fail(error, FW_NOT_FOUND, "no target %.200s in the first %u delegated roles", s->path,
                           c->limits.delegations_max);
        delegation next = s->left[--s->left_count];
        if (json_object_set_new(s->visited, name_of(next.role), json_true()) != 0)
            return fw_fail(error, FW_NO_MEMORY, "no memory to search delegations");
        FW_TRY(delegated(c, &next, &metadata, error));
    }
    *found = metadata;
    return FW_OK;
}

static fw_status find(fw_tuf_client *c, search *s, fw_tuf_target *out, fw_error *error) {
    const fw_metadata *found = NULL;
    fw_tuf_target target;
    fw_hash hash;
    FW_TRY(fw_hash_bytes_try(s->path, strlen(s->path), &hash, error));
    memcpy(s->path_hash, hash.hex, sizeof s->path_hash);
    if (!s->visited) return fw_fail(error, FW_NO_MEMORY, "no memory to search delegations");
    FW_TRY(walk(c, s, &found, error));
    if (!found) return fw_fail(error, FW_NOT_FOUND, "no target %.200s", s->path);
    fill_target(s->path, said_of(found, s->path), &target);
    if (!has_hash(&target)) return fw_fail(error, FW_UNSUPPORTED, "no hash of %.200s is of a kind that we know", s->path);
    *out = target;
    return FW_OK;
}

fw_status fw_tuf_find(fw_tuf_client *c, const char *path, fw_tuf_target *out, fw_error *error) {
    if (!c->fresh) return fw_fail(error, FW_INVALID, "targets are looked for after a refresh that went through");
    if (strlen(path) >= sizeof out->path)
        return fw_fail(error, FW_TOO_BIG, "a target's path has less than %zu bytes", sizeof out->path);
    search s = {.path = path, .visited = json_object()};
    fw_status status = find(c, &s, out, error);
    json_decref(s.visited);
    free(s.left);
    return status;
}
