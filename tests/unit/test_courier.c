/* The courier against a factory with faults: resume, wrong receipts, refusals, silence, models. */
#include "support.h"

#include <jansson.h>

#include "repositories.h"
#include "unit/courier/courier.h"

enum { UNIT = 5, OBJECT_MAX = 1 << 20, LOG_MAX = 200 };

/* A factory in memory, with a time of its own and switches for what goes wrong. */
typedef struct factory {
    int64_t time_ns;
    int put_status;          /* answered to PUT instead of taking it; 0: works */
    int get_status;          /* the same for GET */
    fw_status broken;        /* no answer at all */
    bool wrong_receipt, wrong_digest;
    const char *put_text;    /* the body of put_status; NULL: the factory's JSON */
    bool bend_model;
    const char *campaigns_version; /* told in the answer to a report; NULL none */
    const char *campaigns;         /* answered to GET of the unit's campaigns */
    uint32_t campaign_gets;
    char clock[400], last_put[FW_HASH_HEX + 1];
    int64_t cut_at;          /* PUT: takes this many bytes, then the line is cut; -1 never */
    int retry_after_s;
    char target[FW_HASH_HEX + 1];
    const void *model;
    size_t model_bytes;
    uint8_t part[OBJECT_MAX];
    size_t part_bytes;
    bool whole;
    uint32_t puts, heads, gets, reports, sequence;
    uint64_t bytes_taken, records;
    char last_report[4000];
    const repositories *signed_by; /* answered below /v1/tuf/ */
    uint32_t tuf_gets;
    size_t director_max_bytes, root_max_bytes; /* the most that was let in of the director's; of roots */
} factory;

typedef struct rig {
    char folder[64];
    fw_unit_shared *shared;
    fw_env env;
    factory factory;
    fw_unit_spool *spool;
    fw_http_client client;
    fw_unit_courier *courier;
    uint64_t serial, rate;
    uint32_t quiet_from, quiet_to;
    const char *root_path; /* signed metadata behind this root, in place of `choose` */
} rig;

static const char *header(const fw_http_call *call, const char *name) {
    for (const char *const *h = call->headers; h && *h; h++)
        if (strncmp(*h, name, strlen(name)) == 0) return *h + strlen(name) + 2;
    return NULL;
}

static void reply_text(fw_http_reply *reply, int status, const char *text) {
    reply->status = status;
    reply->body = strdup(text);
    reply->body_bytes = strlen(text);
}

static fw_status take_put(factory *f, const fw_http_call *call, fw_http_reply *reply,
                          fw_error *error) {
    unsigned long long first = 0, last = 0, total = 0;
    char *bytes = NULL, text[300];
    size_t size = 0;
    f->puts++;
    snprintf(f->last_put, sizeof f->last_put, "%s", strrchr(call->url, '/') + 1);
    snprintf(f->clock, sizeof f->clock, "%s",
             header(call, "Flywheel-Clock") ? header(call, "Flywheel-Clock") : "");
    if (f->put_status) {
        reply_text(reply, f->put_status, f->put_text ? f->put_text : "{\"error\":\"no,\\nthank you\"}");
        reply->retry_after_s = f->retry_after_s;
        return FW_OK;
    }
    assert_string_equal(header(call, "Flywheel-Unit"), "5");
    assert_string_equal(header(call, "Flywheel-Kind"), "recording");
    assert_int_equal(sscanf(header(call, "Content-Range"), "bytes %llu-%llu/%llu", &first, &last,
                            &total), 3);
    assert_int_equal(fw_file_read(call->body_path, OBJECT_MAX, &bytes, &size, error), FW_OK);
    assert_int_equal(call->body_offset, first);
    assert_int_equal(last + 1, size);
    assert_int_equal(total, size);
    if (first > f->part_bytes && !f->whole) {
        free(bytes);
        reply_text(reply, 409, "{\"error\":\"the offset does not fit\"}");
        reply->upload_offset = (int64_t)f->part_bytes;
        return FW_OK;
    }
    size_t end = size;
    if (f->cut_at >= 0 && (size_t)f->cut_at < size) end = (size_t)f->cut_at;
    if (!f->whole) memcpy(f->part + first, bytes + first, end - first);
    f->part_bytes = f->whole ? size : end;
    f->bytes_taken += end - first;
    free(bytes);
    if (f->cut_at >= 0 && end < size) {
        f->cut_at = -1;
        return fw_fail(error, FW_CLOSED, "the line was cut");
    }
    f->whole = true;
    snprintf(text, sizeof text,
             "{\"sha256\":\"%s\",\"size_bytes\":%zu,\"server_time_ns\":1,\"sequence\":%u}",
             fw_hash_bytes(f->part, f->part_bytes - f->wrong_digest).hex, f->part_bytes + f->wrong_receipt,
             ++f->sequence);
    reply_text(reply, 201, text);
    return FW_OK;
}

static fw_status take_get(factory *f, fw_http_reply *reply) {
    f->gets++;
    if (f->get_status) {
        reply_text(reply, f->get_status, "{}");
        return FW_OK;
    }
    reply->status = 200;
    reply->body = malloc(f->model_bytes + 1);
    memcpy(reply->body, f->model, f->model_bytes);
    if (f->bend_model) reply->body[f->model_bytes / 2] ^= 1;
    reply->body_bytes = f->model_bytes;
    return FW_OK;
}

/* Counts and numbers only: tests/unit/test_unit_records.c looks at the records themselves. */
static fw_status take_records(factory *f, const fw_http_call *call, fw_http_reply *reply) {
    char text[100];
    const char *body = call->body;
    unsigned long long first = strtoull(header(call, "Flywheel-First"), NULL, 10);
    for (size_t i = 0; i < call->body_bytes; i++) first += body[i] == '\n';
    f->records = first;
    snprintf(text, sizeof text, "{\"next\":%llu}", first);
    reply_text(reply, 200, text);
    return FW_OK;
}

static fw_status take_tuf(factory *f, const fw_http_call *call, fw_http_reply *reply) {
    bool director = strstr(call->url, "/director/") != NULL, root = strstr(call->url, ".root.json") != NULL;
    size_t *most = root ? &f->root_max_bytes : &f->director_max_bytes;
    fw_http_response response = {.status = 0};
    f->tuf_gets++;
    if ((root || director) && call->reply_max_bytes > *most) *most = call->reply_max_bytes;
    repositories_serve(f->signed_by, strstr(call->url, "/v1/tuf/"), &response);
    reply->status = response.status;
    reply->body = response.body;
    reply->body_bytes = response.body_bytes;
    return FW_OK;
}

static fw_status perform(void *self, const fw_http_call *call, fw_http_reply *reply,
                         fw_error *error) {
    factory *f = self;
    char text[200];
    *reply = (fw_http_reply){.upload_offset = -1};
    assert_true(call->timeout_ms > 0);
    assert_true(call->reply_max_bytes > 0);
    if (f->broken != FW_OK) {
        f->puts += strcmp(call->method, "PUT") == 0;
        f->reports += strstr(call->url, "/report") != NULL;
        return fw_fail(error, f->broken, "nobody there");
    }
    if (strcmp(call->method, "PUT") == 0) return take_put(f, call, reply, error);
    if (strcmp(call->url, "http://factory/v1/units/5/campaigns") == 0) {
        f->campaign_gets++;
        reply_text(reply, f->campaigns ? 200 : 500, f->campaigns ? f->campaigns : "{}");
        return FW_OK;
    }
    if (strstr(call->url, "/v1/tuf/")) return take_tuf(f, call, reply);
    if (strcmp(call->method, "GET") == 0) return take_get(f, reply);
    if (strcmp(call->method, "HEAD") == 0) {
        f->heads++;
        reply->status = f->part_bytes > 0 ? 200 : 404;
        if (f->part_bytes > 0) reply->upload_offset = (int64_t)f->part_bytes;
        return FW_OK;
    }
    if (strcmp(call->url, "http://factory/v1/records") == 0) return take_records(f, call, reply);
    if (f->signed_by && strcmp(call->url, "http://factory/v1/units/5/key") == 0) {
        reply_text(reply, 201, "{}");
        return FW_OK;
    }
    assert_string_equal(call->url, "http://factory/v1/units/5/report");
    f->reports++;
    snprintf(f->last_report, sizeof f->last_report, "%.*s", (int)call->body_bytes,
             (const char *)call->body);
    char target[100];
    snprintf(target, sizeof target, f->target[0] ? "\"%s\"" : "null", f->target);
    snprintf(text, sizeof text, "{\"target\":%s%s%s%s%s}", target,
             f->signed_by ? ",\"nonce\":\"0123456789abcdef0123456789abcdef\"" : "",
             f->campaigns_version ? ",\"campaigns\":\"" : "",
             f->campaigns_version ? f->campaigns_version : "", f->campaigns_version ? "\"" : "");
    reply_text(reply, 200, text);
    return FW_OK;
}

static int64_t rig_time(void *self) { return ((rig *)self)->factory.time_ns; }
static ssize_t rig_write(void *self, int fd, const void *bytes, size_t size_bytes) {
    (void)self;
    return write(fd, bytes, size_bytes);
}
static int rig_sync(void *self, int fd) { return (void)self, (void)fd, 0; }
static int rig_rename(void *self, const char *a, const char *b) { return (void)self, rename(a, b); }

/* Signed metadata, as the updater sees it: the target is what the factory says. */
static fw_status choose(void *self, const fw_hash *hint, uint64_t counter, fw_unit_offer *out, fw_error *error) {
    const factory *f = &((rig *)self)->factory;
    (void)hint, (void)counter;
    if (f->broken != FW_OK) return fw_fail(error, f->broken, "nobody there");
    *out = (fw_unit_offer){.length_bytes = f->model_bytes, .release_counter = 1};
    memcpy(out->sha256.hex, f->target, sizeof f->target);
    return FW_OK;
}

static void open_courier(rig *r) {
    fw_error error;
    fw_unit_spool_config spool = {.env = &r->env, .data_folder = r->folder, .max_bytes = 1 << 20,
                                  .unit = UNIT};
    fw_unit_courier_config config = {.env = &r->env, .unit = UNIT, .factory = "http://factory",
                                     .data_folder = r->folder, .load = fw_unit_tick_load,
                                     .chooser = {.self = r, .choose = r->root_path ? NULL : choose},
                                     .root_path = r->root_path,
                                     .signals = &fw_drive_signals,
                                     .upload_rate_bytes_per_s = r->rate,
                                     .quiet_from_min = r->quiet_from, .quiet_to_min = r->quiet_to};
    assert_int_equal(fw_unit_spool_open(&spool, r->shared, &r->spool, &error), FW_OK);
    r->client = (fw_http_client){.self = &r->factory, .perform = perform};
    assert_int_equal(
        fw_unit_courier_open(&config, r->shared, r->spool, &r->client, &r->courier, &error), FW_OK);
}

static rig *make_rig(void) {
    rig *r = calloc(1, sizeof *r);
    make_folder(r->folder);
    r->shared = make_shared();
    r->env = *fw_env_real();
    r->env.self = r;
    r->env.mono_ns = rig_time, r->env.wall_ns = rig_time;
    r->env.write = rig_write, r->env.fdatasync = rig_sync, r->env.rename = rig_rename;
    r->factory.cut_at = -1;
    r->factory.time_ns = 1000000000;
    open_courier(r);
    return r;
}

static void drop_rig(rig *r) {
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    fw_unit_shared_free(r->shared);
    drop_folder(r->folder);
    free(r);
}

/* Lets `ms` of the courier's time pass, step by step as it asks. */
static void live(rig *r, int64_t ms) {
    int64_t end_ns = r->factory.time_ns + ms * 1000000;
    while (r->factory.time_ns < end_ns) {
        int wait_ms = fw_unit_courier_step(r->courier);
        r->factory.time_ns += (wait_ms > 0 ? wait_ms : 1) * INT64_C(1000000);
    }
}

static fw_hash put_recording(rig *r, char letter, size_t size_bytes) {
    uint8_t *bytes = malloc(size_bytes);
    memset(bytes, letter, size_bytes);
    fw_unit_piece p = {.kind = FW_UNIT_PIECE_BEGIN, .serial = ++r->serial};
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, NULL));
    p.kind = FW_UNIT_PIECE_BYTES, p.size_bytes = (uint32_t)size_bytes;
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, bytes));
    p = (fw_unit_piece){.kind = FW_UNIT_PIECE_END, .serial = r->serial, .offset = size_bytes};
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, NULL));
    fw_hash hash = fw_hash_bytes(bytes, size_bytes);
    free(bytes);
    fw_unit_spool_drain(r->spool);
    return hash;
}

/* A capture of a priority. */
static fw_hash put_capture(rig *r, char letter, size_t size_bytes, uint32_t priority) {
    uint8_t *bytes = malloc(size_bytes);
    fw_unit_begin begin = {.campaign = "bump", .priority = priority, .mono_ns = 5, .wall_ns = 6};
    memset(bytes, letter, size_bytes);
    fw_unit_piece p = {.kind = FW_UNIT_PIECE_BEGIN, .serial = ++r->serial, .stream = FW_UNIT_CAPTURE,
                       .size_bytes = sizeof begin};
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, &begin));
    p.kind = FW_UNIT_PIECE_BYTES, p.size_bytes = (uint32_t)size_bytes;
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, bytes));
    p.kind = FW_UNIT_PIECE_END, p.size_bytes = 0, p.offset = size_bytes;
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, NULL));
    fw_hash hash = fw_hash_bytes(bytes, size_bytes);
    free(bytes);
    fw_unit_spool_drain(r->spool);
    return hash;
}

static void next_object(rig *r) {
    r->factory.part_bytes = 0;
    r->factory.whole = false;
}

static void test_upload_and_receipt(void **state) {
    (void)state;
    rig *r = make_rig();
    put_recording(r, 'a', 5000);
    live(r, 100);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    assert_int_equal(r->factory.puts, 1);
    assert_int_equal(r->factory.heads, 0);
    next_object(r);
    put_recording(r, 'b', 100);
    live(r, 100);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    drop_rig(r);
}

static void test_a_cut_upload_goes_on_where_it_stopped(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.cut_at = 3000;
    put_recording(r, 'a', 5000);
    live(r, 2000);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    assert_int_equal(r->factory.puts, 2);
    assert_int_equal(r->factory.heads, 1);
    assert_int_equal(r->factory.bytes_taken, 5000);
    drop_rig(r);
}

static void test_a_lost_receipt_is_fetched_with_one_byte(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.wrong_receipt = true;
    put_recording(r, 'a', 5000);
    live(r, 100);
    assert_int_equal(fw_unit_spool_count(r->spool), 1); /* kept: the receipt is not ours */
    r->factory.wrong_receipt = false;
    live(r, 3000);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    assert_true(r->factory.bytes_taken < 5010);
    drop_rig(r);
}

static void test_a_wrong_offset_is_asked_again(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.cut_at = 3000;
    put_recording(r, 'a', 5000);
    live(r, 5);
    assert_int_equal(r->factory.puts, 1);
    r->factory.part_bytes = 0; /* the factory lost the part: HEAD says 404 */
    live(r, 3000);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    drop_rig(r);
}

static void test_busy_and_broken_factories_are_asked_again_later(void **state) {
    (void)state;
    const int statuses[] = {409, 429, 500, 503, 507, 408, 200};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        rig *r = make_rig();
        r->factory.put_status = statuses[i];
        put_recording(r, 'a', 500);
        live(r, 60000);
        assert_int_equal(fw_unit_spool_count(r->spool), 1);
        assert_true(r->factory.puts >= 10 && r->factory.puts < 40); /* waits grow to 5 s */
        assert_true(r->factory.reports > 100); /* reports do not suffer */
        r->factory.put_status = 0;
        live(r, 6000);
        assert_int_equal(fw_unit_spool_count(r->spool), 0);
        drop_rig(r);
    }
}

static void test_retry_after_is_kept_to(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.put_status = 503, r->factory.retry_after_s = 30;
    put_recording(r, 'a', 500);
    live(r, 29000);
    assert_int_equal(r->factory.puts, 1);
    live(r, 2000);
    assert_int_equal(r->factory.puts, 2);
    drop_rig(r);
}

static void test_a_refusal_sets_the_recording_aside(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.put_status = 422;
    fw_hash hash = put_recording(r, 'a', 500);
    live(r, 100);
    assert_int_equal(r->factory.puts, 1);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/spool/refused/%s.reason", r->folder, hash.hex);
    assert_int_equal(fw_file_read(path, 1000, &text, &size, NULL), FW_OK);
    assert_string_equal(text, "HTTP 422: no, thank you");
    free(text);
    drop_rig(r);
}

static void test_without_a_factory_it_spools_and_catches_up(void **state) {
    (void)state;
    const fw_status faults[] = {FW_TIMEOUT, FW_CLOSED, FW_IO};
    for (int i = 0; i < 3; i++) {
        rig *r = make_rig();
        r->factory.broken = faults[i];
        put_recording(r, 'a', 500);
        live(r, 120000);
        assert_int_equal(fw_unit_spool_count(r->spool), 1);
        assert_true(r->factory.reports < 60);
        fw_unit_courier_close(r->courier); /* and a restart in between */
        fw_unit_spool_close(r->spool);
        open_courier(r);
        r->factory.broken = FW_OK;
        live(r, 6000);
        assert_int_equal(fw_unit_spool_count(r->spool), 0);
        drop_rig(r);
    }
}

static void test_one_bad_recording_does_not_hold_up_the_others(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_unit_spooled first, next;
    r->factory.put_status = 500;
    put_recording(r, 'a', 500);
    put_recording(r, 'b', 600);
    assert_true(fw_unit_spool_next(r->spool, INT64_MAX, 0, &first));
    live(r, 5);
    assert_int_equal(r->factory.puts, 1); /* a failed; b is next */
    r->factory.put_status = 0;
    for (int i = 0; i < 400 && fw_unit_spool_count(r->spool) == 2; i++) live(r, 5);
    assert_true(fw_unit_spool_next(r->spool, INT64_MAX, 0, &next));
    assert_string_equal(next.hash.hex, first.hash.hex);
    drop_rig(r);
}

static json_t *last_report(rig *r) {
    json_t *json = json_loads(r->factory.last_report, 0, NULL);
    assert_non_null(json);
    return json;
}

static void aim(rig *r, fw_policy_kind kind, char **bytes) {
    fw_error error;
    assert_int_equal(fw_policy_rule_file(kind, bytes, &r->factory.model_bytes, &error), FW_OK);
    r->factory.model = *bytes;
    memcpy(r->factory.target, fw_hash_bytes(*bytes, r->factory.model_bytes).hex, FW_HASH_HEX + 1);
}

static void test_the_target_is_fetched_checked_staged_and_remembered(void **state) {
    (void)state;
    rig *r = make_rig();
    char *bytes = NULL;
    live(r, 1000);
    json_t *json = last_report(r);
    assert_true(json_is_null(json_object_get(json, "active")));
    json_decref(json);
    aim(r, FW_POLICY_IDM, &bytes);
    r->factory.bend_model = true; /* wrong bytes never reach the slot */
    live(r, 3000);
    assert_int_equal(atomic_load(&r->shared->models.staged), 0);
    r->factory.bend_model = false, r->factory.get_status = 404;
    live(r, 6000);
    assert_int_equal(atomic_load(&r->shared->models.staged), 0);
    r->factory.get_status = 0;
    live(r, 6000);
    assert_int_equal(atomic_load(&r->shared->models.staged), 1);
    json = last_report(r);
    assert_string_equal(json_string_value(json_object_get(json, "staged")), r->factory.target);
    json_decref(json);
    /* everything off and on again, without a factory: the model is there */
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    fw_unit_shared_free(r->shared);
    r->shared = make_shared();
    r->factory.broken = FW_CLOSED;
    open_courier(r);
    assert_int_equal(atomic_load(&r->shared->models.staged), 1);
    fw_unit_tick *tick = NULL;
    fw_unit_tick_config config = {.unit = UNIT, .bus_path = "unused"};
    assert_int_equal(fw_unit_tick_open(&config, r->shared, &tick, NULL), FW_OK);
    assert_true(fw_unit_tick_take_model(tick)); /* the tick accepts what the courier staged */
    fw_unit_tick_close(tick);
    r->factory.broken = FW_OK;
    uint32_t gets = r->factory.gets;
    live(r, 6000);
    assert_int_equal(r->factory.gets, gets); /* already here: not fetched again */
    json = last_report(r);
    assert_string_equal(json_string_value(json_object_get(json, "active")), r->factory.target);
    json_decref(json);
    free(bytes);
    drop_rig(r);
}

static void write_text(const rig *r, const char *name, const char *text) {
    char path[128];
    fw_error error;
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    *strrchr(path, '/') = '\0';
    assert_int_equal(fw_folder_make(path, 0755, &error), FW_OK);
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, strlen(text), &error), FW_OK);
}

/* The stick with the root is gone, the trusted folder or the key is damaged: the unit drives, reports and records. */
static void test_what_it_trusts_cannot_be_read_and_it_lives_on(void **state) {
    (void)state;
    for (int damage = 0; damage < 3; damage++) {
        rig *r = make_rig();
        char *bytes = NULL;
        aim(r, FW_POLICY_IDM, &bytes);
        live(r, 1000);
        assert_int_equal(atomic_load(&r->shared->models.staged), 1);
        fw_unit_courier_close(r->courier);
        fw_unit_spool_close(r->spool);
        fw_unit_shared_free(r->shared);
        r->shared = make_shared();
        r->root_path = "/nowhere/root.json";
        if (damage == 1) write_text(r, "trust/image/root.json", "{}"), write_text(r, "trust/director/root.json", "{}");
        if (damage == 2) write_text(r, "unit.key", "no key");
        uint32_t reports = r->factory.reports;
        open_courier(r);
        assert_int_equal(atomic_load(&r->shared->models.staged), 1);
        live(r, 60000);
        assert_true(r->factory.reports > reports);
        free(bytes);
        drop_rig(r);
    }
}

/* A courier behind signed metadata, with a first model through it; its bytes are the caller's to free. */
static char *trust_repositories(rig *r, repositories *from) {
    char *bytes = NULL;
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    repositories_make(from, UNIT);
    r->root_path = from->root_path;
    r->factory.signed_by = from;
    write_text(r, "trust/image/targets.json.77.tmp", "cut by a power cut");
    r->factory.time_ns = fw_env_wall_ns(fw_env_real());
    open_courier(r);
    aim(r, FW_POLICY_IDM, &bytes);
    fw_hash target = fw_hash_bytes(bytes, r->factory.model_bytes);
    repositories_assign(from, &target, r->factory.model_bytes);
    live(r, 3000);
    assert_int_equal(atomic_load(&r->shared->models.staged), 1);
    return bytes;
}

/* What the unit refused of signed metadata stands in its next version report. */
static void test_an_attack_is_told(void **state) {
    (void)state;
    rig *r = make_rig();
    repositories from;
    fw_error error;
    char path[128], *bytes = trust_repositories(r, &from);
    atomic_store(&r->shared->model_active, 1);
    live(r, 2000);
    assert_non_null(strstr(r->factory.last_report, "\\\"attacks\\\":[]"));
    fw_hash other = fw_hash_bytes("other", 5);
    snprintf(path, sizeof path, "driving/%s.safetensors", other.hex);
    json_t *custom = json_pack("{s:s,s:[s],s:i}", "unit", "5", "hardware_ids", "flywheel-unit", "release_counter", 9);
    assert_int_equal(fw_repository_remove(from.director, from.path, &error), FW_OK);
    assert_int_equal(fw_repository_set(from.director, path, 5, &other, custom, &error), FW_OK);
    assert_int_equal(fw_repository_publish(from.director, &error), FW_OK);
    memcpy(r->factory.target, other.hex, sizeof other.hex);
    bool told = false;
    for (int i = 0; i < 20 && !told; i++) {
        live(r, 200);
        told = strstr(r->factory.last_report, "which the image repository does not have") != NULL;
    }
    assert_true(told);
    json_decref(custom);
    free(bytes);
    drop_rig(r);
    repositories_drop(&from);
}

/* What is parsed before its signature or its hash is known stays small. */
static void test_little_is_let_in_before_it_is_checked(void **state) {
    (void)state;
    rig *r = make_rig();
    repositories from;
    char *bytes = trust_repositories(r, &from), left[128];
    assert_true(r->factory.tuf_gets >= 8);
    snprintf(left, sizeof left, "%s/trust/image/targets.json.77.tmp", r->folder);
    assert_false(fw_file_exists(left));
    assert_in_range(r->factory.director_max_bytes, 1, 64 << 10);
    assert_in_range(r->factory.root_max_bytes, 1, 64 << 10);
    free(bytes);
    drop_rig(r);
    repositories_drop(&from);
}

static void test_what_is_no_model_is_refused_once(void **state) {
    (void)state;
    rig *r = make_rig();
    char *bytes = NULL;
    aim(r, FW_POLICY_CONSTANT, &bytes);
    live(r, 600);
    assert_int_equal(atomic_load(&r->shared->models.staged), 1);
    static const char junk[] = "this is no safetensors file at all";
    r->factory.model = junk, r->factory.model_bytes = sizeof junk;
    memcpy(r->factory.target, fw_hash_bytes(junk, sizeof junk).hex, FW_HASH_HEX + 1);
    live(r, 10000);
    assert_int_equal(atomic_load(&r->shared->models.staged), 1); /* the one before stays */
    assert_int_equal(r->factory.gets, 2);
    json_t *json = last_report(r);
    assert_string_equal(json_string_value(json_object_get(json, "refused")), r->factory.target);
    json_decref(json);
    free(bytes);
    aim(r, FW_POLICY_IDM, &bytes);
    live(r, 1000);
    assert_int_equal(atomic_load(&r->shared->models.staged), 2);
    free(bytes);
    drop_rig(r);
}

static void test_a_change_is_reported_at_once(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_unit_courier_step(r->courier);
    uint32_t before = r->factory.reports;
    assert_int_equal(before, 1);
    fw_unit_courier_step(r->courier);
    assert_int_equal(r->factory.reports, before); /* nothing new, not yet due */
    atomic_fetch_add(&r->shared->recordings, 1);
    fw_unit_courier_step(r->courier);
    assert_int_equal(r->factory.reports, before + 1);
    drop_rig(r);
}

/* Every answer a PUT can get: is the recording still there, refused, tried again, and how often in ten
 * minutes? */
static void test_no_answer_makes_it_forget(void **state) {
    (void)state;
    static const struct {
        int status;
        bool refused;
        uint32_t least, most; /* tries in 600 s */
    } table[] = {
        {200, false, 100, 300}, {201, false, 100, 300}, {204, false, 100, 300}, {301, false, 100, 300},
        {400, true, 1, 1},      {401, false, 4, 12},    {402, false, 4, 12},    {403, false, 4, 12},
        {404, false, 4, 12},    {405, false, 4, 12},    {408, false, 100, 300}, {409, false, 100, 300},
        {410, true, 1, 1},       {412, false, 4, 12},    {413, true, 1, 1},      {415, false, 4, 12},
        {422, true, 1, 1},      {429, false, 100, 300}, {451, false, 4, 12},    {500, false, 100, 300},
        {501, false, 100, 300}, {502, false, 100, 300}, {503, false, 100, 300}, {504, false, 100, 300},
        {507, false, 100, 300}, {599, false, 100, 300},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rig *r = make_rig();
        char path[FW_PATH_MAX];
        r->factory.put_status = table[i].status;
        fw_hash hash = put_recording(r, 'a', 500);
        live(r, 600000);
        if (r->factory.puts < table[i].least || r->factory.puts > table[i].most)
            fail_msg("HTTP %d: %u tries", table[i].status, r->factory.puts);
        snprintf(path, sizeof path, "%s/spool/%s%s.mcap", r->folder, table[i].refused ? "refused/" : "",
                 hash.hex);
        if (!fw_file_exists(path)) fail_msg("HTTP %d: %s is gone", table[i].status, path);
        assert_int_equal(fw_unit_spool_count(r->spool), !table[i].refused);
        assert_int_equal(fw_unit_lost_bytes(r->shared), 0);
        r->factory.put_status = 0;
        live(r, 301000);
        assert_int_equal(fw_unit_spool_count(r->spool), 0);
        assert_int_equal(r->factory.whole, !table[i].refused);
        drop_rig(r);
    }
}

static void test_the_most_valuable_first_and_a_denied_one_holds_up_nobody(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.broken = FW_CLOSED;
    fw_hash plain = put_recording(r, 'p', 400);
    fw_hash low = put_capture(r, 'l', 500, 10), high = put_capture(r, 'h', 600, 90);
    live(r, 3000);
    r->factory.broken = FW_OK;
    const char *order[] = {high.hex, low.hex, plain.hex};
    for (int i = 0; i < 3; i++) {
        uint32_t left = fw_unit_spool_count(r->spool);
        while (fw_unit_spool_count(r->spool) == left) live(r, 1);
        assert_string_equal(r->factory.last_put, order[i]);
        next_object(r);
    }
    r->factory.put_status = 403;
    put_capture(r, 'd', 700, 99);
    live(r, 1);
    assert_int_equal(fw_unit_spool_count(r->spool), 1);
    r->factory.put_status = 0;
    fw_hash next = put_recording(r, 'n', 300);
    while (fw_unit_spool_count(r->spool) == 2) live(r, 1);
    assert_string_equal(r->factory.last_put, next.hex); /* before the capture's 5 s are over */
    drop_rig(r);
}

static void test_the_clocks_of_a_recording_go_with_it(void **state) {
    (void)state;
    rig *r = make_rig();
    char wanted[200];
    put_recording(r, 'a', 500); /* its times are unknown, its boot is not */
    live(r, 1);
    assert_true(strncmp(r->factory.clock, "boot=", 5) == 0);
    next_object(r);
    put_capture(r, 'c', 600, 1);
    int64_t sent_ns = r->factory.time_ns;
    fw_unit_courier_step(r->courier);
    snprintf(wanted, sizeof wanted,
             "boot=%s; start-mono=5; start-wall=6; sent-mono=%lld; sent-wall=%lld", r->shared->boot,
             (long long)sent_ns, (long long)sent_ns);
    assert_string_equal(r->factory.clock, wanted);
    next_object(r);
    r->factory.broken = FW_CLOSED;
    put_capture(r, 'd', 600, 1);
    live(r, 1000);
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    strcpy(r->shared->boot, "another"); /* the machine started again: its monotonic clock too */
    open_courier(r);
    r->factory.broken = FW_OK;
    live(r, 6000);
    assert_null(strstr(r->factory.clock, "sent-mono"));
    assert_non_null(strstr(r->factory.clock, "start-mono=5; start-wall=6; sent-wall="));
    drop_rig(r);
}

static void test_the_rate_is_kept_over_many_small_recordings(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    r->rate = 1000;
    open_courier(r);
    for (int i = 0; i < 20; i++) put_recording(r, (char)('a' + i), 500);
    int64_t start_ns = r->factory.time_ns;
    while (fw_unit_spool_count(r->spool) > 0) {
        live(r, 1);
        next_object(r);
        (void)fw_unit_courier_upload(r->courier); /* woken for a new recording: still too early */
        double s = (double)(r->factory.time_ns - start_ns) * 1e-9;
        assert_true((double)r->factory.bytes_taken <= 1000 * s + 1000);
        assert_true((double)r->factory.bytes_taken >= 900 * s - 1000);
    }
    assert_int_equal(r->factory.bytes_taken, 20 * 500);
    drop_rig(r);
}

static void test_quiet_hours(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    setenv("TZ", "UTC", 1);
    r->quiet_from = 22 * 60, r->quiet_to = 6 * 60 + 30; /* over midnight */
    r->factory.time_ns = INT64_C(23) * 3600 * 1000000000;
    open_courier(r);
    put_recording(r, 'p', 500);
    put_capture(r, 'l', 500, 79);
    fw_hash urgent = put_capture(r, 'u', 500, 80);
    live(r, 3600000);
    assert_int_equal(r->factory.puts, 1);
    assert_string_equal(r->factory.last_put, urgent.hex);
    assert_true(r->factory.reports > 1000);
    assert_int_equal(r->factory.records, 0);
    next_object(r);
    r->factory.time_ns = (INT64_C(86400) + 6 * 3600 + 29 * 60) * 1000000000;
    live(r, 50000);
    assert_int_equal(r->factory.puts, 1);
    live(r, 15000);
    assert_true(r->factory.puts >= 2);
    assert_true(r->factory.records > 0);
    drop_rig(r);
}

static void test_campaigns_are_fetched_kept_and_staged(void **state) {
    (void)state;
    rig *r = make_rig();
    live(r, 2000);
    assert_int_equal(r->factory.campaign_gets, 0); /* a factory that has none is not asked */
    r->factory.campaigns_version = "v1";
    live(r, 3000);
    assert_true(r->factory.campaign_gets > 0); /* it answers 500: again later */
    r->factory.campaigns = "{\"version\":\"v1\",\"campaigns\":[{\"id\":\"a\",\"when\":"
                           "\"/ego.speed_mps > 3\"},{\"id\":\"b\",\"when\":\"/no.such > 1\"},"
                           "{\"id\":\"c\",\"when\":\"/guard.veto\",\"units\":[\"4\"]},"
                           "{\"id\":\"d\",\"when\":\"/guard.veto\",\"units\":[\"5\"]}]}";
    live(r, 6000);
    uint64_t staged = atomic_load(&r->shared->campaign_staged);
    const fw_unit_campaigns *set = &r->shared->sets[staged & 1].set;
    assert_int_equal(staged, 1);
    assert_int_equal(set->count, 2); /* one does not compile here, one is for another unit */
    assert_string_equal(set->list[0].id, "a");
    assert_string_equal(set->list[1].id, "d");
    uint32_t gets = r->factory.campaign_gets;
    live(r, 5000);
    assert_int_equal(r->factory.campaign_gets, gets);
    assert_non_null(strstr(r->factory.last_report, "\"campaigns\":\"v1\""));
    /* off and on without a network: they are there, and the tick takes them */
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    fw_unit_shared_free(r->shared);
    r->shared = make_shared();
    r->factory.broken = FW_CLOSED;
    open_courier(r);
    assert_int_equal(atomic_load(&r->shared->campaign_staged), 1);
    assert_int_equal(r->shared->sets[1].set.count, 2);
    /* the courier alone dies: what is staged stays */
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    open_courier(r);
    assert_int_equal(atomic_load(&r->shared->campaign_staged), 1);
    r->factory.broken = FW_OK;
    r->factory.campaigns_version = "v2", r->factory.campaigns = "no JSON";
    live(r, 3000);
    assert_int_equal(atomic_load(&r->shared->campaign_staged), 1);
    r->factory.campaigns = "{\"version\":\"v2\",\"campaigns\":[]}";
    live(r, 6000);
    assert_int_equal(atomic_load(&r->shared->campaign_staged), 2);
    assert_int_equal(r->shared->sets[0].set.count, 0);
    drop_rig(r);
}

static void test_a_receipt_for_other_bytes_removes_nothing(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.wrong_digest = true;
    put_recording(r, 'a', 500);
    live(r, 20000);
    assert_true(r->factory.puts >= 2);
    assert_int_equal(fw_unit_spool_count(r->spool), 1);
    r->factory.wrong_digest = false;
    live(r, 20000);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    drop_rig(r);
}

/* A proxy's size limit, or http spoken to a port of https: those are not the factory's words. */
static void test_a_proxys_refusal_condemns_nothing(void **state) {
    (void)state;
    static const int statuses[] = {400, 410, 413, 422};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        rig *r = make_rig();
        r->factory.put_status = statuses[i];
        r->factory.put_text = "<html><h1>Request Entity Too Large</h1></html>";
        put_recording(r, 'a', 500);
        live(r, 60000);
        assert_int_equal(fw_unit_spool_count(r->spool), 1);
        assert_true(r->factory.puts >= 2 && r->factory.puts < 10); /* rarely, as one that is denied */
        r->factory.put_status = 0;
        live(r, 301000);
        assert_int_equal(fw_unit_spool_count(r->spool), 0);
        assert_true(r->factory.whole);
        drop_rig(r);
    }
}

/* What an answer or a file says as its version, however long, never stops the reports. */
static void test_a_bent_list_of_campaigns_does_not_stop_the_courier(void **state) {
    (void)state;
    char folder[64], path[200], text[400];
    rig *r = make_rig();
    snprintf(folder, sizeof folder, "%s", r->folder);
    snprintf(path, sizeof path, "%s/campaigns.json", folder);
    size_t used = (size_t)snprintf(text, sizeof text, "{\"version\":\"");
    for (int i = 0; i < 40; i++) used += (size_t)snprintf(text + used, sizeof text - used, "\xc3\xa4");
    used += (size_t)snprintf(text + used, sizeof text - used, "\",\"campaigns\":[]}");
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, used, NULL), FW_OK);
    char left[2][200]; /* of a courier that died while it wrote */
    snprintf(left[0], sizeof left[0], "%s/campaigns.json.77.tmp", folder);
    snprintf(left[1], sizeof left[1], "%s/slots/A/%064d.safetensors.77.tmp", folder, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fw_file_write_durable(fw_env_real(), left[i], text, used, NULL), FW_OK);
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    open_courier(r);
    for (int i = 0; i < 2; i++) assert_false(fw_file_exists(left[i]));
    live(r, 2000);
    assert_true(r->factory.reports > 0);
    drop_rig(r);
}

/* A courier killed while it wrote the other slot twice: its successor stages again. */
static void test_a_half_written_slot_is_staged_again(void **state) {
    (void)state;
    rig *r = make_rig();
    r->factory.campaigns_version = "v1";
    r->factory.campaigns = "{\"version\":\"v1\",\"campaigns\":[{\"id\":\"a\",\"when\":\"/guard.veto\"}]}";
    live(r, 2000);
    uint64_t staged = atomic_load(&r->shared->campaign_staged);
    assert_true(staged > 0);
    atomic_store(&r->shared->campaign_writing, staged + 2); /* of the slot that is in force */
    memset(&r->shared->sets[staged & 1].set, 0xee, 100);
    fw_unit_courier_close(r->courier);
    fw_unit_spool_close(r->spool);
    open_courier(r);
    uint64_t now = atomic_load(&r->shared->campaign_staged);
    assert_int_equal(now, staged + 3);
    assert_int_equal(now, atomic_load(&r->shared->campaign_writing));
    assert_int_equal(r->shared->sets[now & 1].set.count, 1);
    assert_string_equal(r->shared->sets[now & 1].set.list[0].id, "a");
    drop_rig(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upload_and_receipt),
        cmocka_unit_test(test_a_cut_upload_goes_on_where_it_stopped),
        cmocka_unit_test(test_a_lost_receipt_is_fetched_with_one_byte),
        cmocka_unit_test(test_a_wrong_offset_is_asked_again),
        cmocka_unit_test(test_busy_and_broken_factories_are_asked_again_later),
        cmocka_unit_test(test_retry_after_is_kept_to),
        cmocka_unit_test(test_a_refusal_sets_the_recording_aside),
        cmocka_unit_test(test_without_a_factory_it_spools_and_catches_up),
        cmocka_unit_test(test_one_bad_recording_does_not_hold_up_the_others),
        cmocka_unit_test(test_the_target_is_fetched_checked_staged_and_remembered),
        cmocka_unit_test(test_what_it_trusts_cannot_be_read_and_it_lives_on),
        cmocka_unit_test(test_little_is_let_in_before_it_is_checked),
        cmocka_unit_test(test_an_attack_is_told),
        cmocka_unit_test(test_what_is_no_model_is_refused_once),
        cmocka_unit_test(test_a_change_is_reported_at_once),
        cmocka_unit_test(test_no_answer_makes_it_forget),
        cmocka_unit_test(test_the_most_valuable_first_and_a_denied_one_holds_up_nobody),
        cmocka_unit_test(test_the_clocks_of_a_recording_go_with_it),
        cmocka_unit_test(test_the_rate_is_kept_over_many_small_recordings),
        cmocka_unit_test(test_quiet_hours),
        cmocka_unit_test(test_campaigns_are_fetched_kept_and_staged),
        cmocka_unit_test(test_a_receipt_for_other_bytes_removes_nothing),
        cmocka_unit_test(test_a_proxys_refusal_condemns_nothing),
        cmocka_unit_test(test_a_bent_list_of_campaigns_does_not_stop_the_courier),
        cmocka_unit_test(test_a_half_written_slot_is_staged_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
