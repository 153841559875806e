/* api_records.c - POST and GET /v1/records, GET /metrics (docs/formats/http.md). */
#include "factory/api/api_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/api/answers.h"
#include "factory/ingest/clock.h"
#include "http/range.h"

enum { BODIES_MAX_BYTES = 64 << 20, RETRY_BUSY_S = 1 };

struct fw_records_body {
    size_t size, room;
    bool too_long;
    uint8_t bytes[];
};

/* ---- the body ---- */

fw_records_body *fw_records_body_open(fw_factory *factory, const fw_http_request *request,
                                      fw_http_response *response) {
    const char *length = request->header(request->native, "Content-Length");
    uint64_t room = FW_RECORDS_PAYLOAD_MAX;
    if (length && !fw_http_parse_number(&length, &room)) room = UINT64_MAX;
    if (room > FW_RECORDS_PAYLOAD_MAX) {
        fw_http_respond_error(response, 413, "a batch has at most %d bytes",
                              FW_RECORDS_PAYLOAD_MAX);
        return NULL;
    }
    uint64_t held = atomic_fetch_add(&factory->bodies_bytes, room);
    fw_records_body *body =
        held + room <= BODIES_MAX_BYTES ? malloc(sizeof *body + (size_t)room) : NULL;
    if (body) {
        *body = (fw_records_body){.room = (size_t)room};
        return body;
    }
    atomic_fetch_sub(&factory->bodies_bytes, room);
    bool crowded = held + room > BODIES_MAX_BYTES;
    fw_answer_retry(response, crowded ? 429 : 503, RETRY_BUSY_S,
                    crowded ? "too many batches at once" : "no memory for a batch");
    return NULL;
}

bool fw_records_body_write(fw_records_body *body, const void *bytes, size_t size_bytes) {
    if (size_bytes > body->room - body->size) {
        body->too_long = true;
        return false;
    }
    memcpy(body->bytes + body->size, bytes, size_bytes);
    body->size += size_bytes;
    return true;
}

void fw_records_body_close(fw_factory *factory, fw_records_body *body) {
    if (!body) return;
    atomic_fetch_sub(&factory->bodies_bytes, body->room);
    free(body);
}

/* ---- POST ---- */

static fw_status read_name(const fw_http_request *request, fw_records_name *name, uint64_t *first,
                           fw_error *error) {
    const char *unit = request->header(request->native, "Flywheel-Unit");
    const char *boot = request->header(request->native, "Flywheel-Boot");
    const char *stream = request->header(request->native, "Flywheel-Stream");
    const char *number = request->header(request->native, "Flywheel-First");
    if (!fw_unit_name_valid(unit))
        return fw_fail(error, FW_INVALID,
                       "Flywheel-Unit must name the unit: 1 to %d of a-z A-Z 0-9 . _ -",
                       FW_RECORDS_UNIT_MAX);
    if (!fw_clock_boot_valid(boot))
        return fw_fail(error, FW_INVALID, "Flywheel-Boot must be 1 to %d of 0-9 a-z A-Z -",
                       FW_RECORDS_BOOT_MAX);
    if (!fw_records_stream_valid(stream))
        return fw_fail(error, FW_INVALID, "Flywheel-Stream must be 1 to %d of a-z 0-9 _ . -",
                       FW_RECORDS_STREAM_MAX);
    if (!number || !fw_http_parse_number(&number, first) || *number)
        return fw_fail(error, FW_INVALID, "Flywheel-First must be the first record's number");
    snprintf(name->unit, sizeof name->unit, "%s", unit);
    snprintf(name->boot, sizeof name->boot, "%s", boot);
    snprintf(name->stream, sizeof name->stream, "%s", stream);
    return FW_OK;
}

/* Records of the streams that the factory reads are JSON objects. */
static fw_status check_understood(const fw_records_batch *batch, fw_error *error) {
    static const char *const understood[] = {"health", "versions", "events"};
    bool ours = false;
    for (size_t i = 0; i < sizeof understood / sizeof *understood; i++)
        ours = ours || strcmp(batch->name.stream, understood[i]) == 0;
    const char *at = (const char *)batch->payload, *stop = at + batch->payload_bytes;
    for (uint64_t i = 0; ours && at < stop; i++) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        size_t size = (size_t)((end ? end : stop) - at);
        json_t *json = fw_json_load(at, size, JSON_REJECT_DUPLICATES, NULL);
        bool object = json_is_object(json);
        json_decref(json);
        if (!object)
            return fw_fail(error, FW_CORRUPT, "record %" PRIu64 " of stream %s is no JSON object",
                           batch->first + i, batch->name.stream);
        at += size + 1;
    }
    return FW_OK;
}

static void answer_ack(const fw_api_call *c, const fw_records_ack *ack) {
    char text[256];
    snprintf(text, sizeof text,
             "{\"next\":%" PRIu64 ",\"taken\":%u,\"repeated\":%u,\"sequence\":%" PRIu64
             ",\"server_time_ns\":%" PRId64 "}",
             ack->next, ack->taken, ack->repeated, ack->sequence, ack->time_ns);
    fw_http_respond_json(c->response, 200, strdup(text));
}

/* A failure of ours, or of the moment, asks the sender to come again. */
static void answer_not_taken(const fw_api_call *c, fw_status status, const fw_records_ack *ack,
                             const fw_error *error) {
    fw_metrics *m = &c->factory->metrics;
    int code = fw_answer_status(status);
    if (status == FW_MISMATCH) {
        json_t *json = json_pack("{s:s,s:I}", "error", error->text, "next", (json_int_t)ack->next);
        fw_http_respond_json(c->response, 409, json_dumps(json, JSON_COMPACT));
        json_decref(json);
    } else if (status == FW_BUSY) {
        fw_answer_retry(c->response, 429, RETRY_BUSY_S, error->text);
    } else if (code == 500) {
        fw_answer_retry(c->response, 503, RETRY_BUSY_S, error->text);
    } else {
        fw_answer_failure(c->response, status, error);
    }
    fw_metrics_add(c->response->status < 500 ? &m->batches_refused : &m->batches_failed, 1);
}

void fw_api_records_post(const fw_api_call *c, const fw_records_body *body) {
    fw_error error = {""};
    fw_records_ack ack = {0};
    fw_records_batch batch = {0};
    fw_status status = read_name(c->request, &batch.name, &batch.first, &error);
    if (status == FW_OK && !body) status = fw_fail(&error, FW_INVALID, "the batch has no records");
    if (status == FW_OK && body->too_long)
        status = fw_fail(&error, FW_TOO_BIG, "the batch is longer than declared or than %d bytes",
                         FW_RECORDS_PAYLOAD_MAX);
    if (status == FW_OK) {
        batch.payload = body->bytes;
        batch.payload_bytes = body->size;
        status = check_understood(&batch, &error);
    }
    if (status == FW_OK) status = fw_records_append(c->factory->records, &batch, &ack, &error);
    if (status == FW_OK)
        answer_ack(c, &ack);
    else
        answer_not_taken(c, status, &ack, &error);
}

/* ---- GET ---- */

static fw_status read_number(const fw_http_request *request, const char *name, uint64_t otherwise,
                             uint64_t *out, fw_error *error) {
    const char *text = request->query(request->native, name);
    *out = otherwise;
    if (!text) return FW_OK;
    if (!fw_http_parse_number(&text, out) || *text)
        return fw_fail(error, FW_INVALID, "%s= is no number", name);
    return FW_OK;
}

void fw_api_records_get(const fw_api_call *c) {
    const fw_http_request *request = c->request;
    fw_error error = {""};
    char *lines = NULL, number[32];
    size_t bytes = 0;
    uint64_t since, limit, next = 0;
    bool more = false;
    fw_records_query q = {.unit = request->query(request->native, "unit"),
                          .stream = request->query(request->native, "stream")};
    fw_status status = read_number(request, "since", 0, &since, &error);
    if (status == FW_OK)
        status = read_number(request, "limit", FW_RECORDS_READ_DEFAULT, &limit, &error);
    if (status == FW_OK && limit == 0) status = fw_fail(&error, FW_INVALID, "limit= is 1 or more");
    if (status == FW_OK) {
        q.since = since;
        q.limit = limit < FW_RECORDS_READ_MAX ? (uint32_t)limit : FW_RECORDS_READ_MAX;
        status = fw_records_read(c->factory->records, &q, &lines, &bytes, &next, &more, &error);
    }
    if (status != FW_OK) {
        fw_answer_failure(c->response, status, &error);
        return;
    }
    c->response->status = 200;
    c->response->content_type = "application/x-ndjson";
    c->response->body = lines;
    c->response->body_bytes = bytes;
    snprintf(number, sizeof number, "%" PRIu64, next);
    fw_http_add_header(c->response, "Flywheel-Next", number);
    fw_http_add_header(c->response, "Flywheel-More", more ? "yes" : "no");
    fw_http_add_header(c->response, "Cache-Control", "no-store");
}

/* ---- metrics ---- */

typedef struct counted {
    fw_metrics_text *out;
    const char *name, *label;
} counted;

static bool take_counted(void *self, sqlite3_stmt *row) {
    counted *k = self;
    fw_metrics_line(k->out, k->name, k->label, fw_db_column(row, 0),
                    sqlite3_column_double(row, 1));
    return true;
}

static fw_status write_counted(sqlite3 *db, fw_metrics_text *out, const char *name,
                               const char *label, const char *help, const char *sql,
                               fw_error *error) {
    counted k = {out, name, label};
    fw_metrics_head(out, name, "gauge", help);
    return fw_db_each(db, error, take_counted, &k, sql, "");
}

static fw_status write_catalogue(fw_factory *f, fw_metrics_text *out, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(f->catalogue);
    fw_status status = write_counted(db, out, "flywheel_recordings", "state",
                                     "Recordings in the catalogue, by state",
                                     "SELECT state,count(*) FROM objects WHERE kind='recording' "
                                     "GROUP BY state",
                                     error);
    if (status == FW_OK)
        status = write_counted(db, out, "flywheel_generations", "stage",
                               "Generations, by stage",
                               "SELECT stage,count(*) FROM generations GROUP BY stage", error);
    if (status == FW_OK)
        status = write_counted(db, out, "flywheel_objects_bytes", "kind",
                               "Bytes of objects kept, by kind",
                               "SELECT kind,sum(size_bytes) FROM objects WHERE state='kept' "
                               "GROUP BY kind",
                               error);
    fw_catalogue_read_end(f->catalogue);
    return status;
}

static void write_state(fw_factory *f, fw_metrics_text *out) {
    fw_records_state records = fw_records_state_of(f->records);
    fw_units_share units = fw_units_share_of(&f->units, "");
    fw_job_progress job = fw_generations_progress(&f->generations);
    const struct {
        const char *name, *help;
        double value;
    } gauges[] = {
        {"flywheel_disk_used_bytes", "What counts under the disk cap",
         (double)fw_ingest_used_bytes(&f->ingest)},
        {"flywheel_disk_cap_bytes", "The disk cap", (double)f->ingest.disk_cap_bytes},
        {"flywheel_units", "Units that ever reported", units.known},
        {"flywheel_units_recent", "Units that reported in the last 60 s", units.recent},
        {"flywheel_job_running", "1 while a job trains or gates", job.running},
        {"flywheel_records_sequence", "The newest record's number", (double)records.sequence},
        {"flywheel_records_segments", "Segment files of records", (double)records.segments},
        {"flywheel_records_bytes", "Bytes of records that count under the disk cap",
         (double)records.bytes},
        {"flywheel_records_streams", "Streams of records held in memory",
         (double)records.cached_streams},
        {"flywheel_records_damaged_bytes", "Bytes of records found damaged when opened",
         (double)records.damaged_bytes},
        {"flywheel_records_failures", "Segments of records closed after a failed write or flush",
         (double)records.failures},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        fw_metrics_one(out, gauges[i].name, "gauge", gauges[i].help, gauges[i].value);
}

void fw_api_metrics_get(const fw_api_call *c) {
    fw_error error = {""};
    fw_metrics_text out = {0};
    fw_metrics_write(&c->factory->metrics, &out);
    write_state(c->factory, &out);
    fw_status status = write_catalogue(c->factory, &out, &error);
    if (status == FW_OK && out.failed)
        status = fw_fail(&error, FW_NO_MEMORY, "no memory for the metrics");
    if (status != FW_OK) {
        free(out.text);
        fw_answer_failure(c->response, status, &error);
        return;
    }
    c->response->status = 200;
    c->response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    c->response->body = out.text;
    c->response->body_bytes = out.size;
    fw_http_add_header(c->response, "Cache-Control", "no-store");
}
