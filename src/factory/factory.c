#include "factory/factory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/json.h"
#include "factory/api/api_erase.h"
#include "factory/api/api_query.h"
#include "factory/custody/retention.h"
#include "factory/registry/release.h"

/* ---- life ---- */

fw_status fw_factory_lock(const char *data_folder, int *out, fw_error *error) {
    char path[FW_PATH_MAX], text[32] = "";
    fw_path_join(path, sizeof path, data_folder, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return fw_fail_errno(error, "cannot write in the data folder %s", data_folder);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t got = pread(fd, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        close(fd);
        return fw_fail(error, FW_BUSY,
                       "data folder %s is in use by another flywheel serve (process %ld); stop it "
                       "or choose another folder (--data)",
                       data_folder, strtol(text, NULL, 10));
    }
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size) {
        fw_status status = fw_fail_errno(error, "cannot write in the data folder %s", data_folder);
        close(fd);
        return status;
    }
    *out = fd;
    return FW_OK;
}

static void wire_generations(fw_factory *f) {
    f->registry = (fw_registry){.env = f->config.env,
                                .catalogue = f->catalogue,
                                .objects = &f->objects,
                                .line = f->config.line,
                                .trust = f->trust};
    f->generations = (fw_generations){.env = f->config.env,
                                      .catalogue = f->catalogue,
                                      .objects = &f->objects,
                                      .units = &f->units,
                                      .registry = &f->registry,
                                      .rollouts = f->rollouts,
                                      .line = f->config.line,
                                      .launcher = f->config.launcher,
                                      .data_folder = f->config.data_folder,
                                      .program = f->config.program,
                                      .threads = f->config.threads,
                                      .limits = {FW_DATASET_NEWEST, FW_DATASET_EVENTFUL,
                                                 FW_DATASET_HELD_OUT}};
}

static fw_status records_room(void *self, uint64_t bytes, fw_error *error) {
    return fw_ingest_make_room(&((fw_factory *)self)->ingest, bytes, error);
}

/* The batch's last record is its stream's newest. */
static void records_taken(void *self, const fw_records_frame *frame) {
    const char *payload = (const char *)frame->payload;
    size_t size = frame->payload_bytes;
    if (payload[size - 1] == '\n') size--;
    const char *before = memrchr(payload, '\n', size);
    const char *record = before ? before + 1 : payload;
    fw_units_note(&((fw_factory *)self)->units, frame->name.unit, frame->name.stream, record,
                  (size_t)(payload + size - record), frame->time_ns);
}

static fw_status records_save(void *self, sqlite3 *db, fw_error *error) {
    return fw_units_save_notes(&((fw_factory *)self)->units, db, error);
}

static uint64_t records_bytes(void *self) {
    return fw_records_bytes(((fw_factory *)self)->records);
}

/* After the units: opening tells them what was read. A quarter of the disk cap at most is theirs. */
static fw_status open_records(fw_factory *f, fw_error *error) {
    uint64_t share = f->ingest.disk_cap_bytes / 4;
    const fw_records_config config = {
        .env = f->config.env,
        .catalogue = f->catalogue,
        .data_folder = f->config.data_folder,
        .segment_bytes = share / 4 < FW_RECORDS_SEGMENT_BYTES ? share / 4 : 0,
        .max_bytes = share,
        .metrics = &f->metrics,
        .self = f,
        .room = records_room,
        .taken = records_taken,
        .save = records_save};
    FW_TRY(fw_records_open(&config, &f->records, error));
    f->ingest.other_bytes = records_bytes;
    f->ingest.other_self = f;
    f->ingest.metrics = &f->metrics;
    f->ingest.ledger = &f->ledger;
    return FW_OK;
}

static fw_status release_again(void *self, const char *model, fw_error *error) {
    fw_factory *f = self;
    return f->registry.trust ? fw_registry_release(&f->registry, model, error) : FW_OK;
}

static fw_status assign(void *self, sqlite3 *db, const char *unit, const char *model, fw_error *error) {
    fw_hash hash;
    FW_TRY(fw_hash_parse(model, &hash, error));
    return fw_trust_assign(((fw_factory *)self)->trust, db, unit, &hash, error);
}

static fw_status open_rollouts(fw_factory *f, fw_error *error) {
    const fw_rollouts_config config = {.env = f->config.env,
                                       .catalogue = f->catalogue,
                                       .units = &f->units,
                                       .signer = {.self = f, .assign = assign, .release = release_again}};
    return fw_rollouts_open(&config, &f->rollouts, error);
}

static fw_status open_stations(fw_factory *f, fw_error *error) {
    const fw_factory_config *config = &f->config;
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, config->data_folder, "catalogue.sqlite");
    FW_TRY(fw_catalogue_open(path, &f->catalogue, error));
    FW_TRY(fw_identity_open(config->env, path, &f->identity, error));
    const fw_trust_config trust = {config->env, config->data_folder, f->catalogue};
    FW_TRY(fw_trust_open(&trust, &f->trust, error));
    FW_TRY(fw_objects_open(config->env, config->data_folder, &f->objects, error));
    FW_TRY(fw_ledger_open(config->env, config->data_folder, f->catalogue, &f->ledger, error));
    FW_TRY(fw_folder_sync(config->env, config->data_folder, error));
    FW_TRY(fw_units_open(&f->units, config->env, f->catalogue, error));
    fw_ingest_init(&f->ingest, config->env, f->catalogue, &f->objects, config->line,
                   config->upload_max_bytes ? config->upload_max_bytes
                                            : FW_FACTORY_UPLOAD_MAX_BYTES,
                   config->disk_cap_bytes ? config->disk_cap_bytes : FW_FACTORY_DISK_CAP_BYTES);
    fw_campaigns_open_station(&f->campaigns, config->env, f->catalogue, config->line);
    FW_TRY(open_records(f, error));
    FW_TRY(open_rollouts(f, error));
    wire_generations(f);
    FW_TRY(fw_retention_finish(f->catalogue, &f->objects, error));
    fw_eraser eraser = fw_factory_eraser(f);
    FW_TRY(fw_erase_resume(&eraser, error));
    return fw_generations_open(&f->generations, error);
}

fw_status fw_factory_open(const fw_factory_config *config, fw_factory **out, fw_error *error) {
    if (strlen(config->data_folder) > FW_PATH_MAX / 2)
        return fw_fail(error, FW_TOO_BIG, "the path of the data folder is too long");
    FW_TRY(fw_folder_make(config->data_folder, 0755, error));
    fw_json_start();
    fw_json_watch();
    fw_factory *f = calloc(1, sizeof *f);
    if (!f) return fw_fail(error, FW_NO_MEMORY, "no memory for the factory");
    f->config = *config;
    f->started_ns = fw_env_mono_ns(config->env);
    fw_status status = fw_factory_lock(config->data_folder, &f->lock_fd, error);
    if (status != FW_OK) {
        free(f);
        return status;
    }
    status = open_stations(f, error);
    if (status != FW_OK) {
        fw_rollouts_close(f->rollouts);
        fw_records_close(f->records);
        if (f->units.env) fw_units_close(&f->units);
        fw_campaigns_close(&f->campaigns);
        fw_trust_close(f->trust);
        fw_identity_close(f->identity);
        fw_ledger_close(&f->ledger);
        fw_catalogue_close(f->catalogue);
        close(f->lock_fd);
        free(f);
        return status;
    }
    *out = f;
    return FW_OK;
}

void fw_factory_close(fw_factory *f) {
    if (!f) return;
    fw_generations_close(&f->generations);
    fw_rollouts_close(f->rollouts);
    fw_records_close(f->records);
    fw_ingest_destroy(&f->ingest);
    fw_campaigns_close(&f->campaigns);
    fw_units_close(&f->units);
    fw_trust_close(f->trust);
    fw_identity_close(f->identity);
    fw_ledger_close(&f->ledger);
    fw_catalogue_close(f->catalogue);
    close(f->lock_fd);
    free(f);
}

fw_status fw_factory_tick(fw_factory *f, fw_error *error) {
    fw_json_watch();
    int64_t now_ns = fw_env_mono_ns(f->config.env);
    if (f->swept_ns == 0 || now_ns - f->swept_ns > FW_FACTORY_SWEEP_S * 1000000000LL) {
        f->swept_ns = now_ns;
        fw_objects_sweep(&f->objects, FW_FACTORY_PART_AGE_S);
        fw_slices_sweep(f->config.env, f->config.data_folder);
    }
    FW_TRY(fw_records_tick(f->records, error));
    if (f->retained_ns == 0 || now_ns - f->retained_ns > FW_RETENTION_EVERY_S * 1000000000LL) {
        int64_t count = 0;
        FW_TRY(fw_retention_apply(f->catalogue, &f->objects, f->config.env, &count, error));
        if (count < FW_RETENTION_STEP) f->retained_ns = now_ns; /* else there may be more */
    }
    FW_TRY(fw_trust_tick(f->trust, error));
    FW_TRY(fw_rollouts_tick(f->rollouts, error));
    return fw_generations_tick(&f->generations, error);
}

/* ---- status ---- */

static json_t *counts_json(fw_factory *f) {
    char *text = NULL;
    fw_error error;
    fw_status status = fw_catalogue_json(
        f->catalogue, &text, &error,
        "SELECT json_object('recordings',(SELECT count(*) FROM recordings),"
        "'bytes',(SELECT coalesce(sum(size_bytes),0) FROM objects WHERE kind='recording'),"
        "'objects_bytes',(SELECT coalesce(sum(size_bytes),0) FROM objects WHERE state='kept'),"
        "'expired',(SELECT count(*) FROM objects WHERE state='expired'),"
        "'events',(SELECT count(*) FROM events),'models',(SELECT count(*) FROM models),"
        "'champion',(SELECT value FROM settings WHERE name='champion'),"
        "'generation',(SELECT max(n) FROM generations),"
        "'stage',coalesce((SELECT CASE stage WHEN 'dataset' THEN 'curate' ELSE stage END FROM "
        "generations WHERE stage NOT IN('done','failed')),'idle'))");
    json_t *json = status == FW_OK ? fw_json_load_text(text) : NULL;
    free(text);
    return json;
}

static json_t *job_json(const fw_job_progress *p) {
    if (!p->running) return json_null();
    json_t *json = fw_generations_progress_json(p);
    json_object_set_new(json, "kind", json_string(p->job));
    json_object_set_new(json, "generation", json_integer(p->generation));
    json_object_set_new(json, "pid", json_integer(p->pid));
    json_object_set_new(json, "started_ns", json_integer(p->started_ns));
    if (isfinite(p->reward)) json_object_set_new(json, "reward", json_real(p->reward));
    return json;
}

char *fw_factory_status_json(fw_factory *f) {
    json_t *json = counts_json(f);
    if (!json) return NULL;
    const char *champion = json_string_value(json_object_get(json, "champion"));
    fw_job_progress progress = fw_generations_progress(&f->generations);
    fw_units_share share = fw_units_share_of(&f->units, champion ? champion : "");
    json_t *job = job_json(&progress);
    json_object_set_new(json, "version", json_string(FW_VERSION));
    json_object_set_new(json, "time_ns", json_integer(fw_env_wall_ns(f->config.env)));
    json_object_set_new(json, "uptime_s",
                        json_real((double)(fw_env_mono_ns(f->config.env) - f->started_ns) / 1e9));
    json_object_set_new(json, "confined", json_boolean(f->config.confined));
    json_object_set_new(json, "disk_cap_bytes", json_integer((json_int_t)f->ingest.disk_cap_bytes));
    json_object_set_new(json, "units", json_integer(share.known));
    json_object_set_new(json, "units_recent", json_integer(share.recent));
    json_object_set_new(json, "units_staged", json_integer(share.staged));
    json_object_set_new(json, "units_active", json_integer(share.active));
    json_object_set_new(json, "changes",
                        json_integer((json_int_t)fw_catalogue_changes(f->catalogue)));
    json_object_set(json, "progress", job);
    json_object_set_new(json, "job", job);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* ---- live ---- */

enum { LIVE_MIN_MS = 200, LIVE_MAX_MS = 5000 };

typedef struct live {
    fw_factory *factory;
    char *pending; /* an event not yet sent whole */
    size_t pending_bytes, sent_bytes;
    uint64_t changes;
    int64_t last_ns; /* 0: nothing sent yet */
} live;

/* The next event into pending, when it is time for one. */
static bool compose(live *l) {
    const fw_env *env = l->factory->config.env;
    int64_t now_ns = fw_env_mono_ns(env), age_ms = (now_ns - l->last_ns) / 1000000;
    uint64_t changes = fw_catalogue_changes(l->factory->catalogue);
    bool due = l->last_ns == 0 || age_ms >= LIVE_MAX_MS ||
               (changes != l->changes && age_ms >= LIVE_MIN_MS);
    if (!due) return false;
    char *status = fw_factory_status_json(l->factory);
    int size = status ? asprintf(&l->pending, "event: status\ndata: %s\n\n", status) : -1;
    free(status);
    if (size < 0) {
        l->pending = NULL;
        return false;
    }
    l->pending_bytes = (size_t)size;
    l->sent_bytes = 0;
    l->changes = changes;
    l->last_ns = now_ns;
    return true;
}

static long live_next(void *self, char *out, size_t out_bytes) {
    live *l = self;
    if (!l->pending && !compose(l)) return 0;
    size_t left = l->pending_bytes - l->sent_bytes;
    size_t used = left < out_bytes ? left : out_bytes;
    memcpy(out, l->pending + l->sent_bytes, used);
    l->sent_bytes += used;
    if (l->sent_bytes == l->pending_bytes) {
        free(l->pending);
        l->pending = NULL;
    }
    return (long)used;
}

static void live_free(void *self) {
    live *l = self;
    free(l->pending);
    free(l);
}

void fw_factory_live(fw_factory *factory, fw_http_response *response) {
    live *l = calloc(1, sizeof *l);
    if (!l) {
        fw_http_respond_error(response, 500, "no memory for a live stream");
        return;
    }
    l->factory = factory;
    response->status = 200;
    response->content_type = "text/event-stream";
    response->stream = live_next;
    response->stream_self = l;
    response->stream_free = live_free;
    fw_http_add_header(response, "Cache-Control", "no-store");
}
