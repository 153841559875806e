/* The HTTP API's edges: routes, methods, the page, reports, models. */
#include "fixture.h"

static fw_http_response ask(fixture *f, const char *method, const char *path) {
    headers none = {{NULL}, {NULL}};
    fw_http_request request = {
        .method = method, .path = path, .header = header_of, .query = no_query, .native = &none};
    fw_http_response r = {0};
    f->app.handle(f->app.self, &request, &r);
    return r;
}

static void unknown_paths_and_methods(void **state) {
    fixture *f = *state;
    fw_http_response r = ask(f, "DELETE", "/v1/models");
    assert_int_equal(r.status, 405);
    assert_string_equal(answer_header(&r, "Allow"), "GET, POST");
    free(r.body);
    const char *const none[] = {
        "/v1",   "/v1/objects/",      "/v1/models/",          "/etc/passwd",
        "/../x", "/v1/units//report", "/v1/units/a/b/report", "/v1/generations/x"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        r = ask(f, "GET", none[i]);
        if (r.status != 404 && r.status != 405) fail_msg("%s gave %d", none[i], r.status);
        free(r.body);
    }
    r = ask(f, "GET", "/v1/objects/zz");
    assert_int_equal(r.status, 400);
    free(r.body);
}

static void lists_are_empty_at_first(void **state) {
    fixture *f = *state;
    const char *const lists[] = {"/v1/units",  "/v1/recordings",  "/v1/models",
                                 "/v1/events", "/v1/generations", "/v1/log"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *json;
        assert_int_equal(call(f, "GET", lists[i], NULL, &json), 200);
        assert_true(json_is_array(json));
        assert_int_equal(json_array_size(json), 0);
        json_decref(json);
    }
}

static void the_page_is_inside(void **state) {
    fixture *f = *state;
    const char *const files[] = {"/", "/app.js", "/replay.js", "/style.css"};
    for (size_t i = 0; i < 3; i++) {
        fw_http_response r = ask(f, "GET", files[i]);
        assert_int_equal(r.status, 200);
        assert_true(r.body_bytes > 100);
        assert_non_null(strstr(answer_header(&r, "Content-Security-Policy"), "default-src 'self'"));
    }
    fw_http_response r = ask(f, "POST", "/");
    assert_int_equal(r.status, 404);
    free(r.body);
}

static void reports_are_checked(void **state) {
    fixture *f = *state;
    json_t *json;
    const char *const bad[] = {
        "", "[]", "{\"active\":\"x\"}", "{\"tick\":-1}", "{\"tick\":1.5}", "{\"staged\":5}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(call(f, "POST", "/v1/units/car-1/report", bad[i], NULL), 400);
    assert_int_equal(call(f, "POST", "/v1/units/car%201/report", "{}", NULL), 400);
    assert_int_equal(call(f, "POST", "/v1/units/car-1/report", "{\"tick\":5}", &json), 200);
    assert_true(json_is_null(json_object_get(json, "target")));
    json_decref(json);
    fw_hash champion = add_champion(f, "generation 0");
    assert_int_equal(
        call(f, "POST", "/v1/units/car-1/report", "{\"tick\":6,\"lost_bytes\":9}", &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "target")), champion.hex);
    json_decref(json);
    fixture_stop(f); /* the fleet is known again after a restart */
    fixture_start(f);
    assert_int_equal(call(f, "GET", "/v1/units", NULL, &json), 200);
    assert_int_equal(json_array_size(json), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "id")), "car-1");
    json_decref(json);
}

static void models_need_their_file(void **state) {
    fixture *f = *state;
    char body[200];
    fw_hash none = fw_hash_bytes("never uploaded", 14);
    snprintf(body, sizeof body, "{\"hash\":\"%s\",\"card\":{}}", none.hex);
    assert_int_equal(call(f, "POST", "/v1/models", body, NULL), 404);
    fw_hash hash = add_champion(f, "generation 0");
    snprintf(body, sizeof body, "{\"hash\":\"%s\",\"card\":{\"parent\":\"../x\"}}", hash.hex);
    assert_int_equal(call(f, "POST", "/v1/models", body, NULL), 400);
    assert_int_equal(call(f, "POST", "/v1/models", "{\"hash\":\"abc\"}", NULL), 400);
    assert_int_equal(call(f, "POST", "/v1/models", "nonsense", NULL), 400);
    snprintf(body, sizeof body, "/v1/models/%s", none.hex);
    assert_int_equal(call(f, "GET", body, NULL, NULL), 404);
}

static void the_first_champion_is_generation_0(void **state) {
    fixture *f = *state;
    json_t *list;
    fw_hash first = add_champion(f, "generation 0");
    add_champion(f, "another");
    assert_int_equal(call(f, "GET", "/v1/generations", NULL, &list), 200);
    assert_int_equal(json_array_size(list), 1);
    const json_t *zero = json_array_get(list, 0);
    assert_int_equal(json_integer_value(json_object_get(zero, "index")), 0);
    assert_string_equal(json_string_value(json_object_get(zero, "model")), first.hex);
    assert_string_equal(json_string_value(json_object_get(zero, "decision")), "promoted");
    json_decref(list);
}

static void live_sends_at_once_and_on_change(void **state) {
    fixture *f = *state;
    char out[8192];
    fw_http_response r = ask(f, "GET", "/v1/live");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "text/event-stream");
    long used = r.stream(r.stream_self, out, sizeof out);
    assert_true(used > 0);
    out[used] = '\0';
    assert_int_equal(strncmp(out, "event: status\ndata: {", 21), 0);
    assert_string_equal(out + used - 2, "\n\n");
    assert_int_equal(r.stream(r.stream_self, out, sizeof out), 0); /* nothing new */
    f->faults.skip_ns += 1000000000LL;
    assert_int_equal(r.stream(r.stream_self, out, sizeof out), 0);
    assert_int_equal(put_mcap(f, "car-1", 1, 0), 201);
    assert_true(r.stream(r.stream_self, out, 10) == 10); /* in pieces */
    assert_true(r.stream(r.stream_self, out, sizeof out) > 100);
    f->faults.skip_ns += 6000000000LL; /* a sign of life */
    assert_true(r.stream(r.stream_self, out, sizeof out) > 100);
    r.stream_free(r.stream_self);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(unknown_paths_and_methods),
        TEST(lists_are_empty_at_first),
        TEST(the_page_is_inside),
        TEST(reports_are_checked),
        TEST(models_need_their_file),
        TEST(the_first_champion_is_generation_0),
        TEST(live_sends_at_once_and_on_change),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
