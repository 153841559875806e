/* /metrics is what a Prometheus server can read, and counts what happened. */
#include <ctype.h>
#include <math.h>

#include "fixture.h"

/* ---- a small parser of the text format 0.0.4 ---- */

enum { SAMPLES_MAX = 512 };

typedef struct sample {
    char name[80], label[140]; /* label: name="value", "" for none */
    double value;
} sample;

typedef struct parsed {
    sample samples[SAMPLES_MAX];
    int count;
} parsed;

static size_t name_size(const char *at) {
    if (!isalpha((unsigned char)*at) && *at != '_' && *at != ':') return 0;
    size_t size = 1;
    while (isalnum((unsigned char)at[size]) || at[size] == '_' || at[size] == ':') size++;
    return size;
}

/* The family that a sample belongs to: of a histogram without its ending. */
static bool in_family(const char *name, const char *family, const char *type) {
    size_t size = strlen(family);
    if (strncmp(name, family, size) != 0) return false;
    if (strcmp(type, "histogram") != 0) return name[size] == '\0';
    return strcmp(name + size, "_bucket") == 0 || strcmp(name + size, "_sum") == 0 ||
           strcmp(name + size, "_count") == 0;
}

static void parse_sample(const char *line, const char *family, const char *type, parsed *out) {
    assert_true(out->count < SAMPLES_MAX);
    sample *s = &out->samples[out->count++];
    size_t size = name_size(line);
    assert_true(size > 0 && size < sizeof s->name);
    snprintf(s->name, sizeof s->name, "%.*s", (int)size, line);
    if (!in_family(s->name, family, type)) fail_msg("%s under # TYPE %s", s->name, family);
    const char *at = line + size;
    s->label[0] = '\0';
    if (*at == '{') {
        const char *begin = ++at;
        size_t label = name_size(at);
        assert_true(label > 0 && at[label] == '=' && at[label + 1] == '"');
        for (at += label + 2; *at && *at != '"'; at++)
            if (*at == '\\') assert_true(*++at == '\\' || *at == '"' || *at == 'n');
        assert_true(*at == '"' && at[1] == '}');
        snprintf(s->label, sizeof s->label, "%.*s", (int)(at + 1 - begin), begin);
        at += 2;
    }
    assert_int_equal(*at, ' ');
    char *end;
    s->value = strtod(at + 1, &end);
    if (end == at + 1 || *end) fail_msg("no number: %s", line);
    for (int i = 0; i + 1 < out->count; i++)
        if (strcmp(out->samples[i].name, s->name) == 0 &&
            strcmp(out->samples[i].label, s->label) == 0)
            fail_msg("twice: %s", line);
}

static void parse(char *text, parsed *out) {
    char family[80] = "", type[20] = "", help[80] = "", *rest, seen[4096] = " ";
    out->count = 0;
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line + 7, "%79s", help), 1);
            assert_true(strlen(line) > strlen(help) + 9);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            char once[84];
            assert_int_equal(sscanf(line + 7, "%79s %19s", family, type), 2);
            assert_string_equal(family, help);
            assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 ||
                        strcmp(type, "histogram") == 0);
            if (strcmp(type, "counter") == 0)
                assert_string_equal(family + strlen(family) - 6, "_total");
            snprintf(once, sizeof once, " %s ", family);
            assert_null(strstr(seen, once)); /* a family comes once, in one piece */
            assert_true(strlen(seen) + strlen(once) < sizeof seen);
            strcat(seen, once);
        } else {
            parse_sample(line, family, type, out);
        }
    }
}

static const sample *find(const parsed *p, const char *name, const char *label) {
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->samples[i].name, name) == 0 && strcmp(p->samples[i].label, label) == 0)
            return &p->samples[i];
    return NULL;
}

static double value(const parsed *p, const char *name, const char *label) {
    const sample *s = find(p, name, label);
    if (!s) fail_msg("no %s{%s}", name, label);
    return s->value;
}

static void ask(fixture *f, parsed *out) {
    headers none = {{NULL}, {NULL}};
    fw_http_request request = {.method = "GET", .path = "/metrics", .header = header_of,
                               .query = no_query, .native = &none};
    fw_http_response r = {0};
    f->app.handle(f->app.self, &request, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_int_equal(strlen(r.body), r.body_bytes);
    parse(r.body, out);
    free(r.body);
}

static void it_counts_what_happened(void **state) {
    fixture *f = *state;
    static parsed before, after;
    ask(f, &before);
    assert_int_equal(value(&before, "flywheel_uploads_total", "result=\"whole\""), 0);
    assert_null(find(&before, "flywheel_requests_total", "code=\"201\""));
    assert_int_equal(put_mcap(f, "car-1", 1, 0), 201);
    assert_int_equal(put_mcap(f, "car-1", 1, 0), 200);
    assert_int_equal(put_mcap(f, "car-2", 2, 0), 201);
    assert_int_equal(put(f, "car-1", "GIF89a", 7), 422);
    assert_int_equal(call(f, "POST", "/v1/units/7/report", "{}", NULL), 200);
    assert_int_equal(call(f, "GET", "/v1/nothing", NULL, NULL), 404);
    ask(f, &after);
    assert_int_equal(value(&after, "flywheel_uploads_total", "result=\"whole\""), 2);
    assert_int_equal(value(&after, "flywheel_uploads_total", "result=\"repeated\""), 1);
    assert_int_equal(value(&after, "flywheel_uploads_total", "result=\"refused\""), 1);
    assert_int_equal(value(&after, "flywheel_uploads_open", ""), 0);
    assert_int_equal(value(&after, "flywheel_upload_commits_total", ""), 2);
    assert_true(value(&after, "flywheel_upload_bytes_total", "") > 1000);
    assert_int_equal(value(&after, "flywheel_requests_total", "code=\"201\""), 2);
    assert_int_equal(value(&after, "flywheel_requests_total", "code=\"404\""), 1);
    assert_int_equal(value(&after, "flywheel_requests_open", ""), 1); /* this one */
    assert_int_equal(value(&after, "flywheel_recordings", "state=\"kept\""), 2);
    assert_int_equal(value(&after, "flywheel_units", ""), 1);
    assert_int_equal(value(&after, "flywheel_job_running", ""), 0);
    assert_true(value(&after, "flywheel_disk_used_bytes", "") > 0);
    assert_true(value(&after, "flywheel_disk_cap_bytes", "") >
                value(&after, "flywheel_disk_used_bytes", ""));
}

static void records_and_flushes_are_counted(void **state) {
    fixture *f = *state;
    static parsed p;
    fw_records_ack ack;
    fw_error error;
    fw_records_batch batch = {.name = {"a", "b", "c"}, .payload = (const uint8_t *)"1\n2\n3\n",
                              .payload_bytes = 6};
    assert_int_equal(fw_records_append(f->factory->records, &batch, &ack, &error), FW_OK);
    assert_int_equal(fw_records_append(f->factory->records, &batch, &ack, &error), FW_OK);
    ask(f, &p);
    assert_int_equal(value(&p, "flywheel_records_total", ""), 3);
    assert_int_equal(value(&p, "flywheel_records_repeated_total", ""), 3);
    assert_int_equal(value(&p, "flywheel_record_bytes_total", ""), 6);
    assert_int_equal(value(&p, "flywheel_record_batches_total", "result=\"taken\""), 1);
    assert_int_equal(value(&p, "flywheel_record_commits_total", ""), 1);
    assert_int_equal(value(&p, "flywheel_records_sequence", ""), 3);
    assert_int_equal(value(&p, "flywheel_records_segments", ""), 1);
    double count = value(&p, "flywheel_flush_seconds_count", "");
    assert_int_equal(count, 1);
    assert_true(value(&p, "flywheel_flush_seconds_bucket", "le=\"+Inf\"") == count);
    double last = 0;
    for (int i = 0; i < p.count; i++) {
        if (strcmp(p.samples[i].name, "flywheel_flush_seconds_bucket") != 0) continue;
        assert_true(p.samples[i].value >= last); /* cumulative */
        last = p.samples[i].value;
    }
}

static void labels_are_escaped(void **state) {
    fw_metrics_text out = {0};
    (void)state;
    fw_metrics_line(&out, "a", "b", "x\"y\\z\n", 1.5);
    fw_metrics_line(&out, "a", NULL, NULL, 1e18);
    fw_metrics_line(&out, "a", "le", "+Inf", (double)INFINITY);
    assert_string_equal(out.text, "a{b=\"x\\\"y\\\\z\\n\"} 1.5\na 1e+18\na{le=\"+Inf\"} +Inf\n");
    free(out.text);
}

static void a_flush_falls_into_its_bucket(void **state) {
    fw_metrics m = {0};
    (void)state;
    fw_metrics_flush(&m, -5);
    fw_metrics_flush(&m, 100000);
    fw_metrics_flush(&m, 100001);
    fw_metrics_flush(&m, INT64_MAX / 4);
    assert_int_equal(m.flush[0], 2);
    assert_int_equal(m.flush[1], 1);
    assert_int_equal(m.flush[FW_METRICS_FLUSH_BUCKETS - 1], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_counts_what_happened, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(records_and_flushes_are_counted, fixture_open,
                                        fixture_close),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(a_flush_falls_into_its_bucket),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
