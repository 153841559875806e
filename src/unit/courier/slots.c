/* slots.c - two slots and what is done with them (slots.h). */
#include "unit/courier/slots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { STATE_MAX = 4096, BUNDLE_MAX = FW_UNIT_CUSTOM_MAX + 1024 };

/* ---- paths and small things ---- */

void fw_unit_offer_clear(fw_unit_offer *offer) {
    free(offer->custom);
    *offer = (fw_unit_offer){0};
}

fw_unit_slot_name fw_unit_slots_other(fw_unit_slot_name slot) {
    FW_ASSERT(slot != FW_UNIT_SLOT_NONE);
    return slot == FW_UNIT_SLOT_A ? FW_UNIT_SLOT_B : FW_UNIT_SLOT_A;
}

bool fw_unit_slots_on_trial(const fw_unit_slots *s) { return s->state.active != s->state.good; }

fw_unit_slot_name fw_unit_slots_find(const fw_unit_slots *s, const fw_hash *sha256) {
    for (int i = 0; i < 2; i++)
        if (sha256->hex[0] && strcmp(s->state.entries[i].sha256.hex, sha256->hex) == 0)
            return (fw_unit_slot_name)i;
    return FW_UNIT_SLOT_NONE;
}

static void slot_folder(const fw_unit_slots *s, fw_unit_slot_name slot, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%s", s->folder, slot == FW_UNIT_SLOT_A ? "A" : "B");
}

static void slot_path(const fw_unit_slots *s, fw_unit_slot_name slot, const char *file, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%s/%s", s->folder, slot == FW_UNIT_SLOT_A ? "A" : "B", file);
}

/* The slot that neither drives nor is good. */
static fw_unit_slot_name free_slot(const fw_unit_slots *s) {
    for (int i = 0; i < 2; i++)
        if (s->state.active != (fw_unit_slot_name)i && s->state.good != (fw_unit_slot_name)i)
            return (fw_unit_slot_name)i;
    return FW_UNIT_SLOT_NONE;
}

static void part_path(const fw_unit_slots *s, const fw_hash *sha256, char out[FW_PATH_MAX]) {
    char file[FW_HASH_HEX + 8];
    snprintf(file, sizeof file, "%.64s.part", sha256->hex);
    slot_path(s, free_slot(s), file, out);
}

void fw_unit_drop_ending(const char *folder, const char *ending, const char *keep) {
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[FW_PATH_MAX];
        size_t length = strlen(entry->d_name), tail = strlen(ending);
        if (length <= tail || length > 120 || strcmp(entry->d_name + length - tail, ending) != 0) continue;
        if (keep && strncmp(entry->d_name, keep, FW_HASH_HEX) == 0) continue;
        snprintf(path, sizeof path, "%.380s/%.120s", folder, entry->d_name);
        unlink(path);
    }
    closedir(dir);
}

/* ---- the state ---- */

static fw_status save(fw_unit_slots *s, const fw_unit_slots_state *next, fw_error *error) {
    char path[FW_PATH_MAX], *text = fw_unit_slots_state_text(next);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for slots/state");
    fw_path_join(path, sizeof path, s->folder, "state");
    fw_status status = fw_file_write_durable(s->env, path, text, strlen(text), error);
    free(text);
    if (status == FW_OK) s->state = *next;
    return status;
}

static fw_status load(fw_unit_slots *s, fw_error *error) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    fw_path_join(path, sizeof path, s->folder, "state");
    FW_TRY(fw_file_read(path, STATE_MAX, &text, &size, error));
    fw_status status = fw_unit_slots_state_read(text, size, &s->state, error);
    free(text);
    return status;
}

/* ---- bundles ---- */

static fw_status write_bundle(const fw_unit_slots *s, fw_unit_slot_name slot, const fw_unit_offer *offer,
                              fw_error *error) {
    char path[FW_PATH_MAX];
    json_t *custom = offer->custom ? json_loads(offer->custom, 0, NULL) : NULL;
    json_t *json = json_pack("{s:i,s:s,s:s,s:I,s:I,s:o}", "version", 1, "target", offer->target, "sha256",
                             offer->sha256.hex, "length", (json_int_t)offer->length_bytes, "release_counter",
                             (json_int_t)offer->release_counter, "custom", custom ? custom : json_null());
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    slot_path(s, slot, "bundle.json", path);
    fw_status status = text ? fw_file_write_durable(s->env, path, text, strlen(text), error)
                            : fw_fail(error, FW_NO_MEMORY, "no memory for a bundle");
    free(text);
    return status;
}

/* What a slot says of itself; custom may be NULL. */
static fw_status read_bundle(const fw_unit_slots *s, fw_unit_slot_name slot, fw_unit_slot_entry *out,
                             char **custom, fw_error *error) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    slot_path(s, slot, "bundle.json", path);
    FW_TRY(fw_file_read(path, BUNDLE_MAX, &text, &size, error));
    json_t *json = json_loadb(text, size, 0, NULL);
    free(text);
    const char *hash = json_string_value(json_object_get(json, "sha256"));
    json_int_t length = json_integer_value(json_object_get(json, "length"));
    json_int_t counter = json_integer_value(json_object_get(json, "release_counter"));
    fw_unit_slot_entry entry = {.length_bytes = (uint64_t)length, .release_counter = (uint64_t)counter};
    fw_status status = FW_OK;
    if (!hash || length < 0 || counter < 0 || fw_hash_parse(hash, &entry.sha256, NULL) != FW_OK)
        status = fw_fail(error, FW_CORRUPT, "%s is no bundle", path);
    const json_t *more = json_object_get(json, "custom");
    if (status == FW_OK && custom) *custom = json_is_object(more) ? json_dumps(more, JSON_COMPACT) : NULL;
    if (status == FW_OK) *out = entry;
    json_decref(json);
    return status;
}

/* A file's bytes, if they have this hash. */
static fw_status read_checked(const char *path, const fw_hash *sha256, char **bytes, size_t *size_bytes,
                              fw_error *error) {
    char *found = NULL;
    size_t size = 0;
    fw_hash has;
    FW_TRY(fw_file_read(path, FW_UNIT_MODEL_FILE_MAX, &found, &size, error));
    fw_status status = fw_hash_bytes_try(found, size, &has, error);
    if (status == FW_OK && strcmp(has.hex, sha256->hex) != 0)
        status = fw_fail(error, FW_MISMATCH, "%s does not have its hash", path);
    if (status != FW_OK) {
        free(found);
        return status;
    }
    *bytes = found;
    *size_bytes = size;
    return FW_OK;
}

fw_status fw_unit_slots_read(const fw_unit_slots *s, fw_unit_slot_name slot, char **bytes, size_t *size_bytes,
                             char **custom, fw_error *error) {
    char path[FW_PATH_MAX], *more = NULL;
    fw_unit_slot_entry says;
    if (slot == FW_UNIT_SLOT_NONE || !s->state.entries[slot].sha256.hex[0])
        return fw_fail(error, FW_NOT_FOUND, "the slot is empty");
    FW_TRY(read_bundle(s, slot, &says, &more, error));
    fw_status status = FW_OK;
    if (strcmp(says.sha256.hex, s->state.entries[slot].sha256.hex) != 0)
        status = fw_fail(error, FW_MISMATCH, "a slot's bundle is of another model");
    slot_path(s, slot, "model.safetensors", path);
    if (status == FW_OK) status = read_checked(path, &says.sha256, bytes, size_bytes, error);
    if (status == FW_OK)
        *custom = more;
    else
        free(more);
    return status;
}

bool fw_unit_slots_whole(const fw_unit_slots *s, fw_unit_slot_name slot) {
    char *bytes = NULL, *custom = NULL;
    size_t size = 0;
    fw_error error;
    if (fw_unit_slots_read(s, slot, &bytes, &size, &custom, &error) != FW_OK) return false;
    free(bytes);
    free(custom);
    return true;
}

/* ---- opening ---- */

/* A new state of what the slots say of themselves: of two whole ones the older release has proved itself. */
static fw_status recover(fw_unit_slots *s, fw_error *error) {
    fw_unit_slots_state next = {.active = FW_UNIT_SLOT_NONE, .good = FW_UNIT_SLOT_NONE};
    for (int i = 0; i < 2; i++) {
        fw_unit_slot_entry *entry = &s->state.entries[i];
        if (read_bundle(s, (fw_unit_slot_name)i, entry, NULL, NULL) != FW_OK) continue;
        if (!fw_unit_slots_whole(s, (fw_unit_slot_name)i)) {
            *entry = (fw_unit_slot_entry){0};
            continue;
        }
        bool older = next.active == FW_UNIT_SLOT_NONE ||
                     entry->release_counter < next.entries[next.active].release_counter;
        next.entries[i] = *entry;
        if (older) next.active = (fw_unit_slot_name)i;
        if (older) next.release_counter = entry->release_counter;
    }
    next.good = next.active;
    return save(s, &next, error);
}

static fw_status make_folders(fw_unit_slots *s, const char *data_folder, fw_error *error) {
    char path[FW_PATH_MAX];
    for (int i = 0; i < 2; i++) {
        slot_folder(s, (fw_unit_slot_name)i, path);
        bool there = fw_file_exists(path);
        FW_TRY(fw_folder_make(path, 0755, error));
        fw_unit_drop_ending(path, ".tmp", NULL);
        if (!there) FW_TRY(fw_folder_sync(s->env, s->folder, error));
    }
    fw_unit_drop_ending(s->folder, ".tmp", NULL);
    fw_unit_drop_ending(data_folder, ".tmp", NULL);
    return fw_folder_sync(s->env, data_folder, error);
}

fw_status fw_unit_slots_open(fw_unit_slots *s, const fw_env *env, const char *data_folder, fw_error *error) {
    fw_error why;
    *s = (fw_unit_slots){.env = env, .state = {.active = FW_UNIT_SLOT_NONE, .good = FW_UNIT_SLOT_NONE}};
    if (strlen(data_folder) + 8 > sizeof s->folder)
        return fw_fail(error, FW_TOO_BIG, "the path of the unit's folder is too long");
    snprintf(s->folder, sizeof s->folder, "%.*s/slots", (int)sizeof s->folder - 8, data_folder);
    FW_TRY(make_folders(s, data_folder, error));
    fw_status status = load(s, &why);
    if (status == FW_OK) return FW_OK;
    s->lost = status != FW_NOT_FOUND;
    if (s->lost) fw_log_error("unit: %s; looking at the slots themselves", why.text);
    return recover(s, error);
}

/* ---- what moves the state ---- */

/* What the state is after its active model is given up. */
static fw_unit_slots_state without_active(const fw_unit_slots *s, const char *why) {
    fw_unit_slots_state next = s->state;
    fw_unit_slot_name active = next.active, other = fw_unit_slots_other(active);
    fw_unit_slot_name back = active != next.good ? next.good : FW_UNIT_SLOT_NONE;
    if (back == FW_UNIT_SLOT_NONE && next.entries[other].sha256.hex[0]) back = other; /* better than none */
    if (why) {
        next.refused = next.entries[active].sha256;
        snprintf(next.refused_why, sizeof next.refused_why, "%s", why);
        next.entries[active] = (fw_unit_slot_entry){0};
    }
    next.active = next.good = back;
    next.tries_left = 0;
    return next;
}

fw_status fw_unit_slots_fall_back(fw_unit_slots *s, const char *why, fw_error *error) {
    if (s->state.active == FW_UNIT_SLOT_NONE) return FW_OK;
    fw_unit_slots_state next = without_active(s, why);
    return save(s, &next, error);
}

fw_status fw_unit_slots_approve(fw_unit_slots *s, fw_error *error) {
    fw_unit_slots_state next = s->state;
    if (next.active == FW_UNIT_SLOT_NONE) return FW_OK;
    uint64_t counter = next.entries[next.active].release_counter;
    next.good = next.active;
    next.tries_left = 0;
    if (counter > next.release_counter) next.release_counter = counter;
    return save(s, &next, error);
}

fw_status fw_unit_slots_activate(fw_unit_slots *s, fw_unit_slot_name slot, uint64_t release_counter,
                                 fw_error *error) {
    fw_unit_slots_state next = s->state;
    FW_ASSERT(slot != FW_UNIT_SLOT_NONE && next.entries[slot].sha256.hex[0]);
    next.entries[slot].release_counter = release_counter;
    if (slot != next.active) next.tries_left = FW_UNIT_TRIES;
    next.active = slot;
    if (next.active == next.good) next.tries_left = 0;
    if (next.active == next.good && release_counter > next.release_counter) next.release_counter = release_counter;
    return save(s, &next, error);
}

fw_status fw_unit_slots_refuse(fw_unit_slots *s, const fw_hash *sha256, const char *why, fw_error *error) {
    fw_unit_slots_state next = s->state;
    next.refused = *sha256;
    snprintf(next.refused_why, sizeof next.refused_why, "%s", why);
    return save(s, &next, error);
}

/* A model on trial: one try less, or none left. The only one there is goes on trying: power cuts and a full disk
 * are not its fault, and a crash is seen by the tick's process (tick/seat.h). */
static fw_status take_a_try(fw_unit_slots *s, fw_error *error) {
    bool only = !s->state.entries[fw_unit_slots_other(s->state.active)].sha256.hex[0];
    if (s->state.tries_left == 0 && only) return FW_OK;
    if (s->state.tries_left == 0) return fw_unit_slots_fall_back(s, "boots", error);
    fw_unit_slots_state next = s->state;
    next.tries_left--;
    fw_status status = save(s, &next, error);
    return only ? FW_OK : status;
}

/* Remembers in memory alone what the disk does not take. */
static void give_up_unsaved(fw_unit_slots *s, const char *why, fw_status status, const char *text) {
    if (status == FW_OK) return;
    fw_log_error("unit: slots/state cannot be written: %s", text);
    s->state = without_active(s, why);
}

fw_status fw_unit_slots_boot(fw_unit_slots *s, fw_error *error) {
    fw_status status = FW_OK;
    if (s->state.active != FW_UNIT_SLOT_NONE && fw_unit_slots_on_trial(s)) {
        status = take_a_try(s, error);
        give_up_unsaved(s, NULL, status, error->text);
    }
    while (s->state.active != FW_UNIT_SLOT_NONE && !fw_unit_slots_whole(s, s->state.active)) { /* at most twice */
        fw_log_error("unit: the model in slot %s is not whole", s->state.active == FW_UNIT_SLOT_A ? "A" : "B");
        status = fw_unit_slots_fall_back(s, "slot", error);
        give_up_unsaved(s, "slot", status, error->text);
    }
    return FW_OK;
}

/* ---- a download ---- */

fw_status fw_unit_slots_begin(fw_unit_slots *s, const fw_hash *sha256, uint64_t *part_bytes, fw_error *error) {
    fw_unit_slot_name slot = free_slot(s);
    char path[FW_PATH_MAX];
    struct stat info;
    if (slot == FW_UNIT_SLOT_NONE) return fw_fail(error, FW_BUSY, "a model is on trial; both slots are needed");
    if (s->state.entries[slot].sha256.hex[0]) { /* said before a file of it changes */
        fw_unit_slots_state next = s->state;
        next.entries[slot] = (fw_unit_slot_entry){0};
        FW_TRY(save(s, &next, error));
    }
    slot_folder(s, slot, path);
    fw_unit_drop_ending(path, ".part", sha256->hex);
    fw_unit_drop_ending(path, ".safetensors", NULL);
    part_path(s, sha256, path);
    *part_bytes = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    return FW_OK;
}

fw_status fw_unit_slots_append(fw_unit_slots *s, const fw_hash *sha256, const void *bytes, size_t size_bytes,
                               fw_error *error) {
    char path[FW_PATH_MAX];
    part_path(s, sha256, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    fw_status status = fw_file_write_all(s->env, fd, bytes, size_bytes, path, error);
    if (status == FW_OK && s->env->fdatasync(s->env->self, fd) != 0) {
        status = fw_fail_errno(error, "cannot make %s durable", path);
        unlink(path); /* what a failed flush leaves looks whole and is not durable, whatever a later one says */
    }
    close(fd);
    return status;
}

void fw_unit_slots_drop_part(fw_unit_slots *s, const fw_hash *sha256) {
    char path[FW_PATH_MAX];
    if (free_slot(s) == FW_UNIT_SLOT_NONE) return;
    part_path(s, sha256, path);
    unlink(path);
}

fw_status fw_unit_slots_part(fw_unit_slots *s, const fw_unit_offer *offer, char **bytes, size_t *size_bytes,
                             fw_error *error) {
    char path[FW_PATH_MAX];
    part_path(s, &offer->sha256, path);
    fw_status status = read_checked(path, &offer->sha256, bytes, size_bytes, error);
    if (status == FW_OK && *size_bytes != offer->length_bytes) {
        status = fw_fail(error, FW_MISMATCH, "%s does not have its length", path);
        free(*bytes);
    }
    if (status == FW_MISMATCH) unlink(path);
    return status;
}

fw_status fw_unit_slots_install(fw_unit_slots *s, const fw_unit_offer *offer, fw_error *error) {
    fw_unit_slot_name slot = free_slot(s);
    char from[FW_PATH_MAX], to[FW_PATH_MAX], folder[FW_PATH_MAX];
    if (slot == FW_UNIT_SLOT_NONE) return fw_fail(error, FW_BUSY, "a model is on trial; both slots are needed");
    FW_TRY(write_bundle(s, slot, offer, error));
    part_path(s, &offer->sha256, from);
    slot_path(s, slot, "model.safetensors", to);
    slot_folder(s, slot, folder);
    if (s->env->rename(s->env->self, from, to) != 0) return fw_fail_errno(error, "cannot rename %s", from);
    FW_TRY(fw_folder_sync(s->env, folder, error));
    fw_unit_slots_state next = s->state;
    next.entries[slot] = (fw_unit_slot_entry){.sha256 = offer->sha256, .length_bytes = offer->length_bytes,
                                              .release_counter = offer->release_counter};
    next.active = slot;
    next.tries_left = FW_UNIT_TRIES;
    return save(s, &next, error);
}
