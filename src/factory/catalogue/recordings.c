#include "factory/catalogue/recordings.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "factory/catalogue/duplicates.h"

const char *fw_recordings_role(const char *unit) {
    const char *digits = unit + strlen(unit);
    while (digits > unit && digits[-1] >= '0' && digits[-1] <= '9') digits--;
    unsigned long number = 0;
    if (*digits) {
        number = strtoul(digits, NULL, 10);
    } else {
        fw_hash hash = fw_hash_bytes(unit, strlen(unit));
        number = (unsigned long)(hash.hex[0] >= 'a' ? hash.hex[0] - 'a' + 10 : hash.hex[0] - '0');
    }
    return number % 4 == 3 ? "held_out" : "train";
}

static fw_status insert_events(sqlite3 *db, const char *sha256, const char *unit,
                               const fw_scan *scan, int64_t now_ns, fw_error *error) {
    for (uint32_t i = 0; i < scan->event_count; i++) {
        const fw_scan_event *event = &scan->events[i];
        FW_TRY(fw_db_run(db, error,
                         "INSERT INTO events(recording,unit,kind,time_ns,value,received_ns) "
                         "VALUES(?,?,?,?,?,?)",
                         "tttidi", sha256, unit, event->kind, event->time_ns, event->value,
                         now_ns));
    }
    return FW_OK;
}

/* One statement a list: the rows travel as JSON. The list is taken; fewer than count: no memory. */
static fw_status insert_rows(sqlite3 *db, const char *sha256, json_t *rows, size_t count,
                             const char *sql, fw_error *error) {
    char *text = json_array_size(rows) == count ? json_dumps(rows, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(rows);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a recording's rows");
    fw_status status = fw_db_run(db, error, sql, "tt", text, sha256);
    free(text);
    return status;
}

static fw_status insert_channels(sqlite3 *db, const char *sha256, const fw_scan *scan,
                                 fw_error *error) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < scan->channel_count; i++) {
        const fw_scan_channel *c = &scan->channels[i];
        json_array_append_new(rows, json_pack("[s,s,s,I,I]", c->topic, c->encoding, c->schema,
                                              (json_int_t)c->messages, (json_int_t)c->bytes));
    }
    return insert_rows(db, sha256, rows, scan->channel_count,
                       "INSERT INTO channels(recording,topic,encoding,schema,messages,bytes) SELECT "
                       "?2,value->>0,value->>1,value->>2,value->>3,value->>4 FROM json_each(?1)",
                       error);
}

static fw_status insert_fields(sqlite3 *db, const char *sha256, const fw_scan *scan,
                               fw_error *error) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < scan->field_count; i++) {
        const fw_scan_field *f = &scan->fields[i];
        json_array_append_new(rows, json_pack("[s,I,f,f,f]", f->name, (json_int_t)f->count, f->min,
                                              f->max, f->sum / (double)f->count));
    }
    return insert_rows(db, sha256, rows, scan->field_count,
                       "INSERT INTO fields(recording,name,count,min,max,mean) SELECT "
                       "?2,value->>0,value->>1,value->>2,value->>3,value->>4 FROM json_each(?1)",
                       error);
}

static fw_status insert_places(sqlite3 *db, const char *sha256, const fw_scan *scan,
                               fw_error *error) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < scan->place_count; i++) {
        const fw_scan_place *p = &scan->places[i];
        json_array_append_new(
            rows, json_pack("[f,f,f,f]", p->x_min, p->x_max, p->y_min, p->y_max));
    }
    FW_TRY(insert_rows(db, sha256, rows, scan->place_count,
                       "INSERT INTO places(recording,n,x_min,x_max,y_min,y_max) SELECT "
                       "?2,key,value->>0,value->>1,value->>2,value->>3 FROM json_each(?1)",
                       error));
    if (scan->place_count == 0) return FW_OK;
    return fw_db_run(db, error,
                     "UPDATE recordings SET (x_min,x_max,y_min,y_max)=(SELECT min(x_min),max(x_max),"
                     "min(y_min),max(y_max) FROM places WHERE recording=?1) WHERE sha256=?1",
                     "t", sha256);
}

static fw_status insert_models(sqlite3 *db, const char *sha256, const fw_scan *scan,
                               fw_error *error) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < scan->model_count; i++)
        json_array_append_new(rows, json_string(scan->models[i]));
    return insert_rows(db, sha256, rows, scan->model_count,
                       "INSERT INTO recording_models(recording,model) SELECT ?2,value FROM json_each(?1)", error);
}

static fw_status insert_row(sqlite3 *db, const char *sha256, const char *unit, const fw_scan *scan,
                            const fw_recording_clock *clock, int64_t now_ns, fw_error *error) {
    bool given = clock && clock->given;
    const char *model = scan->model[0]       ? scan->model
                        : scan->model_count  ? scan->models[scan->model_count - 1]
                                             : NULL;
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO recordings(sha256,unit,role,messages,start_ns,end_ns,events,"
                     "recorded_ns,line,form,model,campaign) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                     "tttiiiiitttt", sha256, unit, fw_recordings_role(unit), scan->messages,
                     scan->start_ns, scan->end_ns, (int64_t)scan->event_count,
                     given ? clock->recorded_ns : now_ns, scan->line[0] ? scan->line : "driving",
                     scan->form[0] ? scan->form : "drive", model,
                     scan->campaign[0] ? scan->campaign : NULL));
    if (!given) return FW_OK;
    return fw_db_run(db, error,
                     "UPDATE recordings SET boot=?,unit_mono_ns=?,unit_wall_ns=?,moved_ns=? "
                     "WHERE sha256=?",
                     "tiiit", clock->boot, clock->mono_ns, clock->wall_ns, clock->moved_ns, sha256);
}

fw_status fw_recordings_insert(sqlite3 *db, const char *sha256, const char *unit,
                               const fw_scan *scan, const fw_recording_clock *clock,
                               int64_t now_ns, fw_error *error) {
    char signature[FW_DUPLICATE_HEX + 1];
    FW_TRY(insert_row(db, sha256, unit, scan, clock, now_ns, error));
    FW_TRY(insert_events(db, sha256, unit, scan, now_ns, error));
    FW_TRY(insert_channels(db, sha256, scan, error));
    FW_TRY(insert_fields(db, sha256, scan, error));
    FW_TRY(insert_places(db, sha256, scan, error));
    FW_TRY(insert_models(db, sha256, scan, error));
    FW_TRY(fw_duplicates_signature(scan, signature, error));
    return fw_duplicates_enter(db, sha256, signature, error);
}

fw_status fw_recordings_delete(sqlite3 *db, const char *sha256, fw_error *error) {
    static const char *const tables[] = {"events",           "channels",   "fields",         "places",
                                         "recording_models", "signatures", "signature_bands"};
    char sql[96];
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE recording=?", tables[i]);
        FW_TRY(fw_db_run(db, error, sql, "t", sha256));
    }
    return fw_db_run(db, error, "DELETE FROM recordings WHERE sha256=?", "t", sha256);
}
