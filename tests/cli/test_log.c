/* flywheel log as a user meets it: what it prints (golden files; FLYWHEEL_BLESS=1 accepts the
 * present output), what it writes, and what it refuses. */
#include <dirent.h>

#include "program.h"

#include "base/file.h"
#include "cli/cmd_log.h"

#define GOLDEN FW_SOURCE_DIR "/tests/cli/golden/"

#define ok(expression)                                                                             \
    do {                                                                                           \
        fw_error ok_error = {.text = ""};                                                          \
        fw_error *error = &ok_error;                                                               \
        if ((expression) != FW_OK) fail_msg("%s", ok_error.text);                                  \
    } while (0)

static char folder[64], output[1 << 20];

/* -------------------------------------------------------------------------- making ----- */

/* message M { string name = 1; repeated int32 list = 2; } as protoc describes it. */
static const char descriptor[] =
    "\n\x2d\n\x07m.proto\x12\x01p\"\x1f\n\x01M\x12\x0c\n\x04name\x18\x01 \x01(\t"
    "\x12\x0c\n\x04list\x18\x02 \x03(\x05";
static const char point_text[] =
    "Point p\nstring[] tags\n====\nMSG: pkg/Point\nfloat32 x\nint64 y\n";
static const char point_bytes[] = "\0\1\0\0\0\0\xc0\x3f\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff"
                                  "\1\0\0\0\2\0\0\0t";
static const char idl_text[] =
    "module pkg { module msg { enum E { OFF, ON }; struct T { E e; octet raw[3]; }; }; };";

typedef struct made {
    uint8_t bytes[1 << 23];
    fw_mcap_memory memory;
} made;
static made file;

static void save(const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ok(fw_file_write_durable(fw_env_real(), path, file.bytes, file.memory.size_bytes, error));
}

static fw_mcap_writer *begin(const fw_mcap_writer_options *options) {
    fw_mcap_writer *w;
    file.memory = (fw_mcap_memory){.bytes = file.bytes, .capacity_bytes = sizeof file.bytes};
    ok(fw_mcap_writer_open(options, &w, error));
    ok(fw_mcap_writer_begin(w, fw_mcap_memory_sink(&file.memory), "test", "test_log", error));
    return w;
}

static void end(fw_mcap_writer *w, const char *name) {
    ok(fw_mcap_writer_end(w, error));
    fw_mcap_writer_close(w);
    save(name);
}

static void add(fw_mcap_writer *w, uint16_t channel, uint32_t sequence, uint64_t ms,
                const void *data, size_t size) {
    ok(fw_mcap_writer_message(w, channel, sequence, ms * 1000000, ms * 1000000 + 1, data, size,
                              error));
}

/* Every kind of payload, an attachment, metadata; messages not in the order of their times. */
static void make_mixed(const char *name) {
    const fw_mcap_writer_options options = {.compression = FW_MCAP_NONE, .chunk_bytes = 300};
    fw_mcap_writer *w = begin(&options);
    uint16_t schema[3], channel[5];
    const fw_mcap_pair pairs[] = {{"unit", "car-1"}};
    ok(fw_mcap_writer_add_schema(w, "p.M", "protobuf", descriptor, sizeof descriptor - 1,
                                 &schema[0], error));
    ok(fw_mcap_writer_add_schema(w, "pkg/msg/P", "ros2msg", point_text, sizeof point_text - 1,
                                 &schema[1], error));
    ok(fw_mcap_writer_add_schema(w, "pkg/msg/T", "ros2idl", idl_text, sizeof idl_text - 1,
                                 &schema[2], error));
    ok(fw_mcap_writer_add_channel(w, 0, "/json", "json", pairs, 1, &channel[0], error));
    ok(fw_mcap_writer_add_channel(w, schema[0], "/proto", "protobuf", NULL, 0, &channel[1], error));
    ok(fw_mcap_writer_add_channel(w, schema[1], "/ros", "cdr", NULL, 0, &channel[2], error));
    ok(fw_mcap_writer_add_channel(w, schema[2], "/idl", "cdr", NULL, 0, &channel[3], error));
    ok(fw_mcap_writer_add_channel(w, 0, "/a b", "raw", NULL, 0, &channel[4], error));
    ok(fw_mcap_writer_metadata(w, "about", pairs, 1, error));
    ok(fw_mcap_writer_attachment(w, 1, 2, "notes.txt", "text/plain", "hello", 5, error));
    for (uint32_t i = 0; i < 4; i++) {
        char json[64];
        size_t size = (size_t)snprintf(json, sizeof json, "{ \"i\": %u, \"say\": \"hi\" }", i);
        add(w, channel[0], i, 1000 + 100 * i, json, size);
        add(w, channel[1], i, 1010 + 100 * i, "\n\1x\x12\2\1\7", 7);
        add(w, channel[2], i, 1020 + 100 * i, point_bytes, sizeof point_bytes);
        add(w, channel[3], i, 1005 + 100 * i, "\0\1\0\0\1\0\0\0\1\2\3", 11);
        add(w, channel[4], i, 1040 + 100 * i, "\xff\0", 2);
    }
    end(w, name);
}

/* `count` JSON messages of topic /json (metadata as in mixed) and /other from `ms` on. */
static void make_plain(const char *name, uint64_t ms, uint32_t count) {
    const fw_mcap_writer_options options = {
        .compression = FW_MCAP_NONE, .chunk_bytes = 4096, .chunks_max = 100000};
    fw_mcap_writer *w = begin(&options);
    uint16_t channel[2];
    const fw_mcap_pair pairs[] = {{"unit", "car-1"}};
    ok(fw_mcap_writer_add_channel(w, 0, "/other", "json", NULL, 0, &channel[0], error));
    ok(fw_mcap_writer_add_channel(w, 0, "/json", "json", pairs, 1, &channel[1], error));
    for (uint32_t i = 0; i < count; i++) {
        char json[64];
        size_t size = (size_t)snprintf(json, sizeof json, "{\"n\":%u}", i);
        add(w, channel[i % 2], i, ms + 100 * i, json, size);
    }
    end(w, name);
}

static int make(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fw_log_XXXXXX");
    if (!mkdtemp(folder)) return -1;
    make_mixed("mixed.mcap");
    make_plain("plain.mcap", 950, 6);
    return 0;
}

static int clean(void **state) {
    (void)state;
    fw_error error;
    return fw_folder_remove(folder, &error) == FW_OK ? 0 : -1;
}

/* ------------------------------------------------------------------------- running ----- */

/* Runs `flywheel log WORDS` in the folder; stdout and stderr into output. */
static int run(const char *words) {
    char command[900];
    snprintf(command, sizeof command, "cd %s && %s log %s 2>&1", folder, PROGRAM, words);
    return run_command(command, output, sizeof output);
}

static void expect(const char *words, int status, const char *text) {
    int got = run(words);
    expect_outcome(words, got, status, text, output);
}

static void expect_golden(const char *words, int status, const char *name) {
    char path[400], *golden = NULL;
    size_t size = 0;
    int got = run(words);
    if (got != status)
        fail_msg("flywheel log %s: status %d, not %d: %s", words, got, status, output);
    snprintf(path, sizeof path, GOLDEN "%s", name);
    if (getenv("FLYWHEEL_BLESS") != NULL)
        ok(fw_file_write_durable(fw_env_real(), path, output, strlen(output), error));
    ok(fw_file_read(path, sizeof output, &golden, &size, error));
    if (strcmp(golden, output) != 0)
        fail_msg("flywheel log %s differs from %s (FLYWHEEL_BLESS=1 accepts it):\n%s", words, path,
                 output);
    free(golden);
}

static unsigned lines(const char *text) {
    unsigned count = 0;
    for (; *text; text++) count += *text == '\n';
    return count;
}

static void expect_lines(const char *words, unsigned count) {
    int status = run(words);
    if (status != 0 || lines(output) != count)
        fail_msg("flywheel log %s: status %d, %u lines, not %u: %s", words, status, lines(output),
                 count, output);
}

static fw_mcap_info info_of(const char *name) {
    char path[200];
    fw_mcap_info info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ok(fw_mcap_validate(NULL, path, &info, error));
    return info;
}

static bool is_there(const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fw_file_exists(path);
}

/* No temporary file was left. */
static void expect_tidy(void) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strstr(e->d_name, ".tmp")) fail_msg("%s was left", e->d_name);
    closedir(dir);
}

/* --------------------------------------------------------------------------- tests ----- */

static void what_is_printed(void **state) {
    (void)state;
    expect_golden("info mixed.mcap", 0, "log_info.txt");
    expect_golden("info mixed.mcap plain.mcap --json", 0, "log_info.json");
    expect_golden("cat mixed.mcap", 0, "log_cat.txt");
    expect_golden("cat mixed.mcap plain.mcap --json", 0, "log_cat.json");
    expect_golden("doctor mixed.mcap", 0, "log_doctor.txt");
    expect_golden("doctor mixed.mcap plain.mcap --json", 0, "log_doctor.json");
}

static void cat_chooses(void **state) {
    (void)state;
    expect_lines("cat mixed.mcap", 20);
    expect_lines("cat mixed.mcap --topic /json --topic '/a b'", 8);
    expect_lines("cat mixed.mcap --topic /gone", 0);
    expect_lines("cat mixed.mcap --start 1.2", 10);
    expect_lines("cat mixed.mcap --start 1.2 --end 1.205", 1);
    expect_lines("cat mixed.mcap --end 1100000000ns", 5);
    expect_lines("cat mixed.mcap --start 1970-01-01T00:00:01.1Z --limit 3", 3);
    expect_lines("cat mixed.mcap --limit 0", 0);
}

static void times_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"0", 0},
                {"12", 12000000000},
                {"12.5", 12500000000},
                {"1700000000.123456789", 1700000000123456789},
                {"1700000000123456789", 1700000000123456789},
                {"5ns", 5},
                {"2023-11-14", 1699920000000000000},
                {"2023-11-14T22:13:20", 1700000000000000000},
                {"2023-11-14T22:13:20.25Z", 1700000000250000000}};
    static const char *const bad[] = {"",
                                      "-1",
                                      "x",
                                      "12.",
                                      "12.5.5",
                                      "12.1234567890",
                                      "12s",
                                      "2023-13-01",
                                      "2023-11-14T22:13",
                                      "1969-01-01",
                                      "99999999999999999999999999",
                                      "999999999999",
                                      "2023-11-14T22:13:20+01:00"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t ns = 1;
        ok(fw_log_parse_time(good[i].text, &ns, error));
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t ns;
        if (fw_log_parse_time(bad[i], &ns, NULL) != FW_INVALID) fail_msg("'%s' was taken", bad[i]);
    }
}

static void filter_copies_a_part(void **state) {
    (void)state;
    expect("filter mixed.mcap --out f1.mcap --topic /json --topic /ros", 0,
           "8 messages, 2 channels");
    fw_mcap_info info = info_of("f1.mcap");
    assert_int_equal(info.message_count, 8);
    assert_int_equal(info.channel_count, 2);
    assert_int_equal(info.schema_count, 1);
    assert_int_equal(info.attachment_count, 1);
    assert_int_equal(info.metadata_count, 1);
    assert_string_equal(info.profile, "test");
    fw_mcap_info_free(&info);
    expect("filter mixed.mcap --out f2.mcap --every 3", 0, "10 messages, 5 channels");
    expect("cat f2.mcap --topic /json", 0, "\"i\":3");
    expect("filter mixed.mcap --out f3.mcap --start 1.1 --end 1.3", 0, "10 messages");
    expect("filter mixed.mcap --out f4.mcap --topic /gone", 0, "0 messages, 0 channels");
    expect_tidy();
}

static void merge_joins_by_time(void **state) {
    (void)state;
    expect("merge mixed.mcap plain.mcap --out m.mcap", 0, "26 messages, 6 channels");
    fw_mcap_info info = info_of("m.mcap"); /* /json is in both, under different ids */
    assert_int_equal(info.message_count, 26);
    assert_int_equal(info.schema_count, 3);
    assert_int_equal(info.attachment_count, 1);
    fw_mcap_info_free(&info);
    expect_lines("cat m.mcap --topic /json", 7);
    assert_int_equal(run("cat m.mcap"), 0);
    char *merged = strdup(output);
    assert_int_equal(run("cat mixed.mcap plain.mcap"), 0);
    assert_string_equal(merged, output);
    free(merged);
    expect("doctor m.mcap", 0, "intact");
    assert_null(strstr(output, "not_sorted"));
}

static void convert_keeps_what_is_said(void **state) {
    (void)state;
    static const char *const names[] = {"zstd", "lz4", "none"};
    assert_int_equal(run("cat mixed.mcap --json"), 0);
    char *before = strdup(output);
    for (int i = 0; i < 3; i++) {
        char words[100];
        snprintf(words, sizeof words, "convert mixed.mcap --out c_%s.mcap --compression %s",
                 names[i], names[i]);
        expect(words, 0, "20 messages, 5 channels");
        snprintf(words, sizeof words, "cat c_%s.mcap --json", names[i]);
        assert_int_equal(run(words), 0);
        assert_string_equal(output, before);
    }
    free(before);
    expect("convert mixed.mcap --out c_small.mcap --compression none --chunk-bytes 100", 0,
           "20 messages");
    fw_mcap_info small = info_of("c_small.mcap"), large = info_of("c_none.mcap");
    assert_true(small.chunk_count[FW_MCAP_NONE] >= 10);
    assert_int_equal(large.chunk_count[FW_MCAP_NONE], 1);
    fw_mcap_info_free(&small);
    fw_mcap_info_free(&large);
}

static void outputs_never_surprise(void **state) {
    (void)state;
    make_mixed("in.mcap");
    make_mixed("there.mcap");
    expect("convert in.mcap --out there.mcap", 1, "--force replaces it");
    expect("convert in.mcap --out in.mcap", 1, "--force replaces it");
    expect("convert in.mcap --out in.mcap --force --compression zstd", 0, "20 messages");
    expect_lines("cat in.mcap", 20);
    expect("convert in.mcap --out gone/out.mcap", 1, "cannot create");
    expect("convert gone.mcap --out out.mcap", 1, "gone.mcap");
    assert_false(is_there("out.mcap"));
    expect_tidy();
}

/* The first `size` bytes of mixed.mcap. */
static size_t cut(const char *name, size_t size) {
    make_mixed("whole.mcap");
    size_t whole = file.memory.size_bytes;
    file.memory.size_bytes = size < whole ? size : whole;
    save(name);
    return whole;
}

static void broken_files_are_recovered(void **state) {
    (void)state;
    size_t whole = cut("cut.mcap", 1800);
    expect("info cut.mcap", 1, "flywheel: ");
    expect("doctor cut.mcap", 1, "broken");
    expect("doctor cut.mcap --json", 1, "\"intact\":false");
    expect("cat cut.mcap", 1, "cut or broken");
    assert_true(lines(output) > 1);
    expect("convert cut.mcap --out never.mcap", 1, "flywheel log recover");
    expect("merge mixed.mcap cut.mcap --out never.mcap", 1, "flywheel log recover");
    assert_false(is_there("never.mcap"));
    expect("recover cut.mcap --out saved.mcap", 0, "was cut or broken");
    fw_mcap_info info = info_of("saved.mcap");
    assert_true(info.message_count > 0 && info.message_count < 20);
    fw_mcap_info_free(&info);
    expect("recover mixed.mcap --out again.mcap --json", 0, "\"messages\":20");
    assert_non_null(strstr(output, "\"was_whole\":true"));
    for (size_t size = 100; size < whole; size += 97) {
        cut("cut.mcap", size);
        expect("recover cut.mcap --out saved.mcap --force", 0, "written   saved.mcap");
        info = info_of("saved.mcap");
        fw_mcap_info_free(&info);
    }
    cut("cut.mcap", 5);
    expect("recover cut.mcap --out none.mcap", 1, "flywheel: ");
    assert_false(is_there("none.mcap"));
    expect_tidy();
}

static void what_cannot_be_decoded_is_shown(void **state) {
    (void)state;
    fw_mcap_writer *w = begin(NULL);
    uint16_t channel[2], schema;
    ok(fw_mcap_writer_add_schema(w, "pkg/msg/T", "ros2idl", "union", 5, &schema, error));
    ok(fw_mcap_writer_add_channel(w, 0, "/json", "json", NULL, 0, &channel[0], error));
    ok(fw_mcap_writer_add_channel(w, schema, "/idl", "cdr", NULL, 0, &channel[1], error));
    add(w, channel[0], 0, 1, "{]", 2);
    add(w, channel[0], 0, 2, "{}", 2);
    add(w, channel[1], 0, 3, "abc", 3);
    end(w, "odd.mcap");
    expect("cat odd.mcap", 1, "2 of 3 messages could not be decoded: json: byte 1");
    assert_non_null(strstr(
        output,
        "/json {\"error\":\"json: byte 1: no key where one must stand\",\"base64\":\"e10=\"}"));
    assert_non_null(strstr(output, "/json {}\n"));
    assert_non_null(strstr(output, "/idl {\"error\":\"idl: line 1: union"));
    expect("doctor odd.mcap", 0, "undecodable: /json: json: byte 1");
}

static void wrong_usage_is_2(void **state) {
    (void)state;
    expect("", 2, "want info, cat");
    expect("dance", 2, "want info, cat");
    expect("info", 2, "want info FILE");
    expect("cat", 2, "want cat FILE");
    expect("convert mixed.mcap", 2, "--out NEW");
    expect("convert a b --out c", 2, "want convert FILE --out NEW");
    expect("cat mixed.mcap --start noon", 2, "no time");
    expect("cat mixed.mcap --start 5 --end 4", 2, "--end is not after --start");
    expect("cat mixed.mcap --topic", 2, "--topic needs a value");
    expect("convert mixed.mcap --out c --compression best", 2, "none, zstd or lz4");
    expect("filter mixed.mcap --out c --every 0", 2, "--every");
    expect("info mixed.mcap --every 2", 2, "--every");
    expect("--help", 0, "flywheel log doctor FILE");
    expect("merge --help", 0, "usage: flywheel log merge FILE");
}

/* Ctrl-C at several moments: the new file is whole, or there is none. */
static void an_interrupt_leaves_nothing_half(void **state) {
    (void)state;
    make_plain("large.mcap", 1000, 60000);
    for (int i = 0; i < 6; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            if (chdir(folder) != 0 || !freopen("/dev/null", "w", stderr)) _exit(99);
            execl(PROGRAM, PROGRAM, "log", "convert", "large.mcap", "--out", "new.mcap", "--force",
                  "--chunk-bytes", "1000", (char *)NULL);
            _exit(98);
        }
        usleep((useconds_t)(20000 * (i + 1)));
        kill(pid, i % 2 ? SIGTERM : SIGINT);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        /* Killed before it catches signals, exit 1 when caught, exit 0 when it was done. */
        if (WIFEXITED(status)) assert_in_range(WEXITSTATUS(status), 0, 1);
        if (is_there("new.mcap")) {
            fw_mcap_info info = info_of("new.mcap");
            assert_int_equal(info.message_count, 60000);
            fw_mcap_info_free(&info);
        }
        expect_tidy();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed),
        cmocka_unit_test(cat_chooses),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(filter_copies_a_part),
        cmocka_unit_test(merge_joins_by_time),
        cmocka_unit_test(convert_keeps_what_is_said),
        cmocka_unit_test(outputs_never_surprise),
        cmocka_unit_test(broken_files_are_recovered),
        cmocka_unit_test(what_cannot_be_decoded_is_shown),
        cmocka_unit_test(wrong_usage_is_2),
        cmocka_unit_test(an_interrupt_leaves_nothing_half),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
