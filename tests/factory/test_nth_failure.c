/* Every allocation and every write of the ingest path fails once. After each failure the answer is an
 * error that asks to come again, or a success that holds; the same call then does well; nothing acked
 * is missing, nothing is there twice, and the catalogue says what the objects say.
 *
 * Under AddressSanitizer only some of the failures are tried (other ones each day would not be the
 * same test: the stride is fixed), for what leaks or is used after it was freed. */
#include "drives.h"
#include "failures.h"

#include "base/log.h"
#include "factory/catalogue/rebuild.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 11 };
#else
enum { STRIDE = 1 };
#endif

static const char *const names[] = {"/a.x"};
static const fw_campaign_signals signals = {"driving", names, 1};
static fw_factory_line line;

static int setup(void **state) {
    fixture_open(state);
    fixture *f = *state;
    line = any_line;
    line.signals = &signals;
    fixture_stop(f);
    f->config.line = &line;
    fixture_start(f);
    return 0;
}

/* ---- calls ---- */

typedef struct answer {
    int status;
    char *body; /* 0-terminated; NULL: none */
    uint64_t offset;
    char file[FW_PATH_MAX];
} answer;

static void answer_free(answer *a) {
    free(a->body);
    *a = (answer){0};
}

static answer taken(fw_http_response *r) {
    answer a = {.status = r->status};
    const char *offset = answer_header(r, "Upload-Offset");
    if (offset) a.offset = strtoull(offset, NULL, 10);
    if (r->body) a.body = __real_strndup(r->body, r->body_bytes);
    snprintf(a.file, sizeof a.file, "%s", r->file_path);
    free(r->body);
    return a;
}

typedef struct parts {
    headers h;
    const char *const *parameters;
} parts;
static const char *part_header(const void *native, const char *name) {
    return header_of(&((const parts *)native)->h, name);
}
static const char *part_parameter(const void *native, const char *name) {
    const parts *p = native;
    return p->parameters ? parameter_of(p->parameters, name) : NULL;
}

/* With a body through the sink when the call takes one. */
static answer send(fixture *f, const char *method, const char *path, parts p, const void *body,
                   size_t size, bool sink) {
    char length[32];
    int i = 0;
    while (p.h.names[i]) i++;
    snprintf(length, sizeof length, "%zu", size);
    if (sink) p.h.names[i] = "Content-Length", p.h.values[i] = length;
    fw_http_request request = {.method = method,
                               .path = path,
                               .header = part_header,
                               .query = part_parameter,
                               .native = &p,
                               .body = sink ? NULL : body,
                               .body_bytes = sink ? 0 : size};
    fw_http_response response = {0};
    if (sink) request.sink = f->app.open_sink(f->app.self, &request, &response);
    if (!response.status) {
        if (request.sink) (void)f->app.sink_write(f->app.self, request.sink, body, size);
        f->app.handle(f->app.self, &request, &response);
    }
    if (request.sink) f->app.close_sink(f->app.self, request.sink);
    return taken(&response);
}

/* ---- what is tried ---- */

typedef struct trial trial;
struct trial {
    fixture *f;
    unsigned n; /* counts attempts: each is about something new */
    uint8_t bytes[MCAP_MAX];
    size_t size;
    fw_hash hash;
    char unit[32], expected[200], *reference;
    uint64_t next;   /* of the stream of records */
    int64_t acked;   /* recordings that must be there */
    int64_t forgotten; /* and those that must not */
};
typedef struct step {
    const char *name;
    unsigned stride; /* of allocations: 0 or 1: each */
    void (*prepare)(trial *t);  /* NULL: nothing */
    answer (*act)(trial *t);    /* with the failure */
    void (*recover)(trial *t, const answer *first); /* without; asserts */
} step;

static void make_recording(trial *t, const char *unit) {
    drive d = {.unit = unit, .seconds = 3, .brakes = 2, .speed_mps = 5, .seed = (int)t->n,
               .noise_m = 1, .x_m = 1000.0 * t->n, .start_ns = 1000 + t->n};
    snprintf(t->unit, sizeof t->unit, "%s", unit);
    t->size = make_drive(t->bytes, &d);
    t->hash = fw_hash_bytes(t->bytes, t->size);
}

static answer put_from(trial *t, size_t from, size_t to) {
    char path[120], range[80];
    snprintf(path, sizeof path, "/v1/objects/%s", t->hash.hex);
    snprintf(range, sizeof range, "bytes %zu-%zu/%zu", from, to - 1, t->size);
    parts p = {.h = unit_headers(t->unit)};
    p.h.names[2] = "Content-Range", p.h.values[2] = range;
    return send(t->f, "PUT", path, p, t->bytes + from, to - from, true);
}

static answer head(trial *t) {
    char path[120];
    snprintf(path, sizeof path, "/v1/objects/%s", t->hash.hex);
    return send(t->f, "HEAD", path, (parts){0}, NULL, 0, false);
}

/* A failure of the factory never reads as a fault of what was sent: a unit would give it up. */
static void expect_again(const answer *a, const char *what) {
    if (a->status < 500 && a->status != 429 && a->status != 409)
        fail_msg("%s: %d %s", what, a->status, a->body ? a->body : "");
}

static void prepare_upload(trial *t) {
    make_recording(t, "7");
}
static answer act_upload(trial *t) {
    answer a = put_from(t, 0, t->size / 2);
    if (a.status != 202) return a;
    assert_int_equal(a.offset, t->size / 2);
    answer_free(&a);
    return put_from(t, t->size / 2, t->size);
}
static void recover_upload(trial *t, const answer *first) {
    if (first->status != 201) expect_again(first, "upload");
    answer there = head(t);
    if (first->status == 201) assert_int_equal(there.status, 200);
    assert_true(there.status == 200 || there.status == 202 || there.status == 404);
    assert_true(there.offset <= t->size);
    size_t from = there.status == 200 ? 0 : there.offset; /* the last byte is always sent, as a unit does */
    answer now = put_from(t, from < t->size ? from : t->size - 1, t->size);
    if (now.status == 409 && now.offset == 0) { /* what lay there was torn: sent whole */
        answer_free(&now);
        now = put_from(t, 0, t->size);
    }
    if (now.status != (there.status == 200 ? 200 : 201))
        fail_msg("again: %d after %d, %s", now.status, there.status, now.body ? now.body : "");
    if (first->status == 201) assert_string_equal(now.body, first->body);
    answer again = put_from(t, 0, t->size);
    assert_int_equal(again.status, 200);
    assert_string_equal(again.body, now.body);
    t->acked++;
    answer_free(&there), answer_free(&now), answer_free(&again);
}

static void prepare_repeat(trial *t) {
    if (t->reference) return;
    make_recording(t, "7");
    answer a = put_from(t, 0, t->size);
    assert_int_equal(a.status, 201);
    t->reference = a.body;
    t->acked++;
}
static answer act_repeat(trial *t) {
    return put_from(t, 0, t->size);
}
static void recover_repeat(trial *t, const answer *first) {
    if (first->status != 200) expect_again(first, "repeated upload");
    if (first->status == 200) assert_string_equal(first->body, t->reference);
    answer now = act_repeat(t);
    assert_int_equal(now.status, 200);
    assert_string_equal(now.body, t->reference);
    answer_free(&now);
}

enum { BATCH = 5 };
static answer post_records(trial *t) {
    char lines[600] = "", first[32];
    int used = 0;
    for (uint64_t i = t->next; i < t->next + BATCH; i++)
        used += snprintf(lines + used, sizeof lines - (size_t)used, "{\"record\":%llu}\n",
                         (unsigned long long)i);
    snprintf(first, sizeof first, "%llu", (unsigned long long)t->next);
    parts p = {.h = {{"Flywheel-Unit", "Flywheel-Boot", "Flywheel-Stream", "Flywheel-First"},
                     {"7", "boot-1", "health", first}}};
    return send(t->f, "POST", "/v1/records", p, lines, (size_t)used, true);
}
static int64_t number_in(const answer *a, const char *name) {
    json_t *json = a->body ? json_loads(a->body, 0, NULL) : NULL;
    int64_t value = json_integer_value(json_object_get(json, name));
    json_decref(json);
    return value;
}
static void expect_ack(const answer *a, uint64_t next, int repeated) {
    assert_int_equal(a->status, 200);
    assert_int_equal(number_in(a, "next"), next);
    assert_int_equal(number_in(a, "repeated"), repeated);
    assert_int_equal(number_in(a, "taken"), BATCH - repeated);
}
static void recover_records(trial *t, const answer *first) {
    if (first->status != 200) expect_again(first, "records");
    answer now = post_records(t);
    assert_int_equal(now.status, 200);
    if (first->status == 200) {
        expect_ack(first, t->next + BATCH, 0);
        expect_ack(&now, t->next + BATCH, BATCH);
    }
    assert_int_equal(number_in(&now, "next"), t->next + BATCH);
    t->next += BATCH;
    answer_free(&now);
}
static void prepare_repeated_records(trial *t) {
    answer a = post_records(t);
    assert_int_equal(a.status, 200);
    answer_free(&a);
}
static void recover_repeated_records(trial *t, const answer *first) {
    if (first->status == 200)
        expect_ack(first, t->next + BATCH, BATCH);
    else
        expect_again(first, "repeated records");
    answer now = post_records(t);
    expect_ack(&now, t->next + BATCH, BATCH);
    t->next += BATCH;
    answer_free(&now);
}

static answer act_campaign(trial *t) {
    char body[200];
    snprintf(body, sizeof body, "{\"id\":\"c%u\",\"when\":\"rising(/a.x)\"}", t->n);
    return send(t->f, "POST", "/v1/campaigns", (parts){0}, body, strlen(body), false);
}
static void recover_campaign(trial *t, const answer *first) {
    char path[80];
    if (first->status != 201) expect_again(first, "campaign");
    snprintf(path, sizeof path, "/v1/campaigns/c%u", t->n);
    answer there = send(t->f, "GET", path, (parts){0}, NULL, 0, false);
    if (first->status == 201) assert_int_equal(there.status, 200);
    if (there.status != 200) {
        answer now = act_campaign(t);
        if (now.status != 201) fail_msg("again: %d %s", now.status, now.body ? now.body : "");
        answer_free(&now);
    }
    answer_free(&there);
    snprintf(path, sizeof path, "/v1/campaigns/c%u/end", t->n);
    answer ended = send(t->f, "POST", path, (parts){0}, "", 0, false);
    assert_int_equal(ended.status, 200);
    answer_free(&ended);
}

/* Reading: the first answer without a failure is the reference. */
static answer get(trial *t, const char *path, const char *const *parameters) {
    return send(t->f, "GET", path, (parts){.parameters = parameters}, NULL, 0, false);
}
static void prepare_reading(trial *t) {
    if (t->reference || t->acked) return;
    for (unsigned i = 0; i < 4; i++, t->n++, t->acked++) {
        make_recording(t, i % 2 ? "7" : "8");
        answer a = put_from(t, 0, t->size);
        assert_int_equal(a.status, 201);
        answer_free(&a);
    }
    answer a = post_records(t);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    t->next += BATCH;
}
static void same_or_again(trial *t, const answer *first, answer now, const char *what) {
    assert_int_equal(now.status, 200);
    assert_non_null(now.body);
    if (first->status == 200)
        assert_string_equal(first->body, now.body);
    else
        expect_again(first, what);
    if (t->reference) assert_string_equal(t->reference, now.body);
    free(t->reference);
    t->reference = now.body;
}
static answer act_query(trial *t) {
    static const char *const q[] = {
        "q", "unit = 7 and event = hard_brake and max(/ego.speed_mps) > 1 and near(1000, 0, 5000)",
        NULL};
    return get(t, "/v1/query", q);
}
static void recover_query(trial *t, const answer *first) {
    same_or_again(t, first, act_query(t), "query");
}
static answer act_read_records(trial *t) {
    return get(t, "/v1/records", (const char *const[]){"unit", "7", NULL});
}
static void recover_read_records(trial *t, const answer *first) {
    same_or_again(t, first, act_read_records(t), "reading records");
}
static answer act_slice(trial *t) {
    answer a = get(t, "/v1/slice", (const char *const[]){"q", "event = hard_brake", "topics",
                                                        "/ego", "before_s", "1", NULL});
    if (a.status != 200) return a;
    fw_error error;
    fw_hash hash;
    assert_int_equal(fw_hash_file(a.file, &hash, &error), FW_OK);
    a.body = __real_strdup(hash.hex);
    return a;
}
static void recover_slice(trial *t, const answer *first) {
    same_or_again(t, first, act_slice(t), "slice");
}
static answer act_report(trial *t) {
    static const char body[] = "{\"tick\":5,\"recordings\":1,\"spool_bytes\":2,\"lost_bytes\":0}";
    char path[60];
    snprintf(path, sizeof path, "/v1/units/u%u/report", t->n);
    return send(t->f, "POST", path, (parts){0}, body, strlen(body), false);
}
static void recover_report(trial *t, const answer *first) {
    if (first->status != 200) expect_again(first, "report");
    answer now = act_report(t);
    assert_int_equal(now.status, 200);
    answer_free(&now);
}

static void prepare_erase(trial *t) {
    char unit[32];
    snprintf(unit, sizeof unit, "gone-%u", t->n);
    make_recording(t, unit);
    answer a = put_from(t, 0, t->size);
    assert_int_equal(a.status, 201);
    answer_free(&a);
}
static answer act_erase(trial *t) {
    static const char body[] = "{\"reason\":\"asked\"}";
    char path[80];
    snprintf(path, sizeof path, "/v1/units/%s/erase", t->unit);
    return send(t->f, "POST", path, (parts){0}, body, strlen(body), false);
}
static void recover_erase(trial *t, const answer *first) {
    char path[FW_PATH_MAX];
    if (first->status != 200) expect_again(first, "erase");
    answer now = act_erase(t);
    if (now.status != 200 && now.status != 404) fail_msg("again: %d %s", now.status, now.body);
    answer again = put_from(t, 0, t->size);
    assert_int_equal(again.status, 410);
    if (now.status == 200) { /* 404: all but its last step was done; the next start does that */
        fw_objects_path(&t->f->factory->objects, t->hash.hex, path);
        assert_false(fw_file_exists(path));
    }
    answer_free(&now), answer_free(&again);
}

/* Starting is an act too. */
static void prepare_start(trial *t) {
    prepare_upload(t);
    answer a = put_from(t, 0, t->size);
    assert_int_equal(a.status, 201);
    t->acked++;
    answer_free(&a);
    a = post_records(t);
    assert_int_equal(a.status, 200);
    t->next += BATCH;
    answer_free(&a);
    fixture_stop(t->f);
}
static answer act_start(trial *t) {
    fw_error error = {""};
    fw_factory *factory = NULL;
    fw_status status = fw_factory_open(&t->f->config, &factory, &error);
    if (status != FW_OK) return (answer){.status = 503, .body = __real_strdup(error.text)};
    fw_factory_close(factory);
    return (answer){.status = 200};
}
static void recover_start(trial *t, const answer *first) {
    if (first->status != 200) assert_true(first->body[0] != '\0');
    fixture_start(t->f);
}

/* ---- what must hold ---- */

static void expect_whole(trial *t, bool deep) {
    fixture *f = t->f;
    fw_check_report report;
    fw_error error = {""};
    fixture_stop(f);
    if (fw_catalogue_check(f->config.env, f->data, &any_line, deep, &report, &error) != FW_OK)
        fail_msg("%s", error.text);
    fixture_start(f);
    if (!fw_check_equal(&report))
        fail_msg("missing %lld, left over %lld, unlisted %lld, unknown %lld, differing %lld",
                 (long long)report.missing, (long long)report.left_over,
                 (long long)report.unlisted, (long long)report.unknown,
                 (long long)report.differing);
    assert_int_equal(status_number(f, "recordings"), t->acked);
    assert_int_equal(status_number(f, "events"), 2 * t->acked);
}

/* Each record of the stream once, in order. */
static void expect_records(trial *t) {
    uint64_t seen = 0, since = 0;
    for (bool more = true; more;) {
        char number[32];
        snprintf(number, sizeof number, "%llu", (unsigned long long)since);
        answer a = get(t, "/v1/records", (const char *const[]){"unit", "7", "since", number, NULL});
        assert_int_equal(a.status, 200);
        uint64_t before = seen;
        for (char *at = a.body, *end; at && (end = strchr(at, '\n')); at = end + 1) {
            *end = '\0';
            json_t *json = json_loads(at, 0, NULL);
            assert_non_null(json);
            json_t *record = json_object_get(json, "record");
            assert_int_equal(json_integer_value(json_object_get(record, "record")), seen);
            since = (uint64_t)json_integer_value(json_object_get(json, "sequence"));
            seen++;
            json_decref(json);
        }
        more = seen > before;
        answer_free(&a);
    }
    assert_int_equal(seen, t->next);
}

enum { FAILURES_MAX = 20000, LOOK_EVERY = 400 };

static unsigned fail_each(trial *t, const step *s, failure kind) {
    unsigned n = 1, stride = kind >= FAIL_DISK ? 1 : STRIDE * (s->stride ? s->stride : 1);
    if (kind == FAIL_MEMORY_STAYS) stride *= 7;
    for (bool failed = true; failed; n += stride, t->n++) {
        assert_true(n < FAILURES_MAX);
        if (s->prepare) s->prepare(t);
        failures_arm(t->f, kind, n);
        answer first = s->act(t);
        failed = failures_disarm(t->f);
        s->recover(t, &first);
        answer_free(&first);
        if (t->n % LOOK_EVERY == 0) expect_whole(t, false);
    }
    return n;
}

static void run(void **state, const step *s) {
    trial *t = calloc(1, sizeof *t);
    t->f = *state;
    for (failure kind = FAIL_MEMORY; kind <= FAIL_DISK_STAYS; kind++) {
        unsigned n = fail_each(t, s, kind);
        print_message("%s: %u failures of %s\n", s->name, n - 1, failure_names[kind]);
        expect_whole(t, kind == FAIL_DISK_STAYS);
        expect_records(t);
    }
    free(t->reference);
    free(t);
}

#define TEST(name, stride, ...)                                          \
    static void name(void **state) {                             \
        static const step s = {#name, stride, __VA_ARGS__};              \
        run(state, &s);                                          \
    }

TEST(upload_in_two_parts, 1, prepare_upload, act_upload, recover_upload)
TEST(the_same_upload_again, 1, prepare_repeat, act_repeat, recover_repeat)
TEST(a_batch_of_records, 1, NULL, post_records, recover_records)
TEST(the_same_batch_again, 1, prepare_repeated_records, post_records, recover_repeated_records)
TEST(a_campaign, 1, NULL, act_campaign, recover_campaign)
TEST(a_query, 1, prepare_reading, act_query, recover_query)
TEST(reading_records, 1, prepare_reading, act_read_records, recover_read_records)
TEST(a_slice, 1, prepare_reading, act_slice, recover_slice)
TEST(a_report, 1, NULL, act_report, recover_report)
TEST(an_erasure, 1, prepare_erase, act_erase, recover_erase)
TEST(a_start, 8, prepare_start, act_start, recover_start)

/* With an argument: the tests of that name alone. */
int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    setenv("FLYWHEEL_LOG", "error", 1);
    fw_log_start("test");
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 1); /* flushes cost nothing there */
    failures_setup();
#define T(test) cmocka_unit_test_setup_teardown(test, setup, fixture_close)
    const struct CMUnitTest tests[] = {
        T(upload_in_two_parts), T(the_same_upload_again), T(a_batch_of_records),
        T(the_same_batch_again), T(a_campaign), T(a_query), T(reading_records),
        T(a_slice), T(a_report), T(an_erasure), T(a_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
