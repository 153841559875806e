/* Importers against small sources made here, and against the real data where FLYWHEEL_DATA is set. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "import/dbc.h"
#include "import/import.h"
#include "import/npy.h"
#include "mcap/mcap.h"

static char folder[] = "/tmp/fw_import_XXXXXX";

static const char *put_file(const char *name, const void *bytes, size_t size) {
    static char path[4][FW_PATH_MAX];
    static int turn;
    char *out = path[turn++ % 4];
    fw_error error;
    fw_path_join(out, FW_PATH_MAX, folder, name);
    assert_int_equal(fw_file_write_durable(fw_env_real(), out, bytes, size, &error), FW_OK);
    return out;
}

static const char *put_text(const char *name, const char *text) {
    return put_file(name, text, strlen(text));
}

static fw_status run(const char *format, const char *source, const char *mapping,
                     fw_import_result *out, fw_error *error) {
    fw_import_request request = {.source = source, .mapping = mapping, .unit = "7",
                                 .line = "driving", .folder = folder};
    return fw_import(format, &request, out, error);
}

/* Files of the folder that an import made and did not take away. */
static int files_left(const char *end) {
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name), end_size = strlen(end);
        count += size > end_size && strcmp(entry->d_name + size - end_size, end) == 0;
    }
    closedir(dir);
    return count;
}

/* Message `index` of a topic as JSON; its time into *time_ns. NULL when there are fewer. */
static json_t *message_of(const fw_imported *file, const char *topic, int index,
                          int64_t *time_ns) {
    fw_mcap_reader *reader;
    fw_mcap_message message;
    fw_error error;
    json_t *found = NULL;
    assert_int_equal(fw_mcap_reader_open_path(NULL, file->path, &reader, &error), FW_OK);
    while (!found && fw_mcap_reader_next_message(reader, &message, &error) == FW_OK) {
        if (!fw_mcap_text_is(message.channel->topic, topic) || index-- > 0) continue;
        found = json_loadb((const char *)message.data, message.size_bytes, 0, NULL);
        assert_non_null(found);
        if (time_ns) *time_ns = (int64_t)message.log_time_ns;
    }
    fw_mcap_reader_close(reader);
    return found;
}

static double number_of(const fw_imported *file, const char *topic, int index, const char *field) {
    json_t *json = message_of(file, topic, index, NULL);
    assert_non_null(json);
    json_t *value = json_object_get(json, field);
    double number = json_is_number(value) ? json_number_value(value) : (double)NAN;
    json_decref(json);
    return number;
}

static void check_files(const fw_import_result *made, const char *form) {
    fw_error error;
    uint64_t messages = 0;
    assert_true(made->count > 0);
    for (uint32_t i = 0; i < made->count; i++) {
        fw_mcap_info info;
        fw_hash hash;
        assert_int_equal(fw_mcap_validate(NULL, made->files[i].path, &info, &error), FW_OK);
        assert_int_equal(info.message_count, made->files[i].messages);
        messages += info.message_count;
        fw_mcap_info_free(&info);
        assert_int_equal(fw_hash_file(made->files[i].path, &hash, &error), FW_OK);
        assert_string_equal(hash.hex, made->files[i].hash.hex);
    }
    assert_int_equal(messages, made->messages);
    fw_mcap_indexed *indexed;
    fw_mcap_metadata metadata;
    fw_mcap_text value;
    assert_int_equal(fw_mcap_indexed_open_path(NULL, made->files[0].path, &indexed, &error), FW_OK);
    assert_int_equal(fw_mcap_indexed_metadata(indexed, 0, &metadata, &error), FW_OK);
    assert_true(fw_mcap_text_is(metadata.name, "flywheel"));
    assert_true(fw_mcap_map_find(metadata.map, "form", &value) && fw_mcap_text_is(value, form));
    assert_true(fw_mcap_map_find(metadata.map, "unit", &value) && fw_mcap_text_is(value, "7"));
    fw_mcap_indexed_close(indexed);
}

static void done(fw_import_result *made) {
    for (uint32_t i = 0; i < made->count; i++) unlink(made->files[i].path);
    fw_import_result_clear(made);
}

/* ---- candump and DBC ---- */

static const char dbc_text[] =
    "VERSION \"\"\n\nBU_: ECU\n\n"
    "BO_ 291 Engine: 8 ECU\n"
    " SG_ Speed : 0|16@1+ (0.01,0) [0|655.35] \"km/h\" Vector__XXX\n"
    " SG_ Torque : 16|12@1- (0.5,-10) [0|0] \"Nm\" Vector__XXX\n"
    " SG_ Big : 39|16@0+ (1,0) [0|0] \"\" Vector__XXX\n"
    " SG_ BigSigned : 55|16@0- (1,0) [0|0] \"\" Vector__XXX\n\n"
    "BO_ 2566844672 Wide: 8 ECU\n"
    " SG_ Kind M : 0|8@1+ (1,0) [0|0] \"\" ECU\n"
    " SG_ A m0 : 8|8@1+ (1,0) [0|0] \"\" ECU\n"
    " SG_ B m1 : 8|8@1- (2,1) [0|0] \"\" ECU\n"
    " SG_ F : 32|32@1- (1,0) [0|0] \"\" ECU\n\n"
    "SIG_VALTYPE_ 2566844672 F : 1;\n";

static void frames_and_their_signals(void **state) {
    (void)state;
    /* 0x123: 4660 * 0.01; -1 * 0.5 - 10; 0x0102; 0xfffe. 0x18fef100: switch 1: -2 * 2 + 1; 1.5f */
    const char *log = put_text("car.log",
                               "(1436509052.249713) can0 123#3412FF0F0102FFFE\n"
                               "(1436509052.349713) can0 18FEF100#01FE00000000C03F\r\n"
                               "(1436509052.35) can1 123##1AABB\n"
                               "(1436509053.000001) can0 0F6#R4\n"
                               "(1436509053.100000) can0 20000004#0000000000000000\n"
                               "(1436509053.2) can0 123#11.22.33.44\n");
    fw_import_result made;
    fw_error error;
    int64_t time_ns = 0;
    assert_int_equal(run("candump", log, put_text("car.dbc", dbc_text), &made, &error), FW_OK);
    check_files(&made, "telemetry");
    const fw_imported *f = &made.files[0];
    assert_int_equal(made.skipped, 2);
    json_decref(message_of(f, "/can/can0", 0, &time_ns));
    assert_int_equal(time_ns, 1436509052249713000);
    assert_true(fabs(number_of(f, "/can/can0/Engine", 0, "Speed") - 46.60) < 1e-9);
    assert_true(number_of(f, "/can/can0/Engine", 0, "Torque") == -10.5);
    assert_true(number_of(f, "/can/can0/Engine", 0, "Big") == 0x0102);
    assert_true(number_of(f, "/can/can0/Engine", 0, "BigSigned") == -2);
    assert_true(isnan(number_of(f, "/can/can0/Wide", 0, "A")));
    assert_true(number_of(f, "/can/can0/Wide", 0, "B") == -3);
    assert_true(number_of(f, "/can/can0/Wide", 0, "F") == 1.5);
    assert_true(isnan(number_of(f, "/can/can1/Engine", 0, "Torque"))); /* two bytes only */
    assert_true(number_of(f, "/can/can0", 2, "id") == 0x123);
    done(&made);
}

static void broken_logs_leave_nothing(void **state) {
    (void)state;
    static const char *const logs[] = {
        "", "\n", "hello\n", "(1.0) can0 12#00\n", "(1.0) can0 123#0\n", "(1.0 can0 123#00\n",
        "(-1.0) can0 123#00\n", "(99999999999.0) can0 123#00\n", "(1.0) a/b 123#00\n",
        "(1.0) can0 123#00\n(2.0) can0 xyz#00\n"};
    static const char *const bad_dbc[] = {
        "", "SG_ A : 0|8@1+ (1,0) [0|0] \"\" E\n", "BO_ x\n",
        "BO_ 1 A: 8 E\n SG_ S : 0|65@1+ (1,0) [0|0] \"\" E\n",
        "BO_ 1 A: 8 E\n SG_ S : 999|8@1+ (1,0) [0|0] \"\" E\n",
        "BO_ 1 A: 8 E\nBO_ 1 B: 8 E\n", "BO_ 1 A: 8 E\n SG_ S m0M : 0|8@1+ (1,0) [0|0] \"\" E\n",
        "BO_ 1 A: 8 E\n SG_ S : 0|8@1+ (nan,0) [0|0] \"\" E\n"};
    fw_import_result made;
    fw_error error;
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        assert_int_equal(run("candump", put_text("bad.log", logs[i]), NULL, &made, &error),
                         FW_CORRUPT);
        assert_int_equal(files_left(".mcap") + files_left(".part"), 0);
    }
    const char *log = put_text("good.log", "(1.0) can0 001#00\n");
    for (size_t i = 0; i < sizeof bad_dbc / sizeof *bad_dbc; i++) {
        fw_status status = run("candump", log, put_text("bad.dbc", bad_dbc[i]), &made, &error);
        assert_true(status == FW_CORRUPT || status == FW_UNSUPPORTED);
    }
}

/* ---- CSV ---- */

static void columns_by_mapping(void **state) {
    (void)state;
    const char *csv = put_text("m.csv", "\xef\xbb\xbfwhen;Engine RPM;T1;\"no;te\"\r\n"
                                        "2026-01-31T12:00:00.5Z;1500;700;\"say \"\"hi\"\"\"\r\n"
                                        "2026-01-31T13:00:01+01:00;;650;\r\n");
    const char *mapping = put_text(
        "m.json", "{\"separator\":\";\",\"time\":{\"column\":\"when\",\"unit\":\"iso8601\"},"
                  "\"channels\":[{\"topic\":\"/engine\",\"fields\":{\"rpm\":\"Engine RPM\","
                  "\"coolant_degc\":{\"column\":\"T1\",\"scale\":0.1,\"offset\":-40,"
                  "\"unit\":\"degC\"},\"note\":\"no;te\"}}]}");
    fw_import_result made;
    fw_error error;
    int64_t time_ns = 0;
    assert_int_equal(run("csv", csv, mapping, &made, &error), FW_OK);
    check_files(&made, "telemetry");
    json_t *first = message_of(&made.files[0], "/engine", 0, &time_ns);
    assert_int_equal(time_ns, 1769860800500000000);
    assert_string_equal(json_string_value(json_object_get(first, "note")), "say \"hi\"");
    json_decref(first);
    assert_true(number_of(&made.files[0], "/engine", 0, "rpm") == 1500);
    assert_true(number_of(&made.files[0], "/engine", 0, "coolant_degc") == 30);
    json_t *second = message_of(&made.files[0], "/engine", 1, &time_ns);
    assert_int_equal(time_ns, 1769860801000000000);
    assert_null(json_object_get(second, "rpm")); /* empty cells are left out */
    json_decref(second);
    done(&made);
}

static void columns_by_name(void **state) {
    (void)state;
    fw_import_result made;
    fw_error error;
    int64_t time_ns = 0;
    assert_int_equal(run("csv", put_text("g.csv", "a,time_ms,b\n1,1700000000123,x\n"), NULL, &made,
                         &error), FW_OK);
    json_t *first = message_of(&made.files[0], "/csv", 0, &time_ns);
    assert_int_equal(time_ns, 1700000000123000000);
    assert_int_equal(json_object_size(first), 2);
    json_decref(first);
    done(&made);
}

static void broken_tables_leave_nothing(void **state) {
    (void)state;
    static const char *const tables[] = {
        "", "a,b\n1,2\n", "time,a\n1,\"x\n", "time,a\nx,1\n", "time,a\n1,2,3\n", "time,a\n-1,2\n",
        "time,a\n1e300,2\n", "time,a\n", "time,\xff\xfe\n1,2\n"};
    static const char *const mappings[] = {
        "{", "[]", "{}", "{\"time\":{\"column\":\"time\",\"unit\":\"s\"}}",
        "{\"time\":{\"column\":\"no\",\"unit\":\"s\"},\"channels\":[]}",
        "{\"time\":{\"column\":\"time\",\"unit\":\"h\"},\"channels\":[]}",
        "{\"time\":{\"column\":\"time\",\"unit\":\"s\"},\"channels\":[{\"topic\":\"x\",\"fields\":"
        "{\"a\":\"a\"}}]}",
        "{\"separator\":\"ab\",\"time\":{\"column\":\"time\",\"unit\":\"s\"},\"channels\":[]}"};
    fw_import_result made;
    fw_error error;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        fw_status status = run("csv", put_text("bad.csv", tables[i]), NULL, &made, &error);
        assert_true(status == FW_CORRUPT || status == FW_INVALID);
        assert_int_equal(files_left(".mcap") + files_left(".part"), 0);
    }
    const char *good = put_text("good.csv", "time,a\n1,2\n");
    for (size_t i = 0; i < sizeof mappings / sizeof *mappings; i++)
        assert_int_equal(run("csv", good, put_text("bad.json", mappings[i]), &made, &error),
                         FW_INVALID);
}

/* ---- CommonRoad ---- */

static const char scene_2020[] =
    "<?xml version=\"1.0\"?><commonRoad commonRoadVersion=\"2020a\" timeStepSize=\"0.1\">"
    "<lanelet id=\"1\"><leftBound><point><x>0</x><y>2</y></point><point><x>9.5</x><y>2</y></point>"
    "</leftBound><rightBound><point><x>0</x><y>-2</y></point><point><x>9.5</x><y>-2</y></point>"
    "</rightBound><successor ref=\"2\"/><adjacentLeft ref=\"3\" drivingDir=\"opposite\"/>"
    "<laneletType>urban</laneletType></lanelet>"
    "<trafficLight id=\"5\"><cycle><cycleElement><duration>60</duration><color>red</color>"
    "</cycleElement><timeOffset>10</timeOffset></cycle></trafficLight>"
    "<dynamicObstacle id=\"30\"><type>car</type><shape><rectangle><length>4.5</length>"
    "<width>1.8</width></rectangle></shape><initialState><position><point><x>1</x><y>0</y></point>"
    "</position><orientation><exact>0.1</exact></orientation><time><exact>0</exact></time>"
    "<velocity><intervalStart>4</intervalStart><intervalEnd>6</intervalEnd></velocity>"
    "</initialState><trajectory><state><position><point><x>1.5</x><y>0</y></point></position>"
    "<orientation><exact>0.1</exact></orientation><time><exact>1</exact></time></state>"
    "</trajectory></dynamicObstacle>"
    "<planningProblem id=\"9\"><initialState><position><point><x>3</x><y>0</y></point></position>"
    "<time><exact>0</exact></time></initialState></planningProblem></commonRoad>";

static void a_scene_of_2020a(void **state) {
    (void)state;
    fw_import_result made;
    fw_error error;
    int64_t time_ns = 1;
    assert_int_equal(run("commonroad", put_text("s.xml", scene_2020), NULL, &made, &error), FW_OK);
    check_files(&made, "scene");
    json_t *lane = message_of(&made.files[0], "/lanelets", 0, &time_ns);
    assert_int_equal(time_ns, 0);
    json_t *corner = json_array_get(json_object_get(lane, "left"), 1);
    assert_true(json_number_value(json_array_get(corner, 0)) == 9.5);
    assert_int_equal(json_array_size(json_object_get(lane, "links")), 2);
    json_decref(lane);
    assert_true(number_of(&made.files[0], "/lights", 0, "offset_s") == 1);
    assert_true(number_of(&made.files[0], "/objects", 0, "length_m") == 4.5);
    json_t *track = message_of(&made.files[0], "/tracks", 1, &time_ns);
    assert_int_equal(time_ns, 100000000);
    json_t *row = json_array_get(json_object_get(track, "objects"), 0);
    assert_string_equal(json_string_value(json_array_get(row, 0)), "30");
    assert_true(json_number_value(json_array_get(row, 1)) == 1.5);
    assert_true(json_is_null(json_array_get(row, 4))); /* no speed was given */
    json_decref(track);
    track = message_of(&made.files[0], "/tracks", 0, NULL);
    row = json_array_get(json_object_get(track, "objects"), 0);
    assert_true(json_number_value(json_array_get(row, 4)) == 5); /* the interval's middle */
    json_decref(track);
    done(&made);
}

static void broken_scenes_leave_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "<a/>", "<commonRoad timeStepSize=\"0.1\">", "<commonRoad timeStepSize=\"0\"/>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><commonRoad timeStepSize=\"0.1\"/>",
        "<commonRoad timeStepSize=\"0.1\"><lanelet/></commonRoad>",
        "<commonRoad timeStepSize=\"0.1\"><obstacle id=\"1\"><initialState/></obstacle>"
        "</commonRoad>",
        "<commonRoad timeStepSize=\"0.1\"/>"};
    fw_import_result made;
    fw_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(run("commonroad", put_text("bad.xml", bad[i]), NULL, &made, &error),
                         FW_CORRUPT);
        assert_int_equal(files_left(".mcap") + files_left(".part"), 0);
    }
    for (size_t cut = 0; cut + 1 < sizeof scene_2020; cut += 7) { /* cut anywhere */
        assert_int_equal(run("commonroad", put_file("cut.xml", scene_2020, cut), NULL, &made,
                             &error), FW_CORRUPT);
        assert_int_equal(files_left(".mcap") + files_left(".part"), 0);
    }
}

/* ---- NumPy ---- */

static void arrays(void **state) {
    (void)state;
    static const char head[] = "\x93NUMPY\x01\x00\x4b\x00{'descr': '<i2', 'fortran_order': True, "
                               "'shape': (2, 3), }                \n";
    enum { HEAD = sizeof head - 1 };
    char *file = malloc(HEAD + 12);
    memcpy(file, head, HEAD);
    static const int16_t items[] = {1, 2, 3, 4, 5, -6}; /* by column: (1 3 5) (2 4 -6) */
    memcpy(file + HEAD, items, sizeof items);
    fw_npy array;
    fw_error error;
    for (size_t size = 0; size < HEAD + 12; size++)
        assert_int_not_equal(fw_npy_parse(file, size, "x", &array, &error), FW_OK);
    assert_int_equal(fw_npy_parse(file, HEAD + 12, "x", &array, &error), FW_OK);
    assert_int_equal(array.rows, 2);
    assert_int_equal(array.columns, 3);
    assert_true(fw_npy_number(&array, 0, 1) == 3);
    assert_true(fw_npy_number(&array, 1, 2) == -6);
    fw_npy_clear(&array);
}

/* ---- real data ---- */

static const char *data_path(const char *name) {
    static char path[FW_PATH_MAX];
    const char *root = getenv("FLYWHEEL_DATA");
    if (!root) return NULL;
    snprintf(path, sizeof path, "%s/%s", root, name);
    return fw_file_exists(path) ? path : NULL;
}

static void a_real_scene(void **state) {
    (void)state;
    const char *path = data_path("ngsim/USA_Lanker-1_1_T-1.xml.gz");
    fw_import_result made, again;
    fw_error error;
    if (!path) skip();
    assert_int_equal(run("commonroad", path, NULL, &made, &error), FW_OK);
    check_files(&made, "scene");
    json_t *track = message_of(&made.files[0], "/tracks", 0, NULL);
    assert_int_equal(json_array_size(json_object_get(track, "objects")) > 5, 1);
    json_decref(track);
    assert_int_equal(run("commonroad", path, NULL, &again, &error), FW_OK);
    assert_string_equal(made.files[0].hash.hex, again.files[0].hash.hex);
    fw_import_result_clear(&again);
    done(&made);
}

static void a_real_segment(void **state) {
    (void)state;
    const char *path = data_path("comma2k19");
    fw_import_result made;
    fw_error error;
    if (!path) skip();
    assert_int_equal(run("comma2k19", path, NULL, &made, &error), FW_OK);
    check_files(&made, "telemetry");
    fw_mcap_info info;
    assert_int_equal(fw_mcap_validate(NULL, made.files[0].path, &info, &error), FW_OK);
    uint64_t raw = 0, pose = 0;
    for (uint32_t i = 0; i < info.channel_count; i++) {
        if (strcmp(info.channels[i].topic, "/can/raw") == 0) raw = info.channels[i].message_count;
        if (strcmp(info.channels[i].topic, "/pose/position") == 0)
            pose = info.channels[i].message_count;
    }
    assert_int_equal(raw, 135468); /* as its README and its arrays say */
    assert_int_equal(pose, 1200);
    assert_true((double)(info.end_time_ns - info.start_time_ns) / 1e9 > 55);
    fw_mcap_info_free(&info);
    double speed = number_of(&made.files[0], "/can/speed", 100, "speed_mps");
    assert_true(speed >= 0 && speed < 60);
    done(&made);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    fw_error error;
    return fw_folder_remove(folder, &error) == FW_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_and_their_signals), cmocka_unit_test(broken_logs_leave_nothing),
        cmocka_unit_test(columns_by_mapping),       cmocka_unit_test(columns_by_name),
        cmocka_unit_test(broken_tables_leave_nothing), cmocka_unit_test(a_scene_of_2020a),
        cmocka_unit_test(broken_scenes_leave_nothing), cmocka_unit_test(arrays),
        cmocka_unit_test(a_real_scene),             cmocka_unit_test(a_real_segment),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
