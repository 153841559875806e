#include "factory/registry/mlflow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"

/* ---- what there is ---- */

#define CHAMPION "m.hash=(SELECT value FROM settings WHERE name='champion')"
#define CANDIDATE                                                                                                      \
    "(NOT " CHAMPION " AND (m.hash IN (SELECT candidate FROM generations WHERE stage NOT IN('done','failed')) OR "     \
    "m.hash IN (SELECT model FROM rollouts WHERE done_ns IS NULL)))"
#define TAGS                                                                                                           \
    "(SELECT json_group_array(json_object('key',key,'value',value)) FROM (SELECT key,value FROM model_tags t WHERE "   \
    "t.hash=m.hash UNION ALL SELECT 'flywheel.sha256',m.hash UNION ALL SELECT 'flywheel.kind',m.kind UNION ALL "       \
    "SELECT 'flywheel.parent',m.parent UNION ALL SELECT 'flywheel.dataset',m.dataset UNION ALL SELECT "                \
    "'flywheel.seed',cast(m.seed AS TEXT) UNION ALL SELECT 'flywheel.decision',m.decision UNION ALL SELECT "           \
    "'flywheel.release_counter',cast(m.release_counter AS TEXT) ORDER BY 1) WHERE value IS NOT NULL)"
#define ALIASES                                                                                                        \
    "(SELECT json_group_array(alias) FROM (SELECT alias FROM model_aliases a WHERE a.line=m.line AND a.hash=m.hash "   \
    "UNION ALL SELECT 'champion' WHERE " CHAMPION " UNION ALL SELECT 'candidate' WHERE " CANDIDATE " ORDER BY 1))"

static const char versions_sql[] =
    "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object('name',m.line,'version',"
    "cast(m.sequence AS TEXT),'creation_timestamp',m.created_ns/1000000,'last_updated_timestamp',"
    "max(m.created_ns,coalesce(g.gate_ns,0))/1000000,'current_stage',CASE WHEN " CHAMPION " THEN 'Production' WHEN " CANDIDATE
    " THEN 'Staging' WHEN m.decision='promoted' THEN 'Archived' ELSE 'None' END,'description',coalesce(m.reason,''),"
    "'source','mlflow-artifacts:/'||m.hash,'run_id',coalesce('generation-'||g.n,''),'status','READY','tags',"
    "json(" TAGS "),'aliases',json(" ALIASES ")) j FROM models m LEFT JOIN generations g ON g.n=(SELECT min(n) FROM "
    "generations WHERE candidate=m.hash) ORDER BY m.sequence)";

static const char line_tags_sql[] = "SELECT coalesce(json_group_object(line,json(tags)),'{}') FROM (SELECT line,"
                                    "json_group_array(json_object('key',key,'value',value)) tags FROM line_tags GROUP BY "
                                    "line)";

static fw_status ask(fw_catalogue *catalogue, const char *sql, json_t **out, fw_error *error) {
    char *text = NULL;
    sqlite3 *db;
    FW_TRY(fw_catalogue_ask(catalogue, &db, error));
    fw_status status = fw_db_text(db, error, &text, sql, "");
    fw_catalogue_ask_end(catalogue);
    FW_TRY(status);
    *out = fw_json_load_text(text);
    free(text);
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for the models");
}

fw_status fw_mlflow_versions(fw_catalogue *catalogue, json_t **rows, fw_error *error) {
    return ask(catalogue, versions_sql, rows, error);
}

static const char *text_of(const json_t *row, const char *name) {
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

static json_int_t number_of(const json_t *row, const char *name) {
    return json_integer_value(json_object_get(row, name));
}

/* The registered model of a version's line, made when it is the first of it. */
static json_t *model_of(json_t *models, const json_t *version) {
    const char *name = text_of(version, "name");
    json_t *model, *created = json_object_get(version, "creation_timestamp");
    size_t at;
    json_array_foreach(models, at, model)
        if (strcmp(text_of(model, "name"), name) == 0) return model;
    model = json_pack("{s:s,s:O,s:O,s:s,s:[],s:[],s:[]}", "name", name, "creation_timestamp", created,
                      "last_updated_timestamp", created, "description", "a line of this factory", "latest_versions",
                      "tags", "aliases");
    json_array_append_new(models, model);
    return model;
}

/* Versions come by number: a later one of the same stage takes the earlier one's place. */
static void note_latest(json_t *latest, json_t *version) {
    size_t at;
    json_t *other;
    json_array_foreach(latest, at, other)
        if (strcmp(text_of(other, "current_stage"), text_of(version, "current_stage")) == 0) {
            json_array_set(latest, at, version);
            return;
        }
    json_array_append(latest, version);
}

static void note_version(json_t *models, json_t *version) {
    size_t at;
    json_t *alias, *model = model_of(models, version), *updated = json_object_get(version, "last_updated_timestamp");
    if (number_of(model, "last_updated_timestamp") < json_integer_value(updated))
        json_object_set(model, "last_updated_timestamp", updated);
    note_latest(json_object_get(model, "latest_versions"), version);
    json_array_foreach(json_object_get(version, "aliases"), at, alias)
        json_array_append_new(json_object_get(model, "aliases"),
                              json_pack("{s:O,s:s}", "alias", alias, "version", text_of(version, "version")));
}

fw_status fw_mlflow_models(fw_catalogue *catalogue, json_t **rows, fw_error *error) {
    json_t *versions = NULL, *tags = NULL, *row;
    size_t at;
    FW_TRY(fw_mlflow_versions(catalogue, &versions, error));
    fw_status status = ask(catalogue, line_tags_sql, &tags, error);
    json_t *models = json_array();
    json_array_foreach(versions, at, row) note_version(models, row);
    json_array_foreach(models, at, row) {
        json_t *own = json_object_get(tags, text_of(row, "name"));
        if (own) json_object_set(row, "tags", own);
    }
    json_decref(versions);
    json_decref(tags);
    if (status == FW_OK)
        *rows = models;
    else
        json_decref(models);
    return status;
}

/* ---- one of them ---- */

static bool has_alias(const json_t *version, const char *alias) {
    size_t at;
    json_t *name;
    json_array_foreach(json_object_get(version, "aliases"), at, name)
        if (strcmp(json_string_value(name), alias) == 0) return true;
    return false;
}

/* A new reference to the row of this name, version and alias (NULL: any). */
static json_t *find(const json_t *rows, const char *name, const char *version, const char *alias) {
    size_t at;
    json_t *row;
    json_array_foreach(rows, at, row)
        if (strcmp(text_of(row, "name"), name) == 0 && (!version || strcmp(text_of(row, "version"), version) == 0) &&
            (!alias || has_alias(row, alias)))
            return json_incref(row);
    return NULL;
}

fw_status fw_mlflow_model(fw_catalogue *catalogue, const char *line, json_t **row, fw_error *error) {
    json_t *rows;
    FW_TRY(fw_mlflow_models(catalogue, &rows, error));
    *row = find(rows, line, NULL, NULL);
    json_decref(rows);
    return *row ? FW_OK : fw_fail(error, FW_NOT_FOUND, "Registered Model with name=%.100s not found", line);
}

static fw_status check_version(const char *version, fw_error *error) {
    size_t size = strlen(version);
    if (size > 0 && size <= 18 && strspn(version, "0123456789") == size) return FW_OK;
    return fw_fail(error, FW_INVALID, "Model version must be a whole number, got '%.40s'", version);
}

fw_status fw_mlflow_version(fw_catalogue *catalogue, const char *line, const char *version, json_t **row,
                            fw_error *error) {
    json_t *rows;
    FW_TRY(check_version(version, error));
    FW_TRY(fw_mlflow_versions(catalogue, &rows, error));
    *row = find(rows, line, version, NULL);
    json_decref(rows);
    if (*row) return FW_OK;
    return fw_fail(error, FW_NOT_FOUND, "Model Version (name=%.100s, version=%s) not found", line, version);
}

fw_status fw_mlflow_version_by_alias(fw_catalogue *catalogue, const char *line, const char *alias, json_t **row,
                                     fw_error *error) {
    json_t *rows;
    FW_TRY(fw_mlflow_versions(catalogue, &rows, error));
    *row = find(rows, line, NULL, alias);
    json_decref(rows);
    if (*row) return FW_OK;
    return fw_fail(error, FW_NOT_FOUND, "Registered model alias %.100s of %.100s not found", alias, line);
}

/* ---- writing ---- */

/* The hash that a tag or an alias is about; the line alone must be there too. */
static fw_status hash_of(sqlite3 *db, const char *line, const char *version, char **hash, fw_error *error) {
    fw_status status;
    if (version) {
        FW_TRY(check_version(version, error));
        status = fw_db_text(db, error, hash, "SELECT hash FROM models WHERE line=? AND sequence=?", "ti", line,
                            (int64_t)strtoll(version, NULL, 10));
    } else {
        status = fw_db_text(db, error, hash, "SELECT hash FROM models WHERE line=? LIMIT 1", "t", line);
    }
    if (status != FW_NOT_FOUND) return status;
    return fw_fail(error, status, version ? "Model Version (name=%.100s, version=%s) not found"
                                          : "Registered Model with name=%.100s not found",
                   line, version);
}

static fw_status check_tag(const char *key, const char *value, fw_error *error) {
    if (!*key || strlen(key) > FW_MLFLOW_KEY_MAX || (value && strlen(value) > FW_MLFLOW_VALUE_MAX))
        return fw_fail(error, FW_INVALID, "a tag's key has 1 to %d bytes, its value up to %d", FW_MLFLOW_KEY_MAX,
                       FW_MLFLOW_VALUE_MAX);
    if (strncmp(key, "flywheel.", 9) == 0)
        return fw_fail(error, FW_DENIED, "tags that begin with 'flywheel.' are the factory's own");
    return FW_OK;
}

static fw_status write_tag(sqlite3 *db, const char *line, const char *version, const char *key, const char *value,
                           fw_error *error) {
    char *hash = NULL;
    FW_TRY(hash_of(db, line, version, &hash, error));
    const char *of = version ? hash : line;
    fw_status status;
    if (value)
        status = fw_db_run(db, error,
                           version ? "INSERT OR REPLACE INTO model_tags(hash,key,value) VALUES(?,?,?)"
                                   : "INSERT OR REPLACE INTO line_tags(line,key,value) VALUES(?,?,?)",
                           "ttt", of, key, value);
    else
        status = fw_db_run(db, error,
                           version ? "DELETE FROM model_tags WHERE hash=? AND key=?"
                                   : "DELETE FROM line_tags WHERE line=? AND key=?",
                           "tt", of, key);
    free(hash);
    return status;
}

fw_status fw_mlflow_tag(fw_catalogue *catalogue, const char *line, const char *version, const char *key,
                        const char *value, fw_error *error) {
    FW_TRY(check_tag(key, value, error));
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    return fw_catalogue_end(catalogue, write_tag(db, line, version, key, value, error), error);
}

/* Letters, digits, _ and -; not what versions and the factory's own aliases are called. */
static fw_status check_alias(const char *alias, fw_error *error) {
    size_t size = strlen(alias), digits = *alias == 'v' || *alias == 'V' ? strspn(alias + 1, "0123456789") : 0;
    bool plain = strspn(alias, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == size;
    if (size == 0 || size > FW_MLFLOW_ALIAS_MAX || !plain || (digits > 0 && digits + 1 == size) ||
        strcasecmp(alias, "latest") == 0)
        return fw_fail(error, FW_INVALID, "an alias has 1 to %d letters, digits, _ and -, and is neither 'latest' nor v1",
                       FW_MLFLOW_ALIAS_MAX);
    if (strcmp(alias, "champion") == 0 || strcmp(alias, "candidate") == 0)
        return fw_fail(error, FW_DENIED, "the alias '%s' is what the gate and the rollout decided", alias);
    return FW_OK;
}

static fw_status write_alias(sqlite3 *db, const char *line, const char *alias, const char *version, fw_error *error) {
    char *hash = NULL;
    FW_TRY(hash_of(db, line, version, &hash, error));
    fw_status status =
        version ? fw_db_run(db, error, "INSERT OR REPLACE INTO model_aliases(line,alias,hash) VALUES(?,?,?)", "ttt",
                            line, alias, hash)
                : fw_db_run(db, error, "DELETE FROM model_aliases WHERE line=? AND alias=?", "tt", line, alias);
    free(hash);
    return status;
}

fw_status fw_mlflow_alias(fw_catalogue *catalogue, const char *line, const char *alias, const char *version,
                          fw_error *error) {
    FW_TRY(check_alias(alias, error));
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    return fw_catalogue_end(catalogue, write_alias(db, line, alias, version, error), error);
}
