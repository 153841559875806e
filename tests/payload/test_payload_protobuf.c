/* Protobuf by its FileDescriptorSet; descriptor and data are written by hand from the wire format.
 */
#include "support.h"

#include <stdio.h>

typedef struct bytes {
    uint8_t at[4096];
    size_t size;
} bytes;

static void put(bytes *b, const void *more, size_t size) {
    assert_true(b->size + size <= sizeof b->at);
    if (size > 0) memcpy(b->at + b->size, more, size);
    b->size += size;
}
static void put_varint(bytes *b, uint64_t v) {
    for (; v >= 128; v >>= 7) put(b, (uint8_t[]){(uint8_t)(v | 128)}, 1);
    put(b, (uint8_t[]){(uint8_t)v}, 1);
}
static void put_number(bytes *b, uint32_t field, uint64_t v) {
    put_varint(b, field << 3);
    put_varint(b, v);
}
static void put_fixed(bytes *b, uint32_t field, uint64_t v, size_t size) {
    put_varint(b, field << 3 | (size == 8 ? 1 : 5));
    for (size_t i = 0; i < size; i++) put(b, (uint8_t[]){(uint8_t)(v >> 8 * i)}, 1);
}
static void put_bytes(bytes *b, uint32_t field, const void *more, size_t size) {
    put_varint(b, field << 3 | 2);
    put_varint(b, size);
    put(b, more, size);
}
static void put_text(bytes *b, uint32_t field, const char *text) {
    put_bytes(b, field, text, strlen(text));
}
static void put_part(bytes *b, uint32_t field, const bytes *part) {
    put_bytes(b, field, part->at, part->size);
}

/* A field of a DescriptorProto. label 3: repeated. oneof -1: none. */
static void put_field(bytes *message, const char *name, uint32_t number, int label, int type,
                      const char *type_name, int oneof) {
    bytes f = {.size = 0};
    put_text(&f, 1, name);
    put_number(&f, 3, number);
    put_number(&f, 4, (uint64_t)label);
    put_number(&f, 5, (uint64_t)type);
    if (type_name) put_text(&f, 6, type_name);
    if (oneof >= 0) put_number(&f, 9, (uint64_t)oneof);
    put_part(message, 2, &f);
}

static void put_enum(bytes *owner, uint32_t field, const char *name, const char *const *names,
                     const int64_t *numbers, size_t count) {
    bytes e = {.size = 0};
    put_text(&e, 1, name);
    for (size_t i = 0; i < count; i++) {
        bytes v = {.size = 0};
        put_text(&v, 1, names[i]);
        put_number(&v, 2, (uint64_t)numbers[i]);
        put_part(&e, 2, &v);
    }
    put_part(owner, field, &e);
}

/* message Part { int32 x = 1; Part next = 2; repeated sint32 list = 3; } */
static void put_nested(bytes *root) {
    bytes part = {.size = 0};
    put_text(&part, 1, "Part");
    put_field(&part, "x", 1, 1, 5, NULL, -1);
    put_field(&part, "next", 2, 1, 11, ".pkg.Root.Part", -1);
    put_field(&part, "list", 3, 3, 17, NULL, -1);
    put_part(root, 3, &part);
}

/* A map's entry type with a key and value type. */
static void put_map_entry(bytes *root, const char *name, int key, int value,
                          const char *value_name) {
    bytes entry = {.size = 0}, options = {.size = 0};
    put_text(&entry, 1, name);
    put_field(&entry, "key", 1, 1, key, NULL, -1);
    put_field(&entry, "value", 2, 1, value, value_name, -1);
    put_number(&options, 7, 1);
    put_part(&entry, 7, &options);
    put_part(root, 3, &entry);
}

/* pkg.Root, with google.protobuf's Timestamp and Duration in a second file. */
static bytes schema(void) {
    static const char *const colors[] = {"RED", "BLUE", "NAVY", "COLD"};
    static const int64_t numbers[] = {0, 2, 2, -1};
    static const char *const names[] = {"a_double", "b", "c", "d", "e", "f", "g", "h", "i"};
    bytes root = {.size = 0}, file = {.size = 0}, set = {.size = 0};
    put_text(&root, 1, "Root");
    for (uint32_t i = 0; i < 9; i++) put_field(&root, names[i], i + 1, 1, (int)i + 1, NULL, -1);
    put_field(&root, "part", 11, 1, 11, ".pkg.Root.Part", -1);
    put_field(&root, "raw", 12, 1, 12, NULL, -1);
    put_field(&root, "u32", 13, 1, 13, NULL, -1);
    put_field(&root, "color", 14, 3, 14, "Color", -1); /* a relative name */
    put_field(&root, "sf32", 15, 1, 15, NULL, -1);
    put_field(&root, "sf64", 16, 1, 16, NULL, -1);
    put_field(&root, "s32", 17, 1, 17, NULL, -1);
    put_field(&root, "s64", 18, 1, 18, NULL, -1);
    put_field(&root, "parts", 19, 3, 11, ".pkg.Root.Part", -1);
    put_field(&root, "numbers", 20, 3, 5, NULL, -1);
    put_field(&root, "one", 21, 1, 5, NULL, 0);
    put_field(&root, "two", 22, 1, 9, NULL, 0);
    put_field(&root, "three", 23, 1, 11, ".pkg.Root.Part", 0);
    put_field(&root, "by_name", 24, 3, 11, ".pkg.Root.ByNameEntry", -1);
    put_field(&root, "by_id", 25, 3, 11, ".pkg.Root.ByIdEntry", -1);
    put_field(&root, "at_time", 26, 1, 11, ".google.protobuf.Timestamp", -1);
    put_field(&root, "took", 27, 1, 11, ".google.protobuf.Duration", -1);
    put_field(&root, "group", 28, 1, 10, ".pkg.Root.Part", -1);
    put_nested(&root);
    put_map_entry(&root, "ByNameEntry", 9, 11, ".pkg.Root.Part");
    put_map_entry(&root, "ByIdEntry", 4, 14, ".pkg.Color");
    put_text(&file, 1, "root.proto");
    put_text(&file, 2, "pkg");
    put_part(&file, 4, &root);
    put_enum(&file, 5, "Color", colors, numbers, 4);
    put_part(&set, 1, &file);
    bytes google = {.size = 0};
    put_text(&google, 2, "google.protobuf");
    for (int i = 0; i < 2; i++) {
        bytes time = {.size = 0};
        put_text(&time, 1, i ? "Duration" : "Timestamp");
        put_field(&time, "seconds", 1, 1, 3, NULL, -1);
        put_field(&time, "nanos", 2, 1, 5, NULL, -1);
        put_part(&google, 4, &time);
    }
    put_part(&set, 1, &google);
    return set;
}

static bytes set;
static kind root;

static int build(void **state) {
    (void)state;
    set = schema();
    root = (kind){.message_encoding = "protobuf",
                  .schema_encoding = "protobuf",
                  .name = "pkg.Root",
                  .schema = set.at,
                  .schema_bytes = set.size};
    return 0;
}

static void expect_json(const bytes *b, const char *json) {
    expect(&root, b->at, b->size, json);
}

static void scalars(void **state) {
    (void)state;
    bytes b = {.size = 0};
    expect_json(&b, "{}");
    put_fixed(&b, 1, 0x3ff8000000000000, 8);
    put_fixed(&b, 2, 0x7fc00000, 4);
    put_number(&b, 3, (uint64_t)-5);
    put_number(&b, 4, UINT64_MAX);
    put_number(&b, 5, (uint64_t)-6);
    put_fixed(&b, 6, 7, 8);
    put_fixed(&b, 7, UINT32_MAX, 4);
    put_number(&b, 8, 1);
    put_text(&b, 9, "a\n\xff");
    put_bytes(&b, 12, "\0\1", 2);
    put_number(&b, 13, UINT64_MAX); /* cut to 32 bits, as the reference does */
    put_fixed(&b, 15, 0xfffffffe, 4);
    put_fixed(&b, 16, (uint64_t)-3, 8);
    put_number(&b, 17, 3);
    put_number(&b, 18, UINT64_MAX);
    expect_json(
        &b, "{\"aDouble\":1.5,\"b\":\"NaN\",\"c\":\"-5\",\"d\":\"18446744073709551615\",\"e\":-6,"
            "\"f\":\"7\",\"g\":4294967295,\"h\":true,\"i\":\"a\\n\xef\xbf\xbd\",\"raw\":\"AAE=\","
            "\"u32\":4294967295,\"sf32\":-2,\"sf64\":\"-3\",\"s32\":-2,\"s64\":\"-"
            "9223372036854775808\"}");
}

static void repeated_packed_and_enums(void **state) {
    (void)state;
    bytes b = {.size = 0};
    put_bytes(&b, 20, "\1\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12);
    put_number(&b, 14, 2);
    put_number(&b, 20, 9); /* packed and not, in one list, with others between */
    put_bytes(&b, 14, "\0\7\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12);
    put_bytes(&b, 20, "", 0);
    expect_json(&b, "{\"color\":[\"BLUE\",\"RED\",7,\"COLD\"],\"numbers\":[1,2,-1,9]}");
}

static void nested_and_merged(void **state) {
    (void)state;
    bytes b = {.size = 0}, inner = {.size = 0}, part = {.size = 0}, other = {.size = 0};
    put_number(&inner, 1, 4);
    put_number(&part, 1, 3);
    put_part(&part, 2, &inner);
    put_part(&b, 19, &part);
    put_part(&b, 19, &inner);
    put_bytes(&b, 19, "", 0);
    put_part(&b, 11, &part); /* the same singular field twice: the parts merge */
    put_number(&other, 1, 8);
    put_bytes(&other, 3, "\1\2", 2);
    put_part(&b, 11, &other);
    put_varint(&b, 28 << 3 | 3); /* a group */
    put(&b, "\x08\x07", 2);
    put_varint(&b, 28 << 3 | 4);
    expect_json(&b, "{\"part\":{\"x\":8,\"next\":{\"x\":4},\"list\":[-1,1]},"
                    "\"parts\":[{\"x\":3,\"next\":{\"x\":4}},{\"x\":4},{}],\"group\":{\"x\":7}}");
}

static void oneof_keeps_the_last(void **state) {
    (void)state;
    bytes b = {.size = 0};
    put_bytes(&b, 23, "\x08\x01", 2);
    put_number(&b, 21, 5);
    put_text(&b, 22, "x");
    expect_json(&b, "{\"two\":\"x\"}");
    put_number(&b, 21, 6);
    expect_json(&b, "{\"one\":6}");
    put_bytes(&b, 23, "", 0);
    expect_json(&b, "{\"three\":{\"x\":1}}");
}

static void maps(void **state) {
    (void)state;
    bytes b = {.size = 0}, entry = {.size = 0}, value = {.size = 0}, id = {.size = 0};
    put_number(&value, 1, 5);
    put_part(&entry, 2, &value); /* the value before the key */
    put_text(&entry, 1, "k\"");
    put_part(&b, 24, &entry);
    put_bytes(&b, 24, "", 0); /* both left out */
    put_number(&id, 1, UINT64_MAX);
    put_number(&id, 2, 2);
    put_part(&b, 25, &id);
    put_bytes(&b, 25, "", 0);
    expect_json(&b, "{\"byName\":{\"k\\\"\":{\"x\":5},\"\":{}},"
                    "\"byId\":{\"18446744073709551615\":\"BLUE\",\"0\":\"RED\"}}");
}

static void times(void **state) {
    (void)state;
    static const struct {
        int64_t seconds, nanos;
        const char *time, *took;
    } cases[] = {{0, 0, "1970-01-01T00:00:00Z", "0s"},
                 {1700000000, 123456789, "2023-11-14T22:13:20.123456789Z", "1700000000.123456789s"},
                 {951782400, 5000000, "2000-02-29T00:00:00.005Z", "951782400.005s"},
                 {253402300799, 999999000, "9999-12-31T23:59:59.999999Z", "253402300799.999999s"},
                 {-62135596800, 0, "0001-01-01T00:00:00Z", "-62135596800s"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = {.size = 0}, time = {.size = 0};
        char json[200];
        put_number(&time, 1, (uint64_t)cases[i].seconds);
        put_number(&time, 2, (uint64_t)cases[i].nanos);
        put_part(&b, 26, &time);
        put_part(&b, 27, &time);
        snprintf(json, sizeof json, "{\"atTime\":\"%s\",\"took\":\"%s\"}", cases[i].time,
                 cases[i].took);
        expect_json(&b, json);
    }
    bytes b = {.size = 0}, time = {.size = 0};
    put_number(&time, 2, (uint64_t)-500000000);
    put_part(&b, 26, &time); /* what the mapping has no text for stays an object */
    put_part(&b, 27, &time);
    expect_json(&b, "{\"atTime\":{\"nanos\":-500000000},\"took\":\"-0.500s\"}");
}

static void unknown_is_passed_over(void **state) {
    (void)state;
    bytes b = {.size = 0};
    put_number(&b, 99, 1);
    put_fixed(&b, 99, 1, 8);
    put_fixed(&b, 99, 1, 4);
    put_text(&b, 99, "x");
    put_varint(&b, 99 << 3 | 3);
    put_varint(&b, 98 << 3 | 3);
    put_text(&b, 1, "x");
    put_varint(&b, 98 << 3 | 4);
    put_varint(&b, 99 << 3 | 4);
    put_text(&b, 5, "another wire type than int32");
    put_number(&b, 5, 1);
    expect_json(&b, "{\"e\":1}");
}

static void refuse(const bytes *b, fw_status status, const char *why) {
    expect_failure(&root, b->at, b->size, status, why);
}

static void lying_data_is_refused_with_the_field(void **state) {
    (void)state;
    bytes inner = {.size = 0}, part = {.size = 0}, b = {.size = 0};
    put(&inner, "\x08\xff", 2);
    put_part(&part, 2, &inner);
    put_bytes(&b, 19, "", 0);
    put_part(&b, 19, &part);
    refuse(&b, FW_CORRUPT, "pkg.Root: parts[1].next: a broken varint");
    static const struct {
        const char *data;
        size_t size;
        const char *why;
    } cases[] = {{"\x62\x05xx", 4, "a length beyond the end"},
                 {"\x62\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "a length beyond the end"},
                 {"\x00\x00", 2, "a field number that is none"},
                 {"\x0e\x00", 2, "a wire type that is none"},
                 {"\x0b\x08", 2, "a broken varint"},
                 {"\x0b", 1, "a group without an end"},
                 {"\x0c", 1, "was not begun"},
                 {"\x0b\x14", 2, "the end of another group"},
                 {"\x09\x01", 2, "cut off"},
                 {"\xa2\x01\x02\x01\xff", 5, "numbers[0]: a packed list that is cut off"},
                 {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "a broken varint"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(&root, cases[i].data, cases[i].size, FW_CORRUPT, cases[i].why);
    uint8_t groups[200];
    memset(groups, 0x0b, sizeof groups);
    expect_failure(&root, groups, sizeof groups, FW_CORRUPT, "groups nested too deeply");
}

static void nesting_and_values_have_limits(void **state) {
    (void)state;
    bytes b = {.size = 0};
    for (int i = 0; i < 120; i++) {
        bytes outer = {.size = 0};
        put_part(&outer, i < 119 ? 2 : 11, &b);
        b = outer;
    }
    refuse(&b, FW_TOO_BIG, "next.next.next");
    const fw_payload_limits limits = {.values_max = 100};
    kind few = root;
    few.limits = &limits;
    bytes many = {.size = 0};
    for (int i = 0; i < 101; i++) put_number(&many, 20, 1);
    expect_failure(&few, many.at, many.size, FW_TOO_BIG, "too many values");
}

static void lying_schemas_are_refused(void **state) {
    (void)state;
    kind k = root;
    k.name = "pkg.Gone";
    expect_failure(&k, "", 0, FW_CORRUPT, "no message pkg.Gone");
    k.name = "pkg.Color";
    expect_failure(&k, "", 0, FW_CORRUPT, "no message pkg.Color");
    bytes message = {.size = 0}, file = {.size = 0}, broken = {.size = 0};
    put_text(&message, 1, "M");
    put_field(&message, "f", 1, 1, 11, ".gone.Type", -1);
    put_part(&file, 4, &message);
    put_part(&broken, 1, &file);
    k = (kind){"protobuf", "protobuf", "M", broken.at, broken.size, NULL};
    expect_failure(&k, "", 0, FW_CORRUPT, "M.f: no type .gone.Type");
    const fw_payload_limits limits = {.fields_max = 5};
    k = root;
    k.limits = &limits;
    expect_failure(&k, "", 0, FW_TOO_BIG, "too many fields");
    for (size_t size = 1; size < set.size;
         size++) { /* cut anywhere: refused or smaller, never worse */
        char *json;
        k = root;
        k.schema_bytes = size;
        (void)!decode(&k, "\x08\x01", 2, &json, NULL);
        free(json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(repeated_packed_and_enums),
        cmocka_unit_test(nested_and_merged),
        cmocka_unit_test(oneof_keeps_the_last),
        cmocka_unit_test(maps),
        cmocka_unit_test(times),
        cmocka_unit_test(unknown_is_passed_over),
        cmocka_unit_test(lying_data_is_refused_with_the_field),
        cmocka_unit_test(nesting_and_values_have_limits),
        cmocka_unit_test(lying_schemas_are_refused),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}
