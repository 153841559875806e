#include "factory/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/ingest/ingest.h"
#include "factory/catalogue/recordings.h"

enum { PERSIST_S = 30 };

/* ---- memory ---- */

/* The unit's slot, made when it is new; NULL when there are too many. The lock is held. */
static fw_unit *slot_of(fw_units *units, const char *name) {
    uint32_t place = fw_names_find(&units->places, name);
    if (place != FW_NAMES_NONE) return &units->items[place];
    if (units->count == FW_UNITS_MAX) return NULL;
    if (units->count % 64 == 0) {
        fw_unit *grown = realloc(units->items, (units->count + 64) * sizeof *grown);
        if (!grown) return NULL;
        units->items = grown;
    }
    if (!fw_names_add(&units->places, name)) return NULL;
    fw_unit *unit = &units->items[units->count++];
    *unit = (fw_unit){0};
    snprintf(unit->name, sizeof unit->name, "%s", name);
    return unit;
}

static bool load_row(void *self, sqlite3_stmt *row) {
    fw_units *units = self;
    const char *name = fw_db_column(row, 0);
    fw_unit *unit = fw_unit_name_valid(name) ? slot_of(units, name) : NULL;
    if (!unit) return true;
    snprintf(unit->active.hex, sizeof unit->active.hex, "%s", fw_db_column(row, 1));
    snprintf(unit->staged.hex, sizeof unit->staged.hex, "%s", fw_db_column(row, 2));
    unit->tick = sqlite3_column_int64(row, 3);
    unit->recordings = sqlite3_column_int64(row, 4);
    unit->spool_bytes = sqlite3_column_int64(row, 5);
    unit->lost_bytes = sqlite3_column_int64(row, 6);
    unit->reported_ns = unit->persisted_ns = sqlite3_column_int64(row, 7);
    return true;
}

static const char *const note_streams[FW_UNIT_NOTE_COUNT] = {
#define X(name, stream) stream,
    FW_UNIT_NOTES(X)
#undef X
};

static bool load_note(void *self, sqlite3_stmt *row) {
    fw_units_note(self, fw_db_column(row, 0), fw_db_column(row, 1), fw_db_column(row, 3),
                  strlen(fw_db_column(row, 3)), sqlite3_column_int64(row, 2));
    return true;
}

fw_status fw_units_open(fw_units *units, const fw_env *env, fw_catalogue *catalogue,
                        fw_error *error) {
    *units = (fw_units){.env = env, .catalogue = catalogue};
    pthread_mutex_init(&units->lock, NULL);
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_each(
        db, error, load_row, units,
        "SELECT unit,active,staged,tick,recordings,spool_bytes,lost_bytes,reported_ns FROM units",
        "");
    if (status == FW_OK)
        status = fw_db_each(db, error, load_note, units,
                            "SELECT unit,stream,time_ns,record FROM unit_notes", "");
    fw_catalogue_read_end(catalogue);
    if (status != FW_OK) fw_units_close(units);
    return status;
}

void fw_units_close(fw_units *units) {
    for (uint32_t i = 0; i < units->count; i++)
        for (int n = 0; n < FW_UNIT_NOTE_COUNT; n++) free(units->items[i].notes[n].record);
    free(units->items);
    fw_names_free(&units->places);
    pthread_mutex_destroy(&units->lock);
    *units = (fw_units){0};
}

void fw_units_forget(fw_units *units, const char *name) {
    pthread_mutex_lock(&units->lock);
    uint32_t place = fw_names_find(&units->places, name);
    if (place != FW_NAMES_NONE) {
        fw_unit *unit = &units->items[place];
        for (int n = 0; n < FW_UNIT_NOTE_COUNT; n++) free(unit->notes[n].record);
        units->count--;
        memmove(unit, unit + 1, (units->count - place) * sizeof *unit);
        fw_names_remove(&units->places, place);
    }
    pthread_mutex_unlock(&units->lock);
}

/* ---- reports ---- */

static fw_status get_hash(const json_t *json, const char *name, fw_hash *out, fw_error *error) {
    const json_t *value = json_object_get(json, name);
    *out = (fw_hash){{0}};
    if (!value || json_is_null(value)) return FW_OK;
    const char *text = json_string_value(value);
    if (text && !*text) return FW_OK;
    if (!text || fw_hash_parse(text, out, error) != FW_OK)
        return fw_fail(error, FW_INVALID, "\"%s\" is no hash", name);
    return FW_OK;
}

static fw_status get_count(const json_t *json, const char *name, int64_t *out, fw_error *error) {
    const json_t *value = json_object_get(json, name);
    *out = 0;
    if (!value) return FW_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return fw_fail(error, FW_INVALID, "\"%s\" is no count", name);
    *out = json_integer_value(value);
    return FW_OK;
}

static fw_status get_versions(const json_t *json, char **out, fw_error *error) {
    const json_t *value = json_object_get(json, "versions");
    if (!out || !value || json_is_null(value)) return FW_OK;
    if (!json_is_string(value) || json_string_length(value) > FW_UNIT_VERSIONS_MAX)
        return fw_fail(error, FW_INVALID, "\"versions\" is no text of at most %d bytes", FW_UNIT_VERSIONS_MAX);
    *out = strdup(json_string_value(value));
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a version report");
}

static fw_status parse_report(const char *body, size_t body_bytes, fw_unit *out, char **versions, fw_error *error) {
    json_t *json = fw_json_load(body ? body : "", body_bytes, JSON_REJECT_DUPLICATES, NULL);
    fw_status status =
        json_is_object(json) ? FW_OK : fw_fail(error, FW_INVALID, "a report is a JSON object");
    if (status == FW_OK) status = get_hash(json, "active", &out->active, error);
    if (status == FW_OK) status = get_hash(json, "staged", &out->staged, error);
    if (status == FW_OK) status = get_hash(json, "refused", &out->refused, error);
    if (status == FW_OK) status = get_count(json, "tick", &out->tick, error);
    if (status == FW_OK) status = get_count(json, "recordings", &out->recordings, error);
    if (status == FW_OK) status = get_count(json, "spool_bytes", &out->spool_bytes, error);
    if (status == FW_OK) status = get_count(json, "lost_bytes", &out->lost_bytes, error);
    if (status == FW_OK) status = get_hash(json, "shadow", &out->shadow, error);
    if (status == FW_OK) status = fw_health_parse(json_object_get(json, "health"), &out->health, error);
    if (status == FW_OK) status = get_versions(json, versions, error);
    json_decref(json);
    return status;
}

static fw_status persist(fw_units *units, const fw_unit *u, fw_error *error) {
    sqlite3 *db = fw_catalogue_begin(units->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_run(
        db, error,
        "INSERT OR REPLACE INTO units(unit,active,staged,tick,recordings,spool_bytes,lost_bytes,"
        "reported_ns,report) VALUES(?,?,?,?,?,?,?,?,'')",
        "tttiiiii", u->name, u->active.hex, u->staged.hex, u->tick, u->recordings, u->spool_bytes,
        u->lost_bytes, u->reported_ns);
    return fw_catalogue_end(units->catalogue, status, error);
}

fw_status fw_units_report(fw_units *units, const char *name, const char *body, size_t body_bytes,
                          char **versions, fw_error *error) {
    fw_unit report = {0};
    if (versions) *versions = NULL;
    if (!fw_unit_name_valid(name)) return fw_fail(error, FW_INVALID, "not a unit's name");
    FW_TRY(parse_report(body, body_bytes, &report, versions, error));
    snprintf(report.name, sizeof report.name, "%s", name);
    report.reported_ns = fw_env_wall_ns(units->env);
    pthread_mutex_lock(&units->lock);
    fw_unit *unit = slot_of(units, name);
    bool write = false;
    if (unit) {
        int64_t age_ns = report.reported_ns - unit->persisted_ns;
        write = age_ns < 0 || age_ns > PERSIST_S * 1000000000LL ||
                strcmp(unit->active.hex, report.active.hex) != 0 ||
                strcmp(unit->staged.hex, report.staged.hex) != 0;
        report.persisted_ns = write ? report.reported_ns : unit->persisted_ns;
        memcpy(report.notes, unit->notes, sizeof report.notes);
        *unit = report;
    }
    pthread_mutex_unlock(&units->lock);
    if (!unit) return fw_fail(error, FW_TOO_BIG, "more than %d units", FW_UNITS_MAX);
    fw_catalogue_touch(units->catalogue);
    return write ? persist(units, &report, error) : FW_OK;
}

/* ---- notes ---- */

void fw_units_note(fw_units *units, const char *name, const char *stream, const char *record,
                   size_t size_bytes, int64_t time_ns) {
    int kind = 0;
    while (kind < FW_UNIT_NOTE_COUNT && strcmp(stream, note_streams[kind]) != 0) kind++;
    if (kind == FW_UNIT_NOTE_COUNT || size_bytes > FW_UNIT_NOTE_MAX || !fw_unit_name_valid(name))
        return;
    char *copy = strndup(record, size_bytes);
    if (!copy) return; /* the next one will be shown */
    pthread_mutex_lock(&units->lock);
    fw_unit *unit = slot_of(units, name);
    if (unit && time_ns >= unit->notes[kind].time_ns) {
        char *old = unit->notes[kind].record;
        unit->notes[kind] = (fw_unit_note){time_ns, copy};
        copy = old;
    }
    pthread_mutex_unlock(&units->lock);
    free(copy);
}

fw_status fw_units_save_notes(fw_units *units, sqlite3 *db, fw_error *error) {
    fw_status status = FW_OK;
    pthread_mutex_lock(&units->lock);
    for (uint32_t i = 0; i < units->count; i++)
        for (int n = 0; n < FW_UNIT_NOTE_COUNT && status == FW_OK; n++) {
            const fw_unit_note *note = &units->items[i].notes[n];
            if (!note->record) continue;
            status = fw_db_run(db, error,
                               "INSERT INTO unit_notes(unit,stream,time_ns,record) VALUES(?,?,?,?) "
                               "ON CONFLICT(unit,stream) DO UPDATE SET time_ns=excluded.time_ns,"
                               "record=excluded.record WHERE excluded.time_ns>time_ns",
                               "ttit", units->items[i].name, note_streams[n], note->time_ns,
                               note->record);
        }
    pthread_mutex_unlock(&units->lock);
    return status;
}

/* ---- reading ---- */

static void add_notes(json_t *json, const fw_unit *u) {
    for (int n = 0; n < FW_UNIT_NOTE_COUNT; n++) {
        json_t *record = u->notes[n].record ? fw_json_load_text(u->notes[n].record) : NULL;
        json_object_set_new(json, note_streams[n], record ? record : json_null());
    }
    json_object_set_new(json, "health_ns",
                        json_integer((json_int_t)u->notes[FW_UNIT_NOTE_HEALTH].time_ns));
}

void fw_units_each(fw_units *units, void (*visit)(void *self, const fw_unit *unit), void *self) {
    pthread_mutex_lock(&units->lock);
    for (uint32_t i = 0; i < units->count; i++)
        if (units->items[i].reported_ns != 0) visit(self, &units->items[i]);
    pthread_mutex_unlock(&units->lock);
}

char *fw_units_json(fw_units *units) {
    json_t *list = json_array();
    int64_t now_ns = fw_env_wall_ns(units->env);
    pthread_mutex_lock(&units->lock);
    for (uint32_t i = 0; i < units->count; i++) {
        const fw_unit *u = &units->items[i];
        if (u->reported_ns == 0) continue;
        json_t *json =
            json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:f,s:s}", "id", u->name, "active",
                      u->active.hex, "staged", u->staged.hex, "refused", u->refused.hex, "tick",
                      (json_int_t)u->tick, "recordings", (json_int_t)u->recordings, "spool_bytes",
                      (json_int_t)u->spool_bytes, "lost_bytes", (json_int_t)u->lost_bytes,
                      "reported_ns", (json_int_t)u->reported_ns, "age_s",
                      (double)(now_ns - u->reported_ns) / 1e9, "role", fw_recordings_role(u->name));
        json_object_set_new(json, "shadow", json_string(u->shadow.hex));
        json_object_set_new(json, "counts", fw_health_json(&u->health));
        add_notes(json, u);
        json_array_append_new(list, json);
    }
    pthread_mutex_unlock(&units->lock);
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

fw_units_share fw_units_share_of(fw_units *units, const char *model) {
    fw_units_share share = {0};
    int64_t now_ns = fw_env_wall_ns(units->env);
    pthread_mutex_lock(&units->lock);
    for (uint32_t i = 0; i < units->count; i++) {
        const fw_unit *u = &units->items[i];
        if (u->reported_ns == 0) continue;
        share.known++;
        if (now_ns - u->reported_ns > FW_UNIT_RECENT_S * 1000000000LL) continue;
        share.recent++;
        bool active = *model && strcmp(u->active.hex, model) == 0;
        share.active += active;
        share.refused += !active && *model && strcmp(u->refused.hex, model) == 0;
        share.staged += active || (*model && strcmp(u->staged.hex, model) == 0);
    }
    pthread_mutex_unlock(&units->lock);
    return share;
}
