/* When a recording was made, whatever the unit's clock says. */
#include "factory/ingest/clock.h"

#include "fixture.h"

enum { HOUR = 3600 };
#define NS 1000000000LL
#define NOW (1800000000 * NS)

static fw_recording_clock parsed(const char *text) {
    fw_recording_clock clock;
    fw_error error = {""};
    if (fw_clock_parse(text, NOW, &clock, &error) != FW_OK) fail_msg("%s: %s", text, error.text);
    return clock;
}

static void header_of_clock(char out[300], int64_t start_mono, int64_t start_wall,
                            int64_t sent_mono, int64_t sent_wall) {
    snprintf(out, 300,
             "boot=b-1; start-mono=%lld; start-wall=%lld; sent-mono=%lld; sent-wall=%lld",
             (long long)start_mono, (long long)start_wall, (long long)sent_mono,
             (long long)sent_wall);
}

static void no_header_is_no_clock(void **state) {
    (void)state;
    fw_recording_clock clock = parsed(NULL);
    assert_false(clock.given);
}

static void the_same_boot_is_exact_whatever_the_wall_says(void **state) {
    char text[300];
    (void)state;
    const int64_t walls[] = {0, NOW, NOW - 400 * 24 * HOUR * NS, NOW + 30 * HOUR * NS};
    for (int i = 0; i < 4; i++) {
        header_of_clock(text, 100 * NS, walls[i], 700 * NS, 5);
        fw_recording_clock clock = parsed(text);
        assert_true(clock.given);
        assert_string_equal(clock.boot, "b-1");
        assert_int_equal(clock.mono_ns, 100 * NS);
        assert_int_equal(clock.wall_ns, walls[i]);
        assert_int_equal(clock.recorded_ns, NOW - 600 * NS);
        assert_int_equal(clock.moved_ns, NOW - 600 * NS - walls[i]);
    }
}

static void another_boot_is_corrected_by_the_wall(void **state) {
    char text[300];
    (void)state;
    header_of_clock(text, 5000 * NS, NOW - 10 * HOUR * NS, 20 * NS, NOW - 8 * HOUR * NS);
    fw_recording_clock clock = parsed(text); /* 8 h behind, recorded 2 h before it was sent */
    assert_int_equal(clock.recorded_ns, NOW - 2 * HOUR * NS);
    assert_int_equal(clock.moved_ns, 8 * HOUR * NS);
    clock = parsed("sent-wall=2000; later=1;start-wall=1000;boot=x");
    assert_int_equal(clock.recorded_ns, NOW - 1000);
}

static void nothing_is_recorded_after_it_came(void **state) {
    char text[300];
    (void)state;
    header_of_clock(text, 5 * NS, NOW, 2 * NS, 1000 * NS); /* the wall was set back between */
    assert_int_equal(parsed(text).recorded_ns, NOW);
    header_of_clock(text, 0, 7, (1LL << 61), 7); /* nor before 1970 */
    assert_int_equal(parsed(text).recorded_ns, 0);
    assert_int_equal(parsed(text).moved_ns, -7);
}

static void malformed_headers_are_refused(void **state) {
    const char *const bad[] = {
        "",
        "boot=b",
        "boot=b; start-wall=5",
        "boot=b; start-wall=5; start-mono=9; sent-mono=8",
        "start-wall=5; sent-wall=6",
        "boot=b b; start-wall=5; sent-wall=6",
        "boot=; start-wall=5; sent-wall=6",
        "boot=b; start-wall=-5; sent-wall=6",
        "boot=b; start-wall=5x; sent-wall=6",
        "boot=b; start-wall=99999999999999999999; sent-wall=6",
        "boot=b; boot=c; start-wall=5; sent-wall=6",
        "boot=b; start-wall=5; start-wall=5; sent-wall=6",
        "boot=b; start-wall; sent-wall=6",
        "boot=0123456789012345678901234567890123456; start-wall=5; sent-wall=6",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fw_recording_clock clock;
        fw_error error;
        if (fw_clock_parse(bad[i], NOW, &clock, &error) != FW_INVALID) fail_msg("'%s'", bad[i]);
    }
}

/* Units with clocks off by years send three recordings each; the catalogue has them in the order in
 * which they were made, and says by how much each was moved. */
static void skewed_units_sort_right(void **state) {
    fixture *f = *state;
    const int64_t skews[] = {0, -3650LL * 24 * HOUR * NS / 10, 9 * HOUR * NS};
    static uint8_t bytes[MCAP_MAX];
    int64_t now_ns = f->faults.env.wall_ns(f->faults.env.self);
    for (int n = 0; n < 9; n++) {
        int unit = n % 3;
        int64_t age_ns = (100 - n * 10) * NS, start_mono = 50 * NS + n;
        char text[300], name[16];
        header_of_clock(text, start_mono, now_ns - age_ns + skews[unit], start_mono + age_ns,
                        now_ns + skews[unit]);
        snprintf(name, sizeof name, "car-%d", unit);
        size_t size = make_mcap(bytes, n, 0);
        fw_hash hash = fw_hash_bytes(bytes, size);
        headers h = unit_headers(name);
        h.names[2] = "Flywheel-Clock", h.values[2] = text;
        fw_http_response r = put_cut(f, hash.hex, bytes, size, size, h);
        assert_int_equal(r.status, 201);
        free(r.body);
    }
    sqlite3 *db = fw_catalogue_read(f->factory->catalogue);
    char *order = NULL;
    fw_error error;
    assert_int_equal(fw_db_text(db, &error, &order,
                                "SELECT group_concat(unit,' ') FROM (SELECT unit FROM recordings "
                                "ORDER BY recorded_ns)", ""),
                     FW_OK);
    for (int unit = 0; unit < 3; unit++) {
        int64_t moved_ns = 0;
        char name[16];
        snprintf(name, sizeof name, "car-%d", unit);
        assert_int_equal(fw_db_int(db, &error, &moved_ns,
                                   "SELECT avg(moved_ns) FROM recordings WHERE unit=?", "t", name),
                         FW_OK);
        int64_t off_ns = moved_ns + skews[unit]; /* the test's own run time */
        if (off_ns < 0 || off_ns > 60 * NS) fail_msg("%s moved by %lld", name, (long long)moved_ns);
    }
    fw_catalogue_read_end(f->factory->catalogue);
    assert_string_equal(order, "car-0 car-1 car-2 car-0 car-1 car-2 car-0 car-1 car-2");
    free(order);
}

static void a_bad_header_is_400(void **state) {
    fixture *f = *state;
    headers h = unit_headers("car-1");
    h.names[2] = "Flywheel-Clock", h.values[2] = "yesterday";
    fw_hash hash = fw_hash_bytes("x", 1);
    fw_http_response r = put_cut(f, hash.hex, "x", 1, 1, h);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "Flywheel-Clock"));
    free(r.body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_header_is_no_clock),
        cmocka_unit_test(the_same_boot_is_exact_whatever_the_wall_says),
        cmocka_unit_test(another_boot_is_corrected_by_the_wall),
        cmocka_unit_test(nothing_is_recorded_after_it_came),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test_setup_teardown(skewed_units_sort_right, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_bad_header_is_400, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
