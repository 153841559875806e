#include "factory/ingest/ingest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "factory/api/answers.h"
#include "factory/ingest/clock.h"
#include "factory/catalogue/recordings.h"
#include "factory/catalogue/scan.h"
#include "http/range.h"

enum {
    UNIT_MAX = 32,
    RETRY_BUSY_S = 1,
    WRITE_BYTES = 1 << 18,
    BEGIN_BYTES = 4 << 20 /* the disk begins with so much at a time */
};

/* One PUT under way. */
struct fw_upload {
    fw_hash hash;
    char kind[FW_LINE_KIND_MAX], unit[UNIT_MAX];
    fw_recording_clock clock;
    int fd;
    fw_sha256 *sha;
    pthread_mutex_t lock; /* guards buffer and what it is written to; taken inside the ingest's */
    uint8_t *buffer;      /* (WRITE_BYTES): received and hashed, not yet written */
    size_t buffered;
    uint64_t begun; /* up to where the disk was told to write */
    uint64_t offset, received, total; /* total UINT64_MAX: not declared */
    uint64_t reserved_bytes;          /* what it may still take of the cap; the ingest's lock */
    bool repeat;                      /* already whole: the body is read and dropped */
    bool had_part;                    /* a part lay there when it began */
    int refused;                      /* HTTP status of the reason in error, 0: none */
    fw_error error;
    fw_upload *next;
};

static void enter_group(void *self, fw_group_item *items);

void fw_ingest_init(fw_ingest *ingest, const fw_env *env, fw_catalogue *catalogue,
                    const fw_objects *objects, const fw_factory_line *line,
                    uint64_t upload_max_bytes, uint64_t disk_cap_bytes) {
    *ingest = (fw_ingest){.env = env,
                          .catalogue = catalogue,
                          .objects = objects,
                          .line = line,
                          .upload_max_bytes = upload_max_bytes,
                          .disk_cap_bytes = disk_cap_bytes,
                          .uploads_max = FW_INGEST_UPLOADS_MAX};
    fw_group_init(&ingest->group, FW_INGEST_GROUP_MAX, SIZE_MAX, enter_group, ingest);
    pthread_mutex_init(&ingest->lock, NULL);
    pthread_mutex_init(&ingest->scan_lock, NULL);
}

void fw_ingest_destroy(fw_ingest *ingest) {
    fw_group_destroy(&ingest->group);
    pthread_mutex_destroy(&ingest->lock);
    pthread_mutex_destroy(&ingest->scan_lock);
}

bool fw_unit_name_valid(const char *unit) {
    size_t size = unit ? strlen(unit) : 0;
    return size > 0 && size < UNIT_MAX &&
           strspn(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

static void respond_offset(fw_http_response *response, uint64_t offset) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, offset);
    fw_http_add_header(response, "Upload-Offset", text);
}

/* ---- room ---- */

typedef struct victim {
    char sha256[FW_HASH_HEX + 1];
    int64_t size_bytes;
    bool found;
} victim;

static bool take_victim(void *self, sqlite3_stmt *row) {
    victim *v = self;
    snprintf(v->sha256, sizeof v->sha256, "%s", fw_db_column(row, 0));
    v->size_bytes = sqlite3_column_int64(row, 1);
    v->found = true;
    return false;
}

/* Marks the next recording that may go; the bytes follow after the commit. */
static fw_status expire_one(fw_ingest *ingest, victim *v, fw_error *error) {
    sqlite3 *db = fw_catalogue_begin(ingest->catalogue, error);
    if (!db) return FW_IO;
    *v = (victim){.found = false};
    fw_status status = fw_db_each(
        db, error, take_victim, v,
        "SELECT o.sha256,o.size_bytes FROM objects o JOIN recordings r ON r.sha256=o.sha256 "
        "WHERE o.state='kept' AND (r.role='train' OR r.form<>'drive' OR r.line<>'driving' OR o.sequence<(SELECT held_out_since FROM "
        "datasets ORDER BY generation DESC LIMIT 1)) AND (r.generation IS NULL OR NOT EXISTS("
        "SELECT 1 FROM generations WHERE stage IN('dataset','train','gate'))) "
        "ORDER BY r.role='train',r.events>0,o.sequence LIMIT 1",
        "");
    if (status == FW_OK && v->found)
        status = fw_db_run(db, error, "UPDATE objects SET state='expired' WHERE sha256=?", "t",
                           v->sha256);
    return fw_catalogue_end(ingest->catalogue, status, error);
}

/* A part that nobody uploads just now. The ingest's lock is held. */
static bool add_idle_part(void *self, const char *sha256, uint64_t size_bytes) {
    fw_ingest *ingest = self;
    for (const fw_upload *u = ingest->active; u; u = u->next)
        if (strcmp(u->hash.hex, sha256) == 0) return true;
    ingest->idle_parts_bytes += size_bytes;
    return true;
}

/* Bytes promised to uploads and lying in parts. afresh: look at the folder again. */
static uint64_t uploads_bytes(fw_ingest *ingest, bool afresh) {
    pthread_mutex_lock(&ingest->lock);
    if (afresh || !ingest->idle_parts_known) {
        ingest->idle_parts_bytes = 0;
        fw_objects_each_part(ingest->objects, add_idle_part, ingest);
        ingest->idle_parts_known = true;
    }
    uint64_t bytes = ingest->idle_parts_bytes;
    for (const fw_upload *u = ingest->active; u; u = u->next) bytes += u->reserved_bytes;
    pthread_mutex_unlock(&ingest->lock);
    return bytes;
}

/* Objects that are kept, and the catalogue's own pages. */
static fw_status kept_bytes(fw_ingest *ingest, uint64_t *out, fw_error *error) {
    int64_t objects = 0, pages = 0, page_bytes = 0;
    sqlite3 *db = fw_catalogue_read(ingest->catalogue);
    fw_status status =
        fw_db_int(db, error, &objects,
                  "SELECT coalesce(sum(size_bytes),0) FROM objects WHERE state='kept'", "");
    if (status == FW_OK) status = fw_db_int(db, error, &pages, "PRAGMA page_count", "");
    if (status == FW_OK) status = fw_db_int(db, error, &page_bytes, "PRAGMA page_size", "");
    fw_catalogue_read_end(ingest->catalogue);
    uint64_t others = ingest->other_bytes ? ingest->other_bytes(ingest->other_self) : 0;
    if (status == FW_OK) *out = (uint64_t)objects + (uint64_t)(pages * page_bytes) + others;
    return status;
}

uint64_t fw_ingest_used_bytes(fw_ingest *ingest) {
    uint64_t used = 0;
    fw_error error;
    return kept_bytes(ingest, &used, &error) == FW_OK ? used + uploads_bytes(ingest, false) : 0;
}

fw_status fw_ingest_make_room(fw_ingest *ingest, uint64_t wanted_bytes, fw_error *error) {
    uint64_t used = 0;
    FW_TRY(kept_bytes(ingest, &used, error));
    uint64_t cap = ingest->disk_cap_bytes, uploads = uploads_bytes(ingest, false);
    if (used + uploads + wanted_bytes > cap) uploads = uploads_bytes(ingest, true);
    used += uploads;
    while (used + wanted_bytes > cap) {
        victim v;
        FW_TRY(expire_one(ingest, &v, error));
        if (!v.found)
            return fw_fail(error, FW_NO_SPACE,
                           "the recordings that must be kept and the uploads under way fill the "
                           "disk cap of %" PRIu64 " bytes; raise --disk-cap-bytes",
                           cap);
        fw_objects_remove(ingest->objects, v.sha256);
        used -= (uint64_t)v.size_bytes;
    }
    return FW_OK;
}

/* ---- opening ---- */

typedef struct object_row {
    bool found, expired, erased;
    int64_t size_bytes, received_ns, sequence;
} object_row;

static bool take_object(void *self, sqlite3_stmt *row) {
    object_row *o = self;
    o->found = true;
    o->size_bytes = sqlite3_column_int64(row, 0);
    o->received_ns = sqlite3_column_int64(row, 1);
    o->sequence = sqlite3_column_int64(row, 2);
    o->expired = strcmp(fw_db_column(row, 3), "expired") == 0;
    o->erased = strcmp(fw_db_column(row, 3), "erased") == 0;
    return false;
}

static fw_status find_object(sqlite3 *db, const char *sha256, object_row *out, fw_error *error) {
    *out = (object_row){0};
    return fw_db_each(db, error, take_object, out,
                      "SELECT size_bytes,received_ns,sequence,state FROM objects WHERE sha256=?",
                      "t", sha256);
}

static fw_status look_up(fw_ingest *ingest, const char *sha256, object_row *out, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(ingest->catalogue);
    fw_status status = find_object(db, sha256, out, error);
    fw_catalogue_read_end(ingest->catalogue);
    return status;
}

static void respond_receipt(fw_http_response *response, int status, const char *sha256,
                            const object_row *row) {
    json_t *json = json_pack("{s:s,s:I,s:I,s:I}", "sha256", sha256, "size_bytes",
                             (json_int_t)row->size_bytes, "server_time_ns",
                             (json_int_t)row->received_ns, "sequence", (json_int_t)row->sequence);
    if (row->expired) json_object_set_new(json, "expired", json_true());
    fw_http_respond_json(response, status, json_dumps(json, JSON_COMPACT));
    respond_offset(response, (uint64_t)row->size_bytes);
    json_decref(json);
}

/* Where the body starts and how long the whole is. */
static fw_status parse_extent(const fw_http_request *request, uint64_t *offset, uint64_t *total,
                              fw_error *error) {
    const char *range = request->header(request->native, "Content-Range");
    const char *length = request->header(request->native, "Content-Length");
    uint64_t last, body = UINT64_MAX;
    *offset = 0;
    *total = UINT64_MAX;
    if (length && (!fw_http_parse_number(&length, &body) || *length))
        return fw_fail(error, FW_INVALID, "Content-Length is no number");
    if (!range) {
        *total = body;
        return FW_OK;
    }
    if (!fw_http_parse_content_range(range, offset, &last, total) ||
        (body != UINT64_MAX && body != last - *offset + 1))
        return fw_fail(error, FW_INVALID, "Content-Range must be \"bytes FIRST-LAST/TOTAL\"");
    return FW_OK;
}

static fw_status parse_labels(const fw_http_request *request, fw_upload *upload, fw_error *error) {
    const char *kind = request->header(request->native, "Flywheel-Kind");
    const char *unit = request->header(request->native, "Flywheel-Unit");
    if (!kind) kind = "recording";
    if (strcmp(kind, "recording") != 0 && strcmp(kind, "model") != 0)
        return fw_fail(error, FW_INVALID, "Flywheel-Kind must be recording or model");
    bool recording = strcmp(kind, "recording") == 0;
    if ((recording || unit) && !fw_unit_name_valid(unit))
        return fw_fail(error, FW_INVALID,
                       "Flywheel-Unit must name the unit: 1 to %d of a-z A-Z 0-9 . _ -",
                       UNIT_MAX - 1);
    snprintf(upload->kind, sizeof upload->kind, "%s", kind);
    snprintf(upload->unit, sizeof upload->unit, "%s", unit ? unit : "");
    return FW_OK;
}

/* Takes the hash for this upload alone. FW_BUSY: another has it; FW_TIMEOUT: too many are open. */
static fw_status claim(fw_ingest *ingest, fw_upload *upload, fw_error *error) {
    fw_status status = FW_OK;
    pthread_mutex_lock(&ingest->lock);
    for (fw_upload *u = ingest->active; u && status == FW_OK; u = u->next)
        if (fw_hash_compare(&u->hash, &upload->hash) == 0)
            status = fw_fail(error, FW_BUSY, "another upload of this file is under way");
    if (status == FW_OK && ingest->open_count >= ingest->uploads_max)
        status = fw_fail(error, FW_TIMEOUT, "%u uploads are under way, the limit; try again",
                         ingest->open_count);
    if (status == FW_OK) {
        upload->next = ingest->active;
        ingest->active = upload;
        ingest->open_count++;
    }
    pthread_mutex_unlock(&ingest->lock);
    return status;
}

static void unclaim(fw_ingest *ingest, const fw_upload *upload) {
    pthread_mutex_lock(&ingest->lock);
    for (fw_upload **u = &ingest->active; *u; u = &(*u)->next) {
        if (*u != upload) continue;
        *u = upload->next;
        ingest->open_count--;
        if (upload->had_part || fw_objects_part_bytes(ingest->objects, upload->hash.hex) > 0)
            ingest->idle_parts_known = false; /* a part more, or one less */
        break;
    }
    pthread_mutex_unlock(&ingest->lock);
}

static void reserve(fw_ingest *ingest, fw_upload *upload, uint64_t size_bytes) {
    pthread_mutex_lock(&ingest->lock);
    upload->reserved_bytes = size_bytes;
    pthread_mutex_unlock(&ingest->lock);
}

static void add_to_hash(void *self, const void *bytes, size_t size_bytes) {
    fw_sha256_add(self, bytes, size_bytes);
}

/* Opens the part at the upload's offset and brings the hash up to there. */
static fw_status open_part(fw_ingest *ingest, fw_upload *upload, fw_error *error) {
    upload->sha = fw_sha256_try();
    upload->buffer = malloc(WRITE_BYTES);
    if (!upload->sha || !upload->buffer) return fw_fail(error, FW_NO_MEMORY, "no memory for an upload");
    return fw_objects_part_open(ingest->objects, upload->hash.hex, upload->offset, add_to_hash,
                                upload->sha, &upload->fd, error);
}

/* Limits and room, before a byte is taken. An offset that does not fit sets response itself. */
static fw_status admit(fw_ingest *ingest, fw_upload *upload, fw_http_response *response,
                       fw_error *error) {
    if (upload->total != UINT64_MAX && upload->total > ingest->upload_max_bytes)
        return fw_fail(error, FW_TOO_BIG, "the file has %" PRIu64 " bytes, the limit is %" PRIu64,
                       upload->total, ingest->upload_max_bytes);
    uint64_t have = fw_objects_part_bytes(ingest->objects, upload->hash.hex);
    upload->had_part = have > 0;
    if (upload->offset > have) {
        FW_TRY(fw_objects_part_durable(ingest->objects, upload->hash.hex, &have, error));
        fw_http_respond_error(response, 409, "the upload stands at %" PRIu64 " bytes, resume there",
                              have);
        respond_offset(response, have);
        return FW_MISMATCH;
    }
    reserve(ingest, upload,
            upload->total == UINT64_MAX ? ingest->upload_max_bytes : upload->total);
    return fw_ingest_make_room(ingest, 0, error);
}

static void count(fw_ingest *ingest, size_t offset) {
    if (ingest->metrics)
        fw_metrics_add((atomic_uint_fast64_t *)((char *)ingest->metrics + offset), 1);
}
#define COUNT(ingest, counter) count(ingest, offsetof(fw_metrics, counter))

/* What the headers say. */
static fw_status read_headers(fw_ingest *ingest, const char *sha256,
                              const fw_http_request *request, fw_upload *upload, fw_error *error) {
    FW_TRY(fw_hash_parse(sha256, &upload->hash, error));
    FW_TRY(parse_labels(request, upload, error));
    FW_TRY(fw_clock_parse(request->header(request->native, "Flywheel-Clock"),
                          fw_env_wall_ns(ingest->env), &upload->clock, error));
    return parse_extent(request, &upload->offset, &upload->total, error);
}

static void free_upload(fw_upload *upload) {
    if (upload->fd >= 0) close(upload->fd);
    if (upload->sha) (void)fw_sha256_end(upload->sha);
    pthread_mutex_destroy(&upload->lock);
    free(upload->buffer);
    free(upload);
}

/* Refused before a byte was taken. */
static void give_up(fw_ingest *ingest, fw_upload *upload, bool claimed, fw_status status,
                    const fw_error *error, fw_http_response *response) {
    if (!response->status && status == FW_TIMEOUT)
        fw_answer_retry(response, 429, RETRY_BUSY_S, error->text);
    else if (!response->status)
        fw_answer_failure(response, status, error);
    if (response->status < 500)
        COUNT(ingest, uploads_refused);
    else
        COUNT(ingest, uploads_failed);
    if (claimed) unclaim(ingest, upload);
    free_upload(upload);
}

fw_upload *fw_ingest_open(fw_ingest *ingest, const char *sha256, const fw_http_request *request,
                          fw_http_response *response) {
    fw_error error = {""};
    object_row row;
    fw_upload *upload = calloc(1, sizeof *upload);
    if (!upload) {
        fw_answer_retry(response, 503, RETRY_BUSY_S, "no memory for an upload");
        return NULL;
    }
    upload->fd = -1;
    pthread_mutex_init(&upload->lock, NULL);
    fw_status status = read_headers(ingest, sha256, request, upload, &error);
    if (status == FW_OK) status = claim(ingest, upload, &error);
    bool claimed = status == FW_OK;
    if (status == FW_OK) status = look_up(ingest, sha256, &row, &error);
    if (status == FW_OK && row.erased)
        status = fw_fail(&error, FW_ERASED, "erased: recording %s", sha256);
    if (status == FW_OK) upload->repeat = row.found;
    if (status == FW_OK && !row.found) status = admit(ingest, upload, response, &error);
    if (status == FW_OK && !row.found) status = open_part(ingest, upload, &error);
    if (status == FW_OK) {
        if (ingest->metrics) fw_metrics_add(&ingest->metrics->uploads_open, 1);
        return upload;
    }
    give_up(ingest, upload, claimed, status, &error, response);
    return NULL;
}

/* ---- the body ---- */

static void refuse(fw_upload *upload, int code, const char *text) {
    upload->refused = code;
    if (text) fw_fail(&upload->error, FW_INVALID, "%s", text);
}

/* Writes what is buffered, and lets the disk begin with it. The upload's lock is held. */
static bool write_out(fw_ingest *ingest, fw_upload *upload) {
    size_t size = upload->buffered;
    upload->buffered = 0;
    if (size == 0) return true;
    fw_status status = fw_file_write_all(ingest->env, upload->fd, upload->buffer, size,
                                         "the upload", &upload->error);
    if (status != FW_OK) {
        refuse(upload, fw_answer_status(status), NULL);
        return false;
    }
    uint64_t end = upload->offset + upload->received;
    if (end - upload->begun < BEGIN_BYTES) return true;
    (void)sync_file_range(upload->fd, (off_t)upload->begun, (off_t)(end - upload->begun),
                          SYNC_FILE_RANGE_WRITE);
    upload->begun = end;
    return true;
}

/* The same, with the lock, unless the upload is refused. */
static void write_rest(fw_ingest *ingest, fw_upload *upload) {
    pthread_mutex_lock(&upload->lock);
    if (!upload->refused) (void)write_out(ingest, upload);
    pthread_mutex_unlock(&upload->lock);
}

/* What has come so far of an upload under way is written, so that its offset can be told. */
static void write_active(fw_ingest *ingest, const char *sha256) {
    pthread_mutex_lock(&ingest->lock);
    for (fw_upload *u = ingest->active; u; u = u->next)
        if (strcmp(u->hash.hex, sha256) == 0) write_rest(ingest, u);
    pthread_mutex_unlock(&ingest->lock);
}

/* Its part was given up under an upload under way: that one has to come again too. */
static void refuse_active(fw_ingest *ingest, const char *sha256, const fw_error *error) {
    pthread_mutex_lock(&ingest->lock);
    for (fw_upload *u = ingest->active; u; u = u->next) {
        if (strcmp(u->hash.hex, sha256) != 0) continue;
        pthread_mutex_lock(&u->lock);
        refuse(u, 500, error->text);
        pthread_mutex_unlock(&u->lock);
    }
    pthread_mutex_unlock(&ingest->lock);
}

static bool take_piece(fw_ingest *ingest, fw_upload *upload, const void *bytes,
                       size_t size_bytes) {
    if (upload->refused) return false;
    uint64_t at = upload->offset + upload->received;
    uint64_t limit =
        upload->total < ingest->upload_max_bytes ? upload->total : ingest->upload_max_bytes;
    if (at > limit || size_bytes > limit - at) {
        refuse(upload, 413, "the body is longer than declared or than the limit");
        return false;
    }
    fw_sha256_add(upload->sha, bytes, size_bytes);
    if (ingest->metrics) fw_metrics_add(&ingest->metrics->upload_bytes, size_bytes);
    const uint8_t *from = bytes;
    while (size_bytes > 0) {
        size_t room = WRITE_BYTES - upload->buffered, piece = size_bytes < room ? size_bytes : room;
        memcpy(upload->buffer + upload->buffered, from, piece);
        upload->buffered += piece;
        upload->received += piece;
        from += piece;
        size_bytes -= piece;
        if (upload->buffered == WRITE_BYTES && !write_out(ingest, upload)) return false;
    }
    return true;
}

bool fw_ingest_write(fw_ingest *ingest, fw_upload *upload, const void *bytes, size_t size_bytes) {
    if (upload->repeat) return true;
    pthread_mutex_lock(&upload->lock);
    bool took = take_piece(ingest, upload, bytes, size_bytes);
    pthread_mutex_unlock(&upload->lock);
    return took;
}

/* ---- the end ---- */

/* A whole upload, durable and under its name, on its way into the catalogue. */
typedef struct entry {
    fw_group_item group; /* first */
    const fw_upload *upload;
    const fw_scan *scan;
    object_row row;
    fw_status status;
    fw_error error;
} entry;

static fw_status insert(fw_ingest *ingest, sqlite3 *db, entry *e) {
    const fw_upload *upload = e->upload;
    fw_error *error = &e->error;
    int64_t now_ns = fw_env_wall_ns(ingest->env);
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO objects(sha256,kind,size_bytes,received_ns) VALUES(?,?,?,?)",
                     "ttii", upload->hash.hex, upload->kind,
                     (int64_t)(upload->offset + upload->received), now_ns));
    if (strcmp(upload->kind, "recording") == 0)
        FW_TRY(fw_recordings_insert(db, upload->hash.hex, upload->unit, e->scan, &upload->clock,
                                    now_ns, error));
    return find_object(db, upload->hash.hex, &e->row, error);
}

/* One entry of a transaction; its failure leaves the others as they are. */
static fw_status insert_apart(fw_ingest *ingest, sqlite3 *db, entry *e) {
    FW_TRY(fw_db_script(db, &e->error, "SAVEPOINT entry"));
    fw_status status = insert(ingest, db, e);
    fw_error ignored;
    fw_status ended = fw_db_script(
        db, status == FW_OK ? &e->error : &ignored,
        status == FW_OK ? "RELEASE entry" : "ROLLBACK TO entry; RELEASE entry");
    return status == FW_OK ? ended : status;
}

static bool same_folder(const entry *a, const entry *b) {
    return strncmp(a->upload->hash.hex, b->upload->hash.hex, 2) == 0;
}

/* Flushes each folder once, whoever's names came into it. */
static void sync_folders(fw_ingest *ingest, fw_group_item *items) {
    for (fw_group_item *g = items; g; g = g->next) {
        entry *e = (entry *)g;
        const fw_group_item *before = items;
        while (before != g && !same_folder((const entry *)before, e)) before = before->next;
        const entry *first = (const entry *)before;
        if (first == e) {
            e->status = fw_objects_folder_sync(ingest->objects, e->upload->hash.hex, &e->error);
        } else {
            e->status = first->status;
            e->error = first->error;
        }
    }
}

/* Who finished together: the folders' flushes, then one transaction for all. */
static void enter_group(void *self, fw_group_item *items) {
    fw_ingest *ingest = self;
    fw_error error = {""};
    sync_folders(ingest, items);
    sqlite3 *db = fw_catalogue_begin(ingest->catalogue, &error);
    fw_status status = db ? FW_OK : FW_IO;
    for (fw_group_item *g = items; g && db; g = g->next) {
        entry *e = (entry *)g;
        if (e->status == FW_OK) e->status = insert_apart(ingest, db, e);
    }
    int64_t begun_ns = fw_env_mono_ns(ingest->env);
    if (db && ingest->ledger) status = fw_ledger_append(ingest->ledger, db, &error);
    if (db) status = fw_catalogue_end(ingest->catalogue, status, &error);
    if (ingest->metrics) {
        fw_metrics_flush(ingest->metrics, fw_env_mono_ns(ingest->env) - begun_ns);
        fw_metrics_add(&ingest->metrics->upload_commits, 1);
    }
    for (fw_group_item *g = items; g; g = g->next) {
        entry *e = (entry *)g;
        if (e->status != FW_OK || status == FW_OK) continue;
        e->status = status;
        e->error = error;
    }
}

/* Flushed, named, and in the catalogue together with whoever else is so far. */
static fw_status enter(fw_ingest *ingest, const fw_upload *upload, const fw_scan *scan,
                       object_row *row, fw_error *error) {
    entry e = {.upload = upload, .scan = scan};
    FW_TRY(fw_objects_part_sync(ingest->objects, upload->hash.hex, upload->fd, error));
    FW_TRY(fw_objects_name(ingest->objects, upload->hash.hex, error));
    if (!fw_group_run(&ingest->group, &e.group, 1))
        return fw_fail(error, FW_BUSY, "too many uploads end at once");
    if (e.status == FW_OK)
        *row = e.row;
    else
        *error = e.error;
    return e.status;
}

static fw_status check_content(fw_ingest *ingest, fw_upload *upload, fw_scan *scan,
                               fw_error *error) {
    char path[FW_PATH_MAX], kind[FW_LINE_KIND_MAX];
    fw_objects_part_path(ingest->objects, upload->hash.hex, path);
    pthread_mutex_lock(&ingest->scan_lock);
    fw_status status = strcmp(upload->kind, "recording") == 0
                           ? fw_scan_recording(path, ingest->line, scan, error)
                           : ingest->line->check_model(path, kind, error);
    pthread_mutex_unlock(&ingest->scan_lock);
    if (fw_json_short()) return fw_fail(error, FW_NO_MEMORY, "no memory to look through an upload");
    if (status == FW_OK && strcmp(upload->kind, "recording") == 0)
        status = fw_scan_check_unit(scan, upload->unit, error);
    if (status == FW_INVALID || status == FW_TOO_BIG || status == FW_END || status == FW_NOT_FOUND)
        status = FW_CORRUPT; /* the content's fault, not the request's */
    return status;
}

static fw_status check_hash(fw_upload *upload, fw_error *error) {
    fw_hash got = fw_sha256_end(upload->sha);
    upload->sha = NULL;
    if (fw_hash_compare(&got, &upload->hash) == 0) return FW_OK;
    return fw_fail(error, FW_MISMATCH, "the bytes have SHA-256 %s, not the name they came under",
                   got.hex);
}

/* A whole body is in: hash, content, durability, catalogue; in this order. */
static void complete(fw_ingest *ingest, fw_upload *upload, fw_http_response *response) {
    fw_error error = {""};
    fw_scan scan = {0};
    object_row row;
    fw_status status = check_hash(upload, &error);
    if (status == FW_MISMATCH && upload->offset > 0) { /* the old part may be what is wrong */
        fw_objects_part_remove(ingest->objects, upload->hash.hex);
        fw_http_respond_error(response, 409, "the resumed upload does not match; send it whole");
        respond_offset(response, 0);
        return;
    }
    if (status == FW_OK) status = check_content(ingest, upload, &scan, &error);
    if (status == FW_OK) status = enter(ingest, upload, &scan, &row, &error);
    fw_scan_clear(&scan);
    if (status == FW_OK) {
        reserve(ingest, upload, 0); /* it counts as an object now */
        respond_receipt(response, 201, upload->hash.hex, &row);
        return;
    }
    int code = fw_answer_status(status);
    if (code == 422) {
        fw_objects_part_remove(ingest->objects, upload->hash.hex);
        fw_log_warn("refused %s %.12s of unit %s: %s", upload->kind, upload->hash.hex,
                    upload->unit[0] ? upload->unit : "-", error.text);
    }
    fw_answer_failure(response, status, &error);
}

/* The body ended before the file did: what there is now is flushed before it is told. */
static void answer_part(fw_ingest *ingest, fw_upload *upload, uint64_t have,
                        fw_http_response *response) {
    fw_error error = {""};
    fw_status status =
        fw_objects_part_sync(ingest->objects, upload->hash.hex, upload->fd, &error);
    if (status != FW_OK) {
        fw_answer_failure(response, status, &error);
        return;
    }
    fw_http_respond_json(response, 202, strdup("{\"complete\":false}"));
    respond_offset(response, have);
}

static void finish(fw_ingest *ingest, fw_upload *upload, fw_http_response *response) {
    object_row row;
    fw_error error = {""};
    if (upload->repeat) {
        fw_status status = look_up(ingest, upload->hash.hex, &row, &error);
        if (status == FW_OK)
            respond_receipt(response, 200, upload->hash.hex, &row);
        else
            fw_answer_failure(response, status, &error);
        return;
    }
    uint64_t have = upload->offset + upload->received;
    write_rest(ingest, upload);
    if (upload->refused == 507) {
        fw_answer_failure(response, FW_NO_SPACE, &upload->error);
    } else if (upload->refused) {
        if (upload->refused == 413) fw_objects_part_remove(ingest->objects, upload->hash.hex);
        fw_http_respond_error(response, upload->refused, "%s", upload->error.text);
    } else if (upload->total != UINT64_MAX && have < upload->total) {
        answer_part(ingest, upload, have, response);
    } else {
        complete(ingest, upload, response);
    }
}

void fw_ingest_finish(fw_ingest *ingest, fw_upload *upload, fw_http_response *response) {
    finish(ingest, upload, response);
    switch (response->status) {
    case 200:
        COUNT(ingest, uploads_repeated);
        break;
    case 201:
        COUNT(ingest, uploads_whole);
        break;
    case 202:
        COUNT(ingest, uploads_part);
        break;
    default:
        if (response->status < 500)
            COUNT(ingest, uploads_refused);
        else
            COUNT(ingest, uploads_failed);
    }
}

void fw_ingest_close(fw_ingest *ingest, fw_upload *upload) {
    if (!upload) return;
    if (ingest->metrics) atomic_fetch_sub(&ingest->metrics->uploads_open, 1);
    write_rest(ingest, upload); /* what came may be resumed */
    unclaim(ingest, upload);
    free_upload(upload);
}

/* ---- reading ---- */

/* Never public: who may have it was asked. Asked again each time: it may be erased. */
static void respond_file(const fw_ingest *ingest, const char *sha256, fw_http_response *response) {
    char tag[FW_HASH_HEX + 3];
    snprintf(tag, sizeof tag, "\"%s\"", sha256);
    response->content_type = "application/octet-stream";
    fw_objects_path(ingest->objects, sha256, response->file_path);
    fw_http_add_header(response, "ETag", tag);
    fw_http_add_header(response, "Cache-Control", "private, no-cache");
}

void fw_ingest_head(fw_ingest *ingest, const char *sha256, fw_http_response *response) {
    fw_error error = {""};
    object_row row;
    fw_status status = look_up(ingest, sha256, &row, &error);
    if (status != FW_OK) {
        fw_answer_failure(response, status, &error);
        return;
    }
    uint64_t part = 0;
    if (!row.found) write_active(ingest, sha256);
    if (!row.found) status = fw_objects_part_durable(ingest->objects, sha256, &part, &error);
    if (status != FW_OK) {
        refuse_active(ingest, sha256, &error);
        fw_answer_failure(response, status, &error);
        return;
    }
    response->status = row.expired || row.erased ? 410 : row.found ? 200 : part > 0 ? 202 : 404;
    if (response->status == 200) respond_file(ingest, sha256, response);
    respond_offset(response, row.found ? (uint64_t)row.size_bytes : part);
}

void fw_ingest_get(fw_ingest *ingest, const char *sha256, fw_http_response *response) {
    fw_error error = {""};
    object_row row;
    fw_status status = look_up(ingest, sha256, &row, &error);
    if (status != FW_OK) {
        fw_answer_failure(response, status, &error);
    } else if (!row.found) {
        fw_http_respond_error(response, 404, "no object %s", sha256);
    } else if (row.erased) {
        fw_http_respond_error(response, 410, "erased: object %s", sha256);
    } else if (row.expired) {
        fw_http_respond_error(response, 410, "object %s was expired under the disk cap", sha256);
    } else {
        response->status = 200;
        respond_file(ingest, sha256, response);
    }
}
