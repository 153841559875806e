#include "factory/registry/lineage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "lines/driving/act/features.h"

json_t *fw_recipe_json(const fw_recipe *recipe) {
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, recipe->seed);
    return json_pack("{s:s,s:i,s:I,s:I,s:s}", "trainer", "ppo", "features", FW_FEATURES_VERSION, "imitation_steps",
                     (json_int_t)recipe->imitation_steps, "agent_steps", (json_int_t)recipe->agent_steps, "seed",
                     seed);
}

/* ---- writing ---- */

static fw_status text_of(json_t *lineage, char **text, fw_error *error) {
    char *found = lineage ? json_dumps(lineage, JSON_COMPACT) : NULL;
    json_decref(lineage);
    if (!found) return fw_fail(error, FW_NO_MEMORY, "no memory for a lineage");
    *text = found;
    return FW_OK;
}

static json_t *text_or_null(const char *text) {
    return text && *text ? json_string(text) : json_null();
}

/* A member of the training's result, null where it has none; a new reference. */
static json_t *member(const json_t *result, const char *name) {
    json_t *value = json_object_get(result, name);
    return value ? json_incref(value) : json_null();
}

fw_status fw_lineage_of_training(const fw_lineage_trained *t, char **text, fw_error *error) {
    json_t *recordings = json_pack("{s:I,s:I}", "train", (json_int_t)t->train_recordings, "held_out",
                                   (json_int_t)t->held_out_recordings);
    json_t *cost = json_pack("{s:o,s:o,s:I,s:I}", "core_s", member(t->result, "core_s"), "agent_steps",
                             member(t->result, "agent_steps"), "dataset_ns", (json_int_t)t->dataset_ns,
                             "trained_ns", (json_int_t)t->trained_ns);
    return text_of(json_pack("{s:i,s:s,s:s,s:s,s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:n}", "version", FW_LINEAGE_VERSION,
                             "line", t->line, "model", t->model, "origin", "trained", "parent",
                             text_or_null(t->parent), "dataset", text_or_null(t->dataset), "generation",
                             (json_int_t)t->generation, "recordings", recordings, "recipe",
                             member(t->result, "recipe"), "code", member(t->result, "code"), "machine",
                             member(t->result, "machine"), "cost", cost, "gate"),
                   text, error);
}

fw_status fw_lineage_of_upload(const char *line, const char *model, const char *parent, const char *dataset,
                               char **text, fw_error *error) {
    return text_of(json_pack("{s:i,s:s,s:s,s:s,s:o,s:o,s:n}", "version", FW_LINEAGE_VERSION, "line", line, "model",
                             model, "origin", "uploaded", "parent", text_or_null(parent), "dataset",
                             text_or_null(dataset), "gate"),
                   text, error);
}

fw_status fw_lineage_with_gate(const char *lineage, const char *gate, const char *decision, const char *reason,
                               char **text, fw_error *error) {
    if (!*lineage) {
        *text = strdup("");
        return *text ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a lineage");
    }
    json_t *json = fw_json_load(lineage, strlen(lineage), JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return fw_fail(error, FW_CORRUPT, "the catalogue holds a lineage that is none");
    }
    fw_hash hash = fw_hash_bytes(gate, strlen(gate));
    json_object_set_new(json, "gate",
                        json_pack("{s:s,s:s,s:s}", "sha256", hash.hex, "decision", decision, "reason", reason));
    return text_of(json, text, error);
}

/* ---- reading ---- */

static bool take_text(const json_t *json, const char *name, char *out, size_t out_size) {
    const json_t *value = json_object_get(json, name);
    const char *text = json_string_value(value);
    out[0] = '\0';
    if (!value || json_is_null(value)) return true;
    if (!text || strlen(text) >= out_size) return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool take_hash(const json_t *json, const char *name, char out[FW_HASH_HEX + 1]) {
    return take_text(json, name, out, FW_HASH_HEX + 1) && (!*out || fw_hash_valid(out));
}

static bool take_steps(const json_t *recipe, const char *name, uint64_t *out) {
    json_int_t steps = json_integer_value(json_object_get(recipe, name));
    *out = steps < 0 ? 0 : (uint64_t)steps;
    return steps >= 0;
}

static bool take_recipe(const json_t *recipe, fw_recipe *out) {
    char seed[24], *end = seed;
    if (!take_text(recipe, "seed", seed, sizeof seed) || *seed < '0' || *seed > '9') return false;
    errno = 0;
    out->seed = strtoull(seed, &end, 10);
    return errno == 0 && *end == '\0' && take_steps(recipe, "imitation_steps", &out->imitation_steps) &&
           take_steps(recipe, "agent_steps", &out->agent_steps);
}

static fw_status read_object(const json_t *json, fw_lineage *out, fw_error *error) {
    fw_lineage l = {0};
    const json_t *code = json_object_get(json, "code"), *recipe = json_object_get(json, "recipe");
    char origin[16];
    if (!json_is_object(json)) return fw_fail(error, FW_CORRUPT, "lineage: no JSON object");
    if (json_integer_value(json_object_get(json, "version")) != FW_LINEAGE_VERSION)
        return fw_fail(error, FW_UNSUPPORTED, "lineage: another version than %d", FW_LINEAGE_VERSION);
    bool good = take_text(json, "line", l.line, sizeof l.line) && take_hash(json, "model", l.model) && *l.model &&
                take_hash(json, "parent", l.parent) && take_hash(json, "dataset", l.dataset) &&
                take_hash(json_object_get(json, "gate"), "sha256", l.gate) &&
                take_text(json, "origin", origin, sizeof origin);
    if (!good) return fw_fail(error, FW_CORRUPT, "lineage: want line and model, and hashes where it names others");
    good = take_text(code, "commit", l.commit, sizeof l.commit) &&
           take_text(code, "build_id", l.build_id, sizeof l.build_id) &&
           take_text(json_object_get(json, "machine"), "training_class", l.training_class, sizeof l.training_class);
    if (!good) return fw_fail(error, FW_CORRUPT, "lineage: a word of its code or machine is too long");
    l.trained = strcmp(origin, "trained") == 0 && *l.dataset && json_is_object(recipe);
    if (l.trained && !take_recipe(recipe, &l.recipe))
        return fw_fail(error, FW_CORRUPT, "lineage: the recipe's steps or seed are no numbers");
    *out = l;
    return FW_OK;
}

fw_status fw_lineage_read(const void *text, size_t size_bytes, fw_lineage *out, fw_error *error) {
    if (size_bytes > FW_LINEAGE_MAX_BYTES)
        return fw_fail(error, FW_CORRUPT, "lineage: over %d bytes", FW_LINEAGE_MAX_BYTES);
    json_t *json = fw_json_load(text, size_bytes, JSON_REJECT_DUPLICATES, NULL);
    fw_status status = read_object(json, out, error);
    json_decref(json);
    return status;
}
