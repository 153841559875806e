/* uptane.c - director and image repository must agree (uptane.h). */
#include "trust/uptane.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "trust/canonical.h"

/* ---- the first roots ---- */

static fw_status init_one(const fw_env *env, const char *folder, const char *name, const json_t *bundle,
                          fw_error *error) {
    char path[FW_PATH_MAX];
    char *text = json_dumps(json_object_get(bundle, name), JSON_COMPACT);
    if (!text) return fw_fail(error, FW_CORRUPT, "the bundle of roots has no root of the %s repository", name);
    fw_path_join(path, sizeof path, folder, name);
    fw_status status = fw_folder_make(path, 0755, error);
    if (status == FW_OK) status = fw_tuf_init(env, path, text, strlen(text), error);
    free(text);
    return status;
}

fw_status fw_uptane_init(const fw_env *env, const char *folder, const void *bundle, size_t bundle_bytes,
                         fw_error *error) {
    json_t *json = NULL;
    FW_TRY(fw_canonical_read(bundle, bundle_bytes, &json, error));
    fw_status status = init_one(env, folder, "image", json, error);
    if (status == FW_OK || status == FW_EXISTS) { /* a crash may have come between the two */
        fw_status second = init_one(env, folder, "director", json, error);
        if (second != FW_EXISTS || status == FW_EXISTS) status = second;
    }
    json_decref(json);
    return status;
}

/* ---- the line to the director ---- */

static bool is_of(const char *bytes, size_t size_bytes, const char *unit) {
    json_t *json = NULL;
    if (fw_canonical_read(bytes, size_bytes, &json, NULL) != FW_OK) return false;
    const char *said = json_string_value(json_object_get(json_object_get(json, "signed"), "unit"));
    bool own = said && strcmp(said, unit) == 0;
    json_decref(json);
    return own;
}

static fw_status own_metadata(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                              fw_error *error) {
    const fw_uptane_line *line = self;
    char *got = NULL;
    size_t size = 0, length = strlen(path);
    FW_TRY(line->under.metadata(line->under.self, path, max_bytes, &got, &size, error));
    bool root = length > 10 && strcmp(path + length - 10, ".root.json") == 0;
    if (!root && !is_of(got, size, line->unit)) {
        free(got);
        return fw_fail(error, FW_MISMATCH, "the director's %.60s is not for unit %s", path, line->unit);
    }
    *bytes = got;
    *size_bytes = size;
    return FW_OK;
}

static fw_status no_target(void *self, const char *path, uint64_t offset, size_t max_bytes, int fd, fw_error *error) {
    (void)self, (void)offset, (void)max_bytes, (void)fd;
    return fw_fail(error, FW_UNSUPPORTED, "%.80s comes from the image repository", path);
}

fw_tuf_fetch fw_uptane_fetch(fw_uptane_line *line) {
    return (fw_tuf_fetch){.self = line, .metadata = own_metadata, .target = no_target};
}

/* ---- choosing ---- */

typedef struct search {
    const fw_uptane_unit *unit;
    fw_tuf_target found;
    int count;
    bool foreign; /* a target that is not this unit's, or not its hardware's */
} search;

static bool runs_on(const json_t *custom, const char *hardware_id) {
    const json_t *ids = json_object_get(custom, "hardware_ids");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (id && strcmp(id, hardware_id) == 0) return true;
    }
    return false;
}

static bool counter_of(const json_t *custom, uint64_t *out) {
    const json_t *counter = json_object_get(custom, "release_counter");
    if (!json_is_integer(counter) || json_integer_value(counter) < 0) return false;
    if (json_integer_value(counter) > FW_UPTANE_COUNTER_MAX) return false;
    *out = (uint64_t)json_integer_value(counter);
    return true;
}

static bool look(void *self, const fw_tuf_target *target) {
    search *s = self;
    const char *unit = json_string_value(json_object_get(target->custom, "unit"));
    if (!unit || strcmp(unit, s->unit->unit) != 0 || !runs_on(target->custom, s->unit->hardware_id)) s->foreign = true;
    s->found = *target;
    return ++s->count < 2 && !s->foreign;
}

/* The director's one target for this unit. */
static fw_status ask_director(fw_tuf_client *director, const fw_uptane_unit *unit, search *s, fw_error *error) {
    *s = (search){.unit = unit};
    FW_TRY(fw_tuf_refresh(director, error));
    fw_tuf_each(director, look, s);
    if (s->foreign)
        return fw_fail(error, FW_MISMATCH, "the director names %.80s, which is not for unit %s and hardware %s",
                       s->found.path, unit->unit, unit->hardware_id);
    if (s->count > 1) return fw_fail(error, FW_MISMATCH, "the director names more than one target for this unit");
    return FW_OK;
}

/* Both say the same of the target? */
static fw_status agree(const fw_tuf_target *said, const fw_tuf_target *genuine, const fw_uptane_unit *unit,
                       uint64_t *counter, fw_error *error) {
    uint64_t directed = 0;
    const char *path = said->path;
    if (!*said->sha256.hex || strcmp(said->sha256.hex, genuine->sha256.hex) != 0)
        return fw_fail(error, FW_MISMATCH, "director and image repository name different hashes for %.80s", path);
    if (said->length_bytes != genuine->length_bytes)
        return fw_fail(error, FW_MISMATCH, "director and image repository name different lengths for %.80s", path);
    if (!runs_on(genuine->custom, unit->hardware_id))
        return fw_fail(error, FW_MISMATCH, "%.80s is not released for hardware %s", path, unit->hardware_id);
    if (!counter_of(said->custom, &directed) || !counter_of(genuine->custom, counter) || directed != *counter)
        return fw_fail(error, FW_MISMATCH, "director and image repository name different release counters for %.80s",
                       path);
    if (*counter < unit->release_counter)
        return fw_fail(error, FW_MISMATCH, "%.80s has release counter %llu, and %llu is installed: a rollback", path,
                       (unsigned long long)*counter, (unsigned long long)unit->release_counter);
    return FW_OK;
}

fw_status fw_uptane_choose(fw_tuf_client *director, fw_tuf_client *image, const fw_uptane_unit *unit,
                           fw_uptane_choice *out, fw_error *error) {
    search s;
    fw_uptane_choice choice = {.found = true};
    FW_TRY(ask_director(director, unit, &s, error));
    if (s.count == 0) {
        *out = (fw_uptane_choice){.found = false};
        return FW_OK;
    }
    FW_TRY(fw_tuf_refresh(image, error));
    fw_status status = fw_tuf_find(image, s.found.path, &choice.target, error);
    if (status == FW_NOT_FOUND)
        return fw_fail(error, FW_MISMATCH, "the director names %.80s, which the image repository does not have",
                       s.found.path);
    if (status != FW_OK) return status;
    FW_TRY(agree(&s.found, &choice.target, unit, &choice.release_counter, error));
    *out = choice;
    return FW_OK;
}
