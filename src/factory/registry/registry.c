#include "factory/registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#include "factory/registry/lineage.h"
#include "factory/registry/release.h"

#define CHAMPION_SQL "(SELECT value FROM settings WHERE name='champion')"
#define ALIASES_SQL                                                                                                    \
    "json((SELECT json_group_array(alias) FROM (SELECT alias FROM model_aliases a WHERE a.line=m.line AND "            \
    "a.hash=m.hash ORDER BY alias)))"
#define TAGS_SQL "json((SELECT json_group_object(key,value) FROM model_tags t WHERE t.hash=m.hash))"
#define CARD_FIELDS                                                                                                    \
    "'hash',m.hash,'version',m.sequence,'parent',m.parent,'dataset',m.dataset,'seed',m.seed,'line',m.line,"            \
    "'kind',m.kind,'metrics',json(m.metrics),'gate',json(m.gate),'decision',m.decision,'reason',m.reason,"             \
    "'created_ns',m.created_ns,'champion',json(CASE WHEN m.hash=" CHAMPION_SQL " THEN 'true' ELSE 'false' END),"       \
    "'release_counter',m.release_counter,'tags'," TAGS_SQL ",'aliases'," ALIASES_SQL
#define CARD_SQL "json_object(" CARD_FIELDS ")"
#define WHOLE_SQL                                                                                                      \
    "json_object(" CARD_FIELDS ",'lineage',json(nullif(m.lineage,'')),'self_test',json(m.self_test),"                 \
    "'statement',json(m.statement))"

fw_status fw_registry_add(sqlite3 *db, const fw_model_card *card, fw_error *error) {
    return fw_db_run(db, error,
                     "INSERT INTO models(hash,parent,dataset,seed,line,kind,metrics,created_ns,lineage) "
                     "VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT(hash) DO NOTHING",
                     "tttitttit", card->hash, card->parent, card->dataset, card->seed, card->line,
                     card->kind, card->metrics ? card->metrics : "{}", card->created_ns, card->lineage);
}

fw_status fw_registry_champion(fw_catalogue *catalogue, char out[FW_HASH_HEX + 1],
                               fw_error *error) {
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_setting_get(db, "champion", out, FW_HASH_HEX + 1, error);
    fw_catalogue_read_end(catalogue);
    return status;
}

fw_status fw_registry_json(fw_catalogue *catalogue, char **json, fw_error *error) {
    return fw_catalogue_json(
        catalogue, json, error,
        "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT " CARD_SQL
        " j FROM models m ORDER BY m.sequence)");
}

fw_status fw_registry_json_of(fw_catalogue *catalogue, const char *hash, char **json,
                              fw_error *error) {
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status =
        fw_db_text(db, error, json, "SELECT " WHOLE_SQL " FROM models m WHERE m.hash=?", "t", hash);
    fw_catalogue_read_end(catalogue);
    if (status == FW_NOT_FOUND) return fw_fail(error, status, "no model %.64s", hash);
    return status;
}

fw_status fw_registry_lineage(fw_catalogue *catalogue, const char *hash, char **text, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_text(db, error, text, "SELECT lineage FROM models WHERE hash=?", "t", hash);
    fw_catalogue_read_end(catalogue);
    return status == FW_NOT_FOUND ? fw_fail(error, status, "no model %.64s", hash) : status;
}

/* ---- POST ---- */

static const char *optional_hash(const json_t *card, const char *name, bool *bad) {
    const json_t *value = json_object_get(card, name);
    if (!value || json_is_null(value)) return NULL;
    const char *text = json_string_value(value);
    if (!fw_hash_valid(text)) *bad = true;
    return text;
}

static fw_status set_champion(sqlite3 *db, const char *hash, int64_t now_ns, fw_error *error) {
    char text[120];
    int64_t generations = 0;
    FW_TRY(fw_setting_set(db, "champion", hash, error));
    FW_TRY(fw_db_int(db, error, &generations, "SELECT count(*) FROM generations", ""));
    if (generations == 0)
        FW_TRY(fw_db_run(db, error,
                         "INSERT INTO generations(n,seed,agent_steps_wanted,stage,parent,model,"
                         "decision,reason,recordings,bytes_uploaded,train_core_s,agent_steps,"
                         "created_ns,done_ns) "
                         "VALUES(0,0,0,'done','',?,'promoted','the first model',0,0,0,0,?,?)",
                         "tii", hash, now_ns, now_ns));
    snprintf(text, sizeof text, "model %.12s is the fleet's target", hash);
    return fw_log_add(db, now_ns, "champion", text, error);
}

/* The model's object must be here; reads nothing but the catalogue. */
static fw_status require_object(fw_catalogue *catalogue, const char *hash, fw_error *error) {
    int64_t found = 0;
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status =
        fw_db_int(db, error, &found, "SELECT count(*) FROM objects WHERE sha256=? AND kind='model'",
                  "t", hash);
    fw_catalogue_read_end(catalogue);
    if (status == FW_OK && !found)
        return fw_fail(error, FW_NOT_FOUND,
                       "no model file %s; upload it first: PUT /v1/objects/%s with Flywheel-Kind: "
                       "model",
                       hash, hash);
    return status;
}

static fw_status write_card(fw_catalogue *catalogue, const fw_model_card *card, const fw_release *release,
                            bool champion, fw_error *error) {
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_registry_add(db, card, error);
    if (status == FW_OK) status = fw_release_write(db, card->hash, release, error);
    if (status == FW_OK && champion) status = set_champion(db, card->hash, card->created_ns, error);
    return fw_catalogue_end(catalogue, status, error);
}

/* The lineage that stands, or will: one that is known already stays. */
static fw_status lineage_of(const fw_registry *r, const fw_model_card *card, char **lineage, fw_error *error) {
    fw_status status = fw_registry_lineage(r->catalogue, card->hash, lineage, error);
    if (status != FW_NOT_FOUND) return status;
    return fw_lineage_of_upload(card->line, card->hash, card->parent, card->dataset, lineage, error);
}

static fw_status enter(const fw_registry *r, fw_model_card *card, bool champion, fw_error *error) {
    fw_release release = {0};
    char *lineage = NULL;
    FW_TRY(lineage_of(r, card, &lineage, error));
    card->lineage = lineage;
    fw_status status = champion ? fw_release_make(r, card->hash, lineage, &release, error) : FW_OK;
    if (status == FW_OK) status = write_card(r->catalogue, card, &release, champion, error);
    fw_release_clear(&release);
    free(lineage);
    return status;
}

static fw_status register_json(const fw_registry *r, const json_t *json, fw_hash *hash, fw_error *error) {
    const json_t *card = json_object_get(json, "card");
    const char *name = json_string_value(json_object_get(json, "hash"));
    char path[FW_PATH_MAX], kind[FW_LINE_KIND_MAX] = "";
    bool bad = card && !json_is_object(card);
    if (!name || fw_hash_parse(name, hash, error) != FW_OK || bad)
        return fw_fail(error, FW_INVALID,
                       "want {\"hash\":SHA-256,\"card\":{...},\"champion\":bool}");
    const char *parent = optional_hash(card, "parent", &bad);
    const char *dataset = optional_hash(card, "dataset", &bad);
    if (bad) return fw_fail(error, FW_INVALID, "the card's parent and dataset must be hashes");
    FW_TRY(require_object(r->catalogue, hash->hex, error));
    fw_objects_path(r->objects, hash->hex, path);
    FW_TRY(r->line->check_model(path, kind, error));
    const json_t *metrics = json_object_get(card, "metrics");
    char *metrics_text = json_is_object(metrics) ? json_dumps(metrics, JSON_COMPACT) : NULL;
    fw_model_card row = {.hash = hash->hex,
                         .parent = parent,
                         .dataset = dataset,
                         .kind = kind,
                         .line = r->line->name,
                         .seed = json_integer_value(json_object_get(card, "seed")),
                         .created_ns = fw_env_wall_ns(r->env),
                         .metrics = metrics_text};
    fw_status status = enter(r, &row, json_is_true(json_object_get(json, "champion")), error);
    free(metrics_text);
    return status;
}

fw_status fw_registry_post(const fw_registry *r, const char *body, size_t body_bytes, fw_hash *hash,
                           fw_error *error) {
    fw_hash found;
    json_t *json = fw_json_load(body ? body : "", body_bytes, JSON_REJECT_DUPLICATES, NULL);
    fw_status status =
        json ? register_json(r, json, &found, error) : fw_fail(error, FW_INVALID, "the body is no JSON");
    json_decref(json);
    if (status == FW_OK) *hash = found;
    return status;
}
