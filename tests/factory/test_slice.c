/* Slices: many recordings as one file that keeps every message, in order, and says whose it is. */
#include "drives.h"

#include "factory/query/slice.h"

static const drive drives[] = {
    {.unit = "7", .speed_mps = 10, .seconds = 20, .brakes = 2, .start_ns = 1000},
    {.unit = "8", .speed_mps = 11, .seconds = 30, .brakes = 1, .start_ns = 500},
    {.unit = "7", .speed_mps = 12, .seconds = 10, .start_ns = 5000000000},
};

static void prepare(fixture *f) {
    for (size_t i = 0; i < sizeof drives / sizeof *drives; i++)
        assert_int_equal(put_drive(f, drives[i].unit, &drives[i], NULL), 201);
}

/* What a slice holds. */
typedef struct counted {
    int messages, sources;
    uint64_t first_ns, last_ns;
    char topics[400], cut[8];
} counted;

static void count_topic(counted *c, const char *topic) {
    size_t used = strlen(c->topics);
    if (strstr(c->topics, topic)) return;
    snprintf(c->topics + used, sizeof c->topics - used, "%s ", topic);
}

static counted look(const char *path) {
    counted c = {0};
    fw_mcap_reader *reader;
    fw_mcap_record record;
    fw_error error = {""};
    fw_mcap_text value;
    char topic[100];
    assert_int_equal(fw_mcap_validate(NULL, path, NULL, &error), FW_OK);
    assert_int_equal(fw_mcap_reader_open_path(NULL, path, &reader, &error), FW_OK);
    while (fw_mcap_reader_next(reader, &record, &error) == FW_OK) {
        if (record.opcode == FW_MCAP_METADATA) {
            const fw_mcap_metadata *m = &record.of.metadata;
            c.sources += fw_mcap_text_is(m->name, "flywheel.source");
            if (fw_mcap_map_find(m->map, "cut", &value))
                assert_true(fw_mcap_text_copy(value, c.cut, sizeof c.cut));
        }
        if (record.opcode != FW_MCAP_MESSAGE) continue;
        const fw_mcap_message *m = &record.of.message;
        assert_true(m->log_time_ns >= c.last_ns);
        if (c.messages++ == 0) c.first_ns = m->log_time_ns;
        c.last_ns = m->log_time_ns;
        assert_true(fw_mcap_text_copy(m->channel->topic, topic, sizeof topic));
        count_topic(&c, topic);
        assert_true(fw_mcap_map_find(m->channel->metadata, "unit", &value));
        assert_memory_equal(value.bytes, topic + strlen("/unit/"), value.size_bytes);
    }
    fw_mcap_reader_close(reader);
    return c;
}

/* Asks for a slice; parameters in turn, NULL at the end. *c is filled when it is there. */
static int slice(fixture *f, const char *const *parameters, counted *c) {
    fw_http_response r = ask_raw(f, "GET", "/v1/slice", parameters, NULL);
    if (r.status == 200) *c = look(r.file_path);
    free(r.body);
    return r.status;
}
#define SLICE(c, ...) slice(f, (const char *const[]){__VA_ARGS__, NULL}, c)

static void all_messages_in_order(void **state) {
    fixture *f = *state;
    counted c;
    prepare(f);
    assert_int_equal(SLICE(&c, "q", ""), 200);
    assert_int_equal(c.messages, 20 + 2 + 30 + 1 + 10);
    assert_int_equal(c.sources, 3);
    assert_int_equal(c.first_ns, 500);
    assert_string_equal(c.cut, "false");
    assert_string_equal(c.topics, "/unit/8/ego /unit/8/event /unit/7/ego /unit/7/event ");
}

static void topics_queries_and_windows_choose(void **state) {
    fixture *f = *state;
    counted c;
    prepare(f);
    assert_int_equal(SLICE(&c, "q", "unit = 7"), 200);
    assert_int_equal(c.messages, 32);
    assert_int_equal(SLICE(&c, "q", "", "topics", "/event"), 200);
    assert_int_equal(c.messages, 3);
    assert_string_equal(c.topics, "/unit/8/event /unit/7/event ");
    assert_int_equal(SLICE(&c, "q", "unit = 7", "topics", "/ego,/event", "before_s", "1", "after_s",
                           "2.5"),
                     200); /* events at 0 s and 1 s: up to 3.5 s */
    assert_int_equal(c.messages, 4 + 2);
    assert_int_equal(c.sources, 1);
    assert_int_equal(SLICE(&c, "q", "event = hard_brake", "after_s", "0"), 200);
    assert_int_equal(c.messages, 2 + 2 + 1 + 1);
}

static void what_cannot_be_is_said(void **state) {
    fixture *f = *state;
    counted c;
    prepare(f);
    assert_int_equal(SLICE(&c, "q", "unit = 99"), 404);
    assert_int_equal(SLICE(&c, "q", "unit ="), 400);
    assert_int_equal(SLICE(&c, "q", "", "before_s", "soon"), 400);
    assert_int_equal(SLICE(&c, "q", "event = veto", "before_s", "1"), 404);
}

static void a_slice_is_cut_where_told(void **state) {
    fixture *f = *state;
    counted c;
    prepare(f);
    assert_int_equal(SLICE(&c, "q", "", "max_bytes", "4000"), 200);
    assert_string_equal(c.cut, "true");
    assert_true(c.messages < 63);
}

static void slices_leave_room_for_uploads(void **state) {
    fixture *f = *state;
    counted c;
    prepare(f);
    f->factory->slices_open = 2; /* threads of others */
    assert_int_equal(SLICE(&c, "q", ""), 503);
    f->factory->slices_open = 1;
    assert_int_equal(SLICE(&c, "q", ""), 200);
    assert_int_equal(f->factory->slices_open, 1);
    assert_string_equal(c.cut, "false");
    uint64_t cap = f->factory->ingest.disk_cap_bytes;
    char folder[120];
    snprintf(folder, sizeof folder, "%s/slices", f->data);
    uint64_t whole = fw_folder_size_bytes(folder);
    f->factory->ingest.disk_cap_bytes = 4 * (whole + 5000);
    assert_int_equal(SLICE(&c, "q", ""), 200); /* what is left of a quarter of the cap */
    assert_string_equal(c.cut, "true");
    assert_true(fw_folder_size_bytes(folder) <= whole + 5000);
    f->factory->ingest.disk_cap_bytes = 4 * whole;
    assert_int_equal(SLICE(&c, "q", ""), 507);
    f->factory->ingest.disk_cap_bytes = cap;
}

static void it_is_kept_for_an_hour_under_its_name(void **state) {
    fixture *f = *state;
    char path[120], folder[120];
    prepare(f);
    fw_http_response r = ask_raw(f, "POST", "/v1/slice", (const char *const[]){"q", "", NULL}, NULL);
    assert_int_equal(r.status, 201);
    json_t *json = json_loadb(r.body, r.body_bytes, 0, NULL);
    free(r.body);
    assert_int_equal(json_integer_value(json_object_get(json, "messages")), 63);
    snprintf(path, sizeof path, "/v1/slices/%s", json_string_value(json_object_get(json, "slice")));
    r = ask_raw(f, "GET", path, NULL, NULL);
    assert_int_equal(r.status, 200);
    assert_int_equal(look(r.file_path).messages, 63);
    f->faults.skip_ns += 3700 * 1000000000LL;
    fw_error error;
    assert_int_equal(fw_factory_tick(f->factory, &error), FW_OK);
    r = ask_raw(f, "GET", path, NULL, NULL);
    assert_int_equal(r.status, 404);
    free(r.body);
    snprintf(folder, sizeof folder, "%s/slices", f->data);
    assert_int_equal(fw_folder_size_bytes(folder), 0);
    assert_int_equal(call(f, "GET", "/v1/slices/..", NULL, NULL), 404);
    json_decref(json);
}

/* The same slice twice gives the same bytes; it may be uploaded as a recording of its own form. */
static void it_is_a_recording_like_any_other(void **state) {
    fixture *f = *state;
    prepare(f);
    char *bytes[2];
    size_t sizes[2];
    fw_error error = {""};
    for (int i = 0; i < 2; i++) {
        fw_http_response r = ask_raw(f, "GET", "/v1/slice", (const char *const[]){"q", "", NULL}, NULL);
        assert_int_equal(r.status, 200);
        assert_int_equal(fw_file_read(r.file_path, 1 << 20, &bytes[i], &sizes[i], &error), FW_OK);
        f->faults.skip_ns += 1000; /* another name */
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    assert_int_equal(put(f, "archive", bytes[0], sizes[0]), 201);
    assert_int_equal(found(f, "form = slice and unit = archive and topic = /unit/7/ego"), 1);
    free(bytes[0]);
    free(bytes[1]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(all_messages_in_order),        TEST(topics_queries_and_windows_choose),
        TEST(what_cannot_be_is_said),       TEST(a_slice_is_cut_where_told),
        TEST(slices_leave_room_for_uploads),
        TEST(it_is_kept_for_an_hour_under_its_name), TEST(it_is_a_recording_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
