/* The door: what is acked is durable, what is refused is nowhere. */
#include "fixture.h"

static uint8_t bytes[MCAP_MAX];

static fw_http_response put_right(fixture *f, size_t size, headers h) {
    fw_hash hash = fw_hash_bytes(bytes, size);
    return put_cut(f, hash.hex, bytes, size, size, h);
}

static void expect_error(fw_http_response r, int status, const char *word) {
    if (r.status != status) fail_msg("%d, not %d: %s", r.status, status, r.body ? r.body : "");
    if (!r.body || !strstr(r.body, word)) fail_msg("no '%s' in %s", word, r.body ? r.body : "");
    free(r.body);
}

static void a_receipt_and_the_same_again(void **state) {
    fixture *f = *state;
    size_t size = make_mcap(bytes, 1, 3);
    fw_http_response first = put_right(f, size, unit_headers("car-1"));
    fw_http_response again = put_right(f, size, unit_headers("car-1"));
    assert_int_equal(first.status, 201);
    assert_int_equal(again.status, 200);
    assert_string_equal(first.body, again.body);
    json_t *receipt = json_loads(first.body, 0, NULL), *events;
    assert_int_equal(json_integer_value(json_object_get(receipt, "size_bytes")), size);
    assert_int_equal(json_integer_value(json_object_get(receipt, "sequence")), 1);
    json_decref(receipt);
    free(first.body);
    free(again.body);
    assert_int_equal(status_number(f, "recordings"), 1);
    assert_int_equal(status_number(f, "events"), 3);
    assert_int_equal(call(f, "GET", "/v1/events", NULL, &events), 200);
    const json_t *event = json_array_get(events, 2); /* newest first */
    assert_string_equal(json_string_value(json_object_get(event, "kind")), "hard_brake");
    assert_string_equal(json_string_value(json_object_get(event, "unit")), "car-1");
    assert_int_equal(json_integer_value(json_object_get(event, "time_ns")), 2000);
    json_decref(events);
}

static void bytes_come_back_whole(void **state) {
    fixture *f = *state;
    char path[120];
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size), got;
    fw_error error;
    assert_int_equal(put(f, "car-1", bytes, size), 201);
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    headers none = {{NULL}, {NULL}};
    fw_http_request request = {
        .method = "GET", .path = path, .header = header_of, .query = no_query, .native = &none};
    fw_http_response r = {0};
    f->app.handle(f->app.self, &request, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(fw_hash_file(r.file_path, &got, &error), FW_OK);
    assert_string_equal(got.hex, hash.hex);
    request.method = "HEAD";
    r = (fw_http_response){0};
    f->app.handle(f->app.self, &request, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(atoll(answer_header(&r, "Upload-Offset")), size);
}

static void wrong_hash_is_refused(void **state) {
    fixture *f = *state;
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash other = fw_hash_bytes("other", 5);
    expect_error(put_cut(f, other.hex, bytes, size, size, unit_headers("car-1")), 422, "SHA-256");
    assert_int_equal(status_number(f, "recordings"), 0);
    assert_int_equal(fw_objects_part_bytes(&f->factory->objects, other.hex), 0);
}

static void truncated_and_hostile_files_are_refused(void **state) {
    fixture *f = *state;
    size_t size = make_mcap(bytes, 1, 2);
    for (size_t cut = 0; cut < size; cut += 1 + size / 40) {
        if (cut == 0) continue;
        fw_http_response r = put_right(f, cut, unit_headers("car-1"));
        expect_error(r, 422, "error");
    }
    for (size_t at = 0; at < size;
         at += 1 + size / 60) { /* any flipped byte breaks a CRC or a form */
        make_mcap(bytes, 1, 2);
        bytes[at] ^= 0x55;
        fw_http_response r = put_right(f, size, unit_headers("car-1"));
        assert_true(r.status == 422 || r.status == 201);
        if (at < 8 && r.status != 422) fail_msg("a broken magic was taken");
        free(r.body);
    }
    memcpy(bytes, "GIF89a", 7);
    expect_error(put_right(f, 7, unit_headers("car-1")), 422, "magic");
    size = make_mcap(bytes, 2, 0);
    int64_t recordings = status_number(f, "recordings");
    fw_http_response r = put_right(f, size - 1, unit_headers("car-1"));
    expect_error(r, 422, "error");
    assert_int_equal(status_number(f, "recordings"), recordings);
}

static void hostile_events_are_refused(void **state) {
    fixture *f = *state;
    fw_mcap_writer *writer;
    fw_error error;
    uint16_t event;
    const char *const evil[] = {"{\"event\":\"<script>\"}", "[]", "{\"event\":7}", "nonsense",
                                "{\"event\":\"\"}"};
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        fw_mcap_memory memory = {bytes, MCAP_MAX, 0};
        assert_int_equal(fw_mcap_writer_open(NULL, &writer, &error), FW_OK);
        assert_int_equal(fw_mcap_writer_begin(writer, fw_mcap_memory_sink(&memory), "", "", &error),
                         FW_OK);
        assert_int_equal(
            fw_mcap_writer_add_channel(writer, 0, "/event", "json", NULL, 0, &event, &error),
            FW_OK);
        assert_int_equal(
            fw_mcap_writer_message(writer, event, 0, 1, 1, evil[i], strlen(evil[i]), &error),
            FW_OK);
        assert_int_equal(fw_mcap_writer_end(writer, &error), FW_OK);
        fw_mcap_writer_close(writer);
        expect_error(put_right(f, memory.size_bytes, unit_headers("car-1")), 422, "event");
    }
    assert_int_equal(status_number(f, "recordings"), 0);
}

static void over_the_limit_is_413(void **state) {
    fixture *f = *state;
    static char big[200000];
    fw_hash hash = fw_hash_bytes(big, sizeof big);
    expect_error(put_cut(f, hash.hex, big, sizeof big, sizeof big, unit_headers("car-1")), 413,
                 "limit");
    headers undeclared = unit_headers("car-1"); /* total not known: stopped on the way */
    undeclared.names[2] = "Content-Length", undeclared.values[2] = NULL;
    expect_error(put_cut(f, hash.hex, big, sizeof big, sizeof big, undeclared), 413, "longer");
    assert_int_equal(fw_objects_part_bytes(&f->factory->objects, hash.hex), 0);
}

static int64_t offset_of(fixture *f, const char *hash, int *status) {
    char path[120];
    headers none = {{NULL}, {NULL}};
    snprintf(path, sizeof path, "/v1/objects/%s", hash);
    fw_http_request request = {
        .method = "HEAD", .path = path, .header = header_of, .query = no_query, .native = &none};
    fw_http_response r = {0};
    f->app.handle(f->app.self, &request, &r);
    *status = r.status;
    return atoll(answer_header(&r, "Upload-Offset"));
}

static headers ranged(char text[80], size_t first, size_t last, size_t total) {
    headers h = unit_headers("car-1");
    snprintf(text, 80, "bytes %zu-%zu/%zu", first, last, total);
    h.names[2] = "Content-Range", h.values[2] = text;
    return h;
}

static void a_cut_upload_is_resumed(void **state) {
    fixture *f = *state;
    char range[80];
    int status;
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size);
    assert_int_equal(offset_of(f, hash.hex, &status), 0);
    assert_int_equal(status, 404);
    put_cut(f, hash.hex, bytes, size, 1000, unit_headers("car-1")); /* sender vanishes */
    assert_int_equal(offset_of(f, hash.hex, &status), 1000);
    assert_int_equal(status, 202);
    fixture_stop(f); /* and so does the factory */
    fixture_start(f);
    assert_int_equal(offset_of(f, hash.hex, &status), 1000);
    fw_http_response r = put_cut(f, hash.hex, bytes + 1100, size - 1100, size - 1100,
                                 ranged(range, 1100, size - 1, size));
    assert_string_equal(answer_header(&r, "Upload-Offset"), "1000"); /* a gap */
    expect_error(r, 409, "1000");
    r = put_cut(f, hash.hex, bytes + 900, 600, 600,
                ranged(range, 900, 1499, size)); /* a part, overlapping */
    assert_int_equal(r.status, 202);
    assert_string_equal(answer_header(&r, "Upload-Offset"), "1500");
    free(r.body);
    r = put_cut(f, hash.hex, bytes + 1500, size - 1500, size - 1500,
                ranged(range, 1500, size - 1, size));
    assert_int_equal(r.status, 201);
    free(r.body);
    assert_int_equal(offset_of(f, hash.hex, &status), size);
    assert_int_equal(status, 200);
}

static void a_spoilt_part_starts_again(void **state) {
    fixture *f = *state;
    char range[80], path[FW_PATH_MAX];
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size);
    put_cut(f, hash.hex, bytes, size, 1000, unit_headers("car-1"));
    fw_objects_part_path(&f->factory->objects, hash.hex, path);
    char zeros[1000] = {0}; /* what a power cut may leave */
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, file), sizeof zeros);
    fclose(file);
    fw_http_response r = put_cut(f, hash.hex, bytes + 1000, size - 1000, size - 1000,
                                 ranged(range, 1000, size - 1, size));
    assert_string_equal(answer_header(&r, "Upload-Offset"), "0");
    expect_error(r, 409, "whole");
    assert_int_equal(put(f, "car-1", bytes, size), 201);
}

static void an_abandoned_upload_goes_after_an_hour(void **state) {
    fixture *f = *state;
    fw_error error;
    int status;
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size);
    put_cut(f, hash.hex, bytes, size, 1000, unit_headers("car-1"));
    f->faults.skip_ns += 3500LL * 1000000000;
    assert_int_equal(fw_factory_tick(f->factory, &error), FW_OK);
    assert_int_equal(offset_of(f, hash.hex, &status), 1000);
    f->faults.skip_ns += 700LL * 1000000000;
    assert_int_equal(fw_factory_tick(f->factory, &error), FW_OK);
    assert_int_equal(offset_of(f, hash.hex, &status), 0);
    assert_int_equal(status, 404);
}

static void malformed_requests_are_400(void **state) {
    fixture *f = *state;
    size_t size = make_mcap(bytes, 1, 0);
    const char *const ranges[] = {"bytes 0-1/x", "0-1/2",        "bytes 5-4/9",
                                  "bytes 0-9/5", "bytes -1-2/3", "bytes 0-3/99999999999999999999"};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        headers h = unit_headers("car-1");
        h.names[2] = "Content-Range", h.values[2] = ranges[i];
        expect_error(put_right(f, size, h), 400, "Content-Range");
    }
    expect_error(put_right(f, size, (headers){{NULL}, {NULL}}), 400, "Flywheel-Unit");
    expect_error(put_right(f, size, unit_headers("../../etc")), 400, "Flywheel-Unit");
    expect_error(put_right(f, size, unit_headers("a name of much more than thirty-one letters")),
                 400, "Flywheel-Unit");
    headers kind = {{"Flywheel-Kind"}, {"dataset"}};
    expect_error(put_right(f, size, kind), 400, "Flywheel-Kind");
    expect_error(put_cut(f, "../../../../etc/passwd", bytes, size, size, unit_headers("a")), 404,
                 "");
    expect_error(put_cut(f, "ABCDEF", bytes, size, size, unit_headers("a")), 400, "SHA-256");
    assert_int_equal(status_number(f, "recordings"), 0);
}

static void one_upload_of_a_hash_at_a_time(void **state) {
    fixture *f = *state;
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size);
    headers h = unit_headers("car-1");
    char path[120];
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    fw_http_request request = {
        .method = "PUT", .path = path, .header = header_of, .query = no_query, .native = &h};
    fw_http_response first = {0};
    void *sink = f->app.open_sink(f->app.self, &request, &first);
    assert_non_null(sink);
    expect_error(put_right(f, size, unit_headers("car-1")), 409, "under way");
    f->app.close_sink(f->app.self, sink);
    assert_int_equal(put(f, "car-1", bytes, size), 201);
}

static void models_are_checked_too(void **state) {
    fixture *f = *state;
    headers h = {{"Flywheel-Kind"}, {"model"}};
    strcpy((char *)bytes, "a poisoned network");
    expect_error(put_right(f, 18, h), 422, "poisoned");
    strcpy((char *)bytes, "a good network");
    fw_http_response r = put_right(f, 14, h);
    assert_int_equal(r.status, 201);
    free(r.body);
    assert_int_equal(status_number(f, "recordings"), 0);
}

/* After each fault, at each place: an ack means durable, no ack means that trying again works. */
static void any_write_may_fail_and_nothing_acked_is_lost(void **state) {
    fixture *f = *state;
    fw_error error;
    int acked = 0;
    bool reached = true;
    assert_int_equal(put_mcap(f, "car-0", 1000, 1), 201);
    for (unsigned n = 1; reached; n++) {
        for (int code = 0; code < 2; code++) {
            int salt = (int)(2 * n) + code;
            size_t size = make_mcap(bytes, salt, 1);
            fw_hash hash = fw_hash_bytes(bytes, size), got;
            char path[FW_PATH_MAX];
            f->faults.calls = 0;
            f->faults.fail_at = n;
            f->faults.fail_errno = code ? ENOSPC : EIO;
            int status = put(f, "car-1", bytes, size);
            reached = f->faults.calls >= n;
            f->faults.fail_at = 0;
            assert_int_equal(status, !reached ? 201 : code ? 507 : 500);
            fixture_stop(f);
            fixture_start(f);
            if (status != 201) {
                assert_int_equal(status_number(f, "recordings"), 1 + acked);
                assert_int_equal(put(f, "car-1", bytes, size), 201);
            }
            acked++;
            assert_int_equal(status_number(f, "recordings"), 1 + acked);
            fw_objects_path(&f->factory->objects, hash.hex, path);
            assert_int_equal(fw_hash_file(path, &got, &error), FW_OK);
            assert_string_equal(got.hex, hash.hex);
        }
    }
    assert_true(acked > 6); /* write, flush, rename, flush of the folder were all reached */
}

static void a_full_disk_is_507_with_retry(void **state) {
    fixture *f = *state;
    size_t size = make_mcap(bytes, 1, 0);
    f->faults.fail_at = 1, f->faults.calls = 0, f->faults.stays = true;
    f->faults.fail_errno = ENOSPC;
    fw_http_response r = put_right(f, size, unit_headers("car-1"));
    assert_non_null(answer_header(&r, "Retry-After"));
    expect_error(r, 507, "No space left");
    f->faults.fail_at = 0;
    assert_int_equal(put(f, "car-1", bytes, size), 201);
}

static void a_full_catalogue_is_507_too(void **state) {
    fixture *f = *state;
    fw_error error;
    int64_t pages;
    char sql[80];
    sqlite3 *db = fw_catalogue_read(f->factory->catalogue);
    assert_int_equal(fw_db_int(db, &error, &pages, "PRAGMA page_count", ""), FW_OK);
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld", (long long)pages);
    assert_int_equal(fw_db_script(db, &error, sql), FW_OK);
    fw_catalogue_read_end(f->factory->catalogue);
    int taken = 0, status = 0;
    while (taken < 500 && (status = put_mcap(f, "car-1", 5000 + taken, 20)) == 201) taken++;
    assert_int_equal(status, 507);
    assert_int_equal(status_number(f, "recordings"), taken);
    db = fw_catalogue_read(f->factory->catalogue);
    assert_int_equal(fw_db_script(db, &error, "PRAGMA max_page_count=1000000"), FW_OK);
    fw_catalogue_read_end(f->factory->catalogue);
    assert_int_equal(put_mcap(f, "car-1", 5000 + taken, 20), 201);
    assert_int_equal(status_number(f, "recordings"), taken + 1);
}

static const char *state_of(json_t *list, const char *unit, int salt) {
    static uint8_t again[MCAP_MAX];
    size_t size = make_mcap(again, salt, unit[0] == 'e'), at;
    fw_hash hash = fw_hash_bytes(again, size);
    json_t *row;
    json_array_foreach(
        list, at, row) if (strcmp(json_string_value(json_object_get(row, "sha256")), hash.hex) ==
                           0) return json_string_value(json_object_get(row, "state"));
    return "absent";
}

/* A cap that leaves this much beside the catalogue. */
static void set_cap(fixture *f, size_t beside_bytes) {
    fw_error error;
    int64_t pages, page_bytes;
    sqlite3 *db = fw_catalogue_read(f->factory->catalogue);
    assert_int_equal(fw_db_int(db, &error, &pages, "PRAGMA page_count", ""), FW_OK);
    assert_int_equal(fw_db_int(db, &error, &page_bytes, "PRAGMA page_size", ""), FW_OK);
    fw_catalogue_read_end(f->factory->catalogue);
    f->factory->ingest.disk_cap_bytes = (uint64_t)(pages * page_bytes) + beside_bytes;
}

static void the_disk_cap_expires_the_dullest_first(void **state) {
    fixture *f = *state;
    json_t *list;
    size_t size = make_mcap(bytes, 10, 1);
    set_cap(f, 4 * size + size / 2);
    assert_int_equal(put_mcap(f, "e1", 1, 1), 201); /* with an event: goes second */
    assert_int_equal(put_mcap(f, "q3", 2, 0), 201); /* held out: never goes */
    assert_int_equal(put_mcap(f, "q1", 3, 0), 201); /* dull: goes first */
    assert_int_equal(put_mcap(f, "e1", 4, 1), 201);
    assert_int_equal(put_mcap(f, "e1", 5, 1), 201); /* one must go */
    assert_int_equal(call(f, "GET", "/v1/recordings", NULL, &list), 200);
    assert_int_equal(json_array_size(list), 5); /* still listed */
    assert_string_equal(state_of(list, "q1", 3), "expired");
    assert_string_equal(state_of(list, "e1", 1), "kept");
    assert_string_equal(state_of(list, "q3", 2), "kept");
    json_decref(list);
    assert_int_equal(put_mcap(f, "e1", 6, 1), 201);
    assert_int_equal(call(f, "GET", "/v1/recordings", NULL, &list), 200);
    assert_string_equal(state_of(list, "e1", 1), "expired");
    json_decref(list);
    size = make_mcap(bytes, 3, 0);
    fw_hash gone = fw_hash_bytes(bytes, size);
    char path[120];
    snprintf(path, sizeof path, "/v1/objects/%s", gone.hex);
    assert_int_equal(call(f, "GET", path, NULL, NULL), 410);
    int status;
    assert_int_equal(offset_of(f, gone.hex, &status), size);
    assert_int_equal(status, 410);
    fw_http_response r = put_right(f, size, unit_headers("q1")); /* the receipt; not stored again */
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"expired\":true"));
    free(r.body);
    f->factory->ingest.disk_cap_bytes = 100;
    assert_int_equal(put_mcap(f, "e1", 7, 1), 507);
    assert_int_equal(call(f, "GET", "/v1/recordings", NULL, &list), 200);
    assert_string_equal(state_of(list, "q3", 2), "kept");
    json_decref(list);
}

/* Begins a PUT of `name` that announces total bytes (0: none) and sends nothing yet. */
static void *begin_put(fixture *f, const char *name, size_t total, int *status) {
    char path[120], length[32];
    fw_hash hash = fw_hash_bytes(name, strlen(name));
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    snprintf(length, sizeof length, "%zu", total);
    headers h = unit_headers("car-1");
    if (total) h.names[2] = "Content-Length", h.values[2] = length;
    fw_http_request request = {
        .method = "PUT", .path = path, .header = header_of, .query = no_query, .native = &h};
    fw_http_response response = {0};
    void *sink = f->app.open_sink(f->app.self, &request, &response);
    *status = response.status;
    free(response.body);
    return sink;
}

static void the_disk_cap_counts_uploads_under_way(void **state) {
    fixture *f = *state;
    static char zeros[30000];
    int status;
    fw_hash part = fw_hash_bytes(zeros, sizeof zeros);
    set_cap(f, 100000);
    void *first = begin_put(f, "one", 60000, &status);
    assert_non_null(first);
    assert_null(begin_put(f, "two", 60000, &status)); /* promised already, though not a byte came */
    assert_int_equal(status, 507);
    assert_null(begin_put(f, "three", 0, &status)); /* undeclared: may become the maximum */
    assert_int_equal(status, 507);
    f->app.close_sink(f->app.self, first);
    put_cut(f, part.hex, zeros, sizeof zeros, 29000, unit_headers("car-1")); /* a part is left */
    assert_null(begin_put(f, "four", 90000, &status));
    assert_int_equal(status, 507);
    void *fits = begin_put(f, "five", 70000, &status);
    assert_non_null(fits);
    f->app.close_sink(f->app.self, fits);
    set_cap(f, 0);
    assert_null(begin_put(f, "six", 1, &status)); /* the catalogue alone fills it */
    assert_int_equal(status, 507);
}

/* ---- what is durable ---- */

static void a_part_that_was_not_flushed_is_gone(void **state) {
    fixture *f = *state;
    char range[80];
    int status;
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size);
    f->faults.fail_errno = EIO;
    f->faults.fail_at = f->faults.calls + 2; /* the flush before 202 */
    fw_http_response r =
        put_cut(f, hash.hex, bytes, 1000, 1000, ranged(range, 0, 999, size));
    assert_int_equal(r.status, 500);
    free(r.body);
    assert_int_equal(offset_of(f, hash.hex, &status), 0);
    assert_int_equal(status, 404);
    put_cut(f, hash.hex, bytes, size, 1000, unit_headers("car-1"));
    f->faults.fail_at = f->faults.calls + 1; /* the flush of HEAD */
    char path[120];
    headers none = {{NULL}, {NULL}};
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    fw_http_request request = {
        .method = "HEAD", .path = path, .header = header_of, .query = no_query, .native = &none};
    r = (fw_http_response){0};
    f->app.handle(f->app.self, &request, &r);
    assert_int_equal(r.status, 500);
    assert_null(answer_header(&r, "Upload-Offset"));
    free(r.body);
    assert_int_equal(offset_of(f, hash.hex, &status), 0);
    f->faults.fail_at = f->faults.calls + 2; /* the flush of the whole */
    assert_int_equal(put(f, "car-1", bytes, size), 500);
    assert_int_equal(offset_of(f, hash.hex, &status), 0);
    assert_int_equal(status, 404);
    assert_int_equal(status_number(f, "recordings"), 0);
    assert_int_equal(put(f, "car-1", bytes, size), 201);
}

static size_t written;
static ssize_t counting_write(void *self, int fd, const void *from, size_t size) {
    (void)self;
    written += size;
    return write(fd, from, size);
}

static void a_resumed_part_is_written_anew(void **state) {
    fixture *f = *state;
    char range[80];
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size);
    put_cut(f, hash.hex, bytes, size, 1000, unit_headers("car-1"));
    f->faults.env.write = counting_write;
    written = 0;
    fw_http_response r = put_cut(f, hash.hex, bytes + 1000, size - 1000, size - 1000,
                                 ranged(range, 1000, size - 1, size));
    f->faults.env.write = faulty_write;
    assert_int_equal(r.status, 201);
    assert_true(written >= size); /* the 1000 that were there, and the rest */
    free(r.body);
}

static void head_tells_what_an_open_upload_has(void **state) {
    fixture *f = *state;
    int status;
    fw_hash hash = fw_hash_bytes("name", 4);
    void *sink = begin_put(f, "name", 5000, &status);
    assert_true(f->app.sink_write(f->app.self, sink, bytes, 700));
    assert_int_equal(offset_of(f, hash.hex, &status), 700);
    assert_true(f->app.sink_write(f->app.self, sink, bytes, 300));
    assert_int_equal(offset_of(f, hash.hex, &status), 1000);
    assert_int_equal(status, 202);
    f->app.close_sink(f->app.self, sink);
}

static void a_head_that_cannot_flush_ends_the_upload_too(void **state) {
    fixture *f = *state;
    char range[80];
    int status;
    size_t size = make_mcap(bytes, 1, 0);
    fw_hash hash = fw_hash_bytes(bytes, size);
    headers h = ranged(range, 0, size - 1, size);
    char path[120];
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    fw_http_request request = {
        .method = "PUT", .path = path, .header = header_of, .query = no_query, .native = &h};
    fw_http_response r = {0};
    request.sink = f->app.open_sink(f->app.self, &request, &r);
    assert_non_null(request.sink);
    assert_true(f->app.sink_write(f->app.self, request.sink, bytes, 1000));
    f->faults.fail_errno = EIO;
    f->faults.fail_at = f->faults.calls + 2; /* HEAD writes, then flushes */
    fw_http_request head = request;
    head.method = "HEAD";
    f->app.handle(f->app.self, &head, &r);
    assert_int_equal(r.status, 500);
    free(r.body);
    assert_false(f->app.sink_write(f->app.self, request.sink, bytes + 1000, size - 1000));
    r = (fw_http_response){0};
    f->app.handle(f->app.self, &request, &r);
    assert_int_equal(r.status, 500);
    free(r.body);
    f->app.close_sink(f->app.self, request.sink);
    assert_int_equal(offset_of(f, hash.hex, &status), 0);
    assert_int_equal(put(f, "car-1", bytes, size), 201);
}

static void too_many_uploads_are_429(void **state) {
    fixture *f = *state;
    int status;
    f->factory->ingest.uploads_max = 2;
    void *one = begin_put(f, "one", 100, &status), *two = begin_put(f, "two", 100, &status);
    assert_true(one && two);
    fw_hash hash = fw_hash_bytes("three", 5);
    fw_http_response r = put_cut(f, hash.hex, "three", 5, 5, unit_headers("car-1"));
    assert_non_null(answer_header(&r, "Retry-After"));
    expect_error(r, 429, "limit");
    f->app.close_sink(f->app.self, one);
    assert_null(begin_put(f, "two", 100, &status));
    assert_int_equal(status, 409); /* under way: that is no matter of room */
    void *three = begin_put(f, "three", 100, &status);
    assert_non_null(three);
    f->app.close_sink(f->app.self, two);
    f->app.close_sink(f->app.self, three);
}

/* ---- together ---- */

typedef struct putter {
    fixture *f;
    int salt, status;
    pthread_t thread;
} putter;

static int slow_sync(void *self, int fd) { /* so that others come meanwhile */
    (void)self;
    fw_env_sleep_ns(fw_env_real(), 20000000);
    return fdatasync(fd);
}

static void *put_one(void *self) {
    putter *p = self;
    uint8_t *own = malloc(MCAP_MAX);
    size_t size = make_mcap(own, p->salt, 1);
    p->status = put(p->f, "car-1", own, size);
    free(own);
    return NULL;
}

static void uploads_that_end_together_share_a_commit(void **state) {
    fixture *f = *state;
    enum { PUTTERS = 12 };
    putter putters[PUTTERS];
    f->faults.env.fdatasync = slow_sync;
    for (int i = 0; i < PUTTERS; i++) {
        putters[i] = (putter){.f = f, .salt = i};
        assert_int_equal(pthread_create(&putters[i].thread, NULL, put_one, &putters[i]), 0);
    }
    for (int i = 0; i < PUTTERS; i++) {
        pthread_join(putters[i].thread, NULL);
        assert_int_equal(putters[i].status, 201);
    }
    f->faults.env.fdatasync = faulty_sync;
    assert_int_equal(status_number(f, "recordings"), PUTTERS);
    assert_int_equal(status_number(f, "events"), PUTTERS);
    uint64_t commits = fw_metrics_get(&f->factory->metrics.upload_commits);
    assert_true(commits >= 1 && commits < PUTTERS);
}

static void one_unit_in_four_is_held_out(void **state) {
    (void)state;
    char name[32];
    int held_out = 0;
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "car-%d", i);
        bool held = strcmp(fw_recordings_role(name), "held_out") == 0;
        assert_int_equal(held, i % 4 == 3);
        snprintf(name, sizeof name, "robot-%c%c", 'a' + i / 26, 'a' + i % 26);
        held_out += strcmp(fw_recordings_role(name), "held_out") == 0;
    }
    assert_true(held_out > 60 && held_out < 140);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_receipt_and_the_same_again),
        TEST(bytes_come_back_whole),
        TEST(wrong_hash_is_refused),
        TEST(truncated_and_hostile_files_are_refused),
        TEST(hostile_events_are_refused),
        TEST(over_the_limit_is_413),
        TEST(a_cut_upload_is_resumed),
        TEST(a_spoilt_part_starts_again),
        TEST(an_abandoned_upload_goes_after_an_hour),
        TEST(malformed_requests_are_400),
        TEST(one_upload_of_a_hash_at_a_time),
        TEST(models_are_checked_too),
        TEST(any_write_may_fail_and_nothing_acked_is_lost),
        TEST(a_full_disk_is_507_with_retry),
        TEST(a_full_catalogue_is_507_too),
        TEST(the_disk_cap_expires_the_dullest_first),
        TEST(the_disk_cap_counts_uploads_under_way),
        TEST(a_part_that_was_not_flushed_is_gone),
        TEST(a_resumed_part_is_written_anew),
        TEST(head_tells_what_an_open_upload_has),
        TEST(a_head_that_cannot_flush_ends_the_upload_too),
        TEST(too_many_uploads_are_429),
        TEST(uploads_that_end_together_share_a_commit),
        TEST(one_unit_in_four_is_held_out),
    };
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
