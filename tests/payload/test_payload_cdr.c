/* CDR by ros2msg and ros2idl, and ROS 1; the bytes are written by hand from the rules. */
#include "support.h"

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static kind of(const char *language, const char *name, const char *schema) {
    return (kind){.message_encoding = strcmp(language, "ros1msg") == 0 ? "ros1" : "cdr",
                  .schema_encoding = language,
                  .name = name,
                  .schema = schema,
                  .schema_bytes = strlen(schema)};
}

static kind msg(const char *schema) {
    return of("ros2msg", "pkg/msg/T", schema);
}

static kind idl(const char *schema) {
    return of("ros2idl", "pkg/msg/T", schema);
}

static void values_are_aligned_to_their_size(void **state) {
    (void)state;
    kind k = msg("bool a\nint8 b\nint16 c\nuint8 d # a comment\nint32 e\nint8 f\nfloat64 g\n"
                 "uint64 h\nfloat32 i\nuint16 j\nint64 k");
    expect(&k,
           BYTES(0, 1, 0, 0, /* little */
                 1, 0xff, 0xfe, 0xff, 0xff, 0, 0, 0, 0xfd, 0xff, 0xff, 0xff, 5, 0, 0, 0,
                 /* 16 */ 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                 0xff,
                 /* 32 */ 0, 0, 0xc0, 0x7f, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80),
           "{\"a\":true,\"b\":-1,\"c\":-2,\"d\":255,\"e\":-3,\"f\":5,\"g\":1.5,"
           "\"h\":18446744073709551615,\"i\":\"NaN\",\"j\":513,\"k\":-9223372036854775808}");
    kind big = msg("uint8 a\nuint16 b\nuint32 c\nfloat32 d\nfloat64 e");
    expect(&big,
           BYTES(0, 0, 0, 0, 7, 0, 1, 2, 1, 2, 3, 4, 0xbf, 0x80, 0, 0, /* 12: pad to 16 */
                 0, 0, 0, 0, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),
           "{\"a\":7,\"b\":258,\"c\":16909060,\"d\":-1,\"e\":\"Infinity\"}");
}

static void strings_and_sequences(void **state) {
    (void)state;
    kind k =
        msg("string s\nstring<=5 t \"a # default\"\nwstring w\nint16[] a\nint16[3] b [1,2,3]\n"
            "string[<=2] c\nuint8[] d\nbyte[2] e\nint8[<=4] f\nstring NAME=\"x#y\"\nint32 N = 4");
    expect(&k,
           BYTES(0, 1, 0, 0, 3, 0, 0, 0, 'h', '"', 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,        /* s t */
                 3, 0, 0, 0, 'A', 0, 0x3d, 0xd8, 0, 0xde, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0, /* w a */
                 3, 0, 4, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 'z', 0, 0, 0,          /* b c */
                 3, 0, 0, 0, 1, 2, 3, 9, 8, 0, 0, 0, 1, 0, 0, 0, 0x80),                 /* d e f */
           "{\"s\":\"h\\\"\",\"t\":\"\",\"w\":\"A\xf0\x9f\x98\x80\",\"a\":[1,2],\"b\":[3,4,5],"
           "\"c\":[\"z\"],\"d\":\"AQID\",\"e\":\"CQg=\",\"f\":[-128]}");
}

static void dependencies_are_found(void **state) {
    (void)state;
    kind k =
        msg("std_msgs/Header header\nPoint[] points\npkg/msg/Empty[2] none\nint8 last\n"
            "================================================================================\n"
            "MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
            "================================================================================\n"
            "MSG: pkg/Point\nfloat32 x\nfloat32 y\n"
            "=====\nMSG: pkg/msg/Empty\n# nothing\n"
            "=====\nMSG: builtin_interfaces/Time\r\nint32 sec\r\nuint32 nanosec\r\n");
    expect(&k,
           BYTES(0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 'm', 0, 0, 0, 1, 0, 0, 0, 0, 0,
                 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 3),
           "{\"header\":{\"stamp\":{\"sec\":1,\"nanosec\":2},\"frame_id\":\"m\"},"
           "\"points\":[{\"x\":1,\"y\":2}],\"none\":[{},{}],\"last\":3}");
    kind left_out = msg("builtin_interfaces/Time t\nbuiltin_interfaces/msg/Duration d\n");
    expect(&left_out, BYTES(0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0),
           "{\"t\":{\"sec\":-1,\"nanosec\":2},\"d\":{\"sec\":3,\"nanosec\":4}}");
    kind empty = msg("# nothing at all\n");
    expect(&empty, BYTES(0, 1, 0, 0, 0), "{}");
    expect(&empty, BYTES(0, 1, 0, 0), "{}");
}

static void ros1_is_packed(void **state) {
    (void)state;
    kind k = of("ros1msg", "pkg/T",
                "Header header\nbyte b\nchar c\nuint16 u\nfloat64 f\nduration d\ntime[] t\n"
                "=====\nMSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n");
    expect(&k,
           BYTES(1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 'f', 0xff, 0xff, 4, 5, 0, 0, 0, 0,
                 0, 0, 0, 0x40, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0),
           "{\"header\":{\"seq\":1,\"stamp\":{\"sec\":2,\"nsec\":3},\"frame_id\":\"f\"},\"b\":-1,"
           "\"c\":255,\"u\":1284,\"f\":2,\"d\":{\"sec\":-1,\"nsec\":0},\"t\":[]}");
}

static void idl_is_read(void **state) {
    (void)state;
    kind k = idl(
        "================================================================================\n"
        "IDL: pkg/msg/T\n"
        "// generated\n#include \"other.idl\"\n"
        "module pkg { module msg {\n"
        "  module T_Constants { const uint32 SIZE = 2; const string NAME = \"a;b\"; };\n"
        "  typedef double double__2[2];\n"
        "  typedef sequence<other::Point, T_Constants::SIZE> points;\n"
        "  @verbatim (language=\"comment\", text=\"it (really)\" \"is\")\n"
        "  struct T { /* members\n */\n"
        "    @key @unit(value=\"m\") long id, more[T_Constants::SIZE];\n"
        "    @default (value=-1.5) double__2 pair; points p;\n"
        "    sequence<sequence<short>, 3> deep; string<10> name; wstring<T_Constants::SIZE> w;\n"
        "    ::other::Color color; unsigned long long big; boolean yes; octet raw[2]; \n"
        "    unsigned short us; unsigned long ul; long long ll; uint8 u8; int64 i64; wchar wc;\n"
        "    octet grid[2][2];\n"
        "  };\n}; };\n"
        "=====\nIDL: other/Point\n"
        "module other { struct Point { float x; }; struct Ahead;\n"
        "  enum Color { RED, @value(5) GREEN, BLUE }; };\n");
    expect(&k,
           BYTES(0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0,
                 0, /* id more, 12: pad to 16 */
                 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x40, /* 16: pair */
                 1, 0, 0, 0, 0, 0, 0, 0x3f,                               /* 32: p */
                 2, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,          /* 40: deep */
                 2, 0, 0, 0, 'n', 0, 0, 0, 1, 0, 0, 0, 'w', 0, 0, 0,      /* 56: name w */
                 6, 0, 0, 0, 0, 0, 0, 0,                                  /* 72: color, pad to 80 */
                 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0,                      /* 80: big yes raw */
                 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,             /* 92: us, 96: ul, to 104 */
                 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, /* 104: ll u8 */
                 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 2, 3, 4),      /* 120: i64 wc grid */
           "{\"id\":1,\"more\":[2,3],\"pair\":[1,2],\"p\":[{\"x\":0.5}],\"deep\":[[7],[]],"
           "\"name\":\"n\",\"w\":\"w\",\"color\":\"BLUE\",\"big\":9,\"yes\":true,\"raw\":\"AQI=\","
           "\"us\":3,\"ul\":4,\"ll\":5,\"u8\":6,\"i64\":7,\"wc\":8,\"grid\":[\"AQI=\",\"AwQ=\"]}");
}

static void lying_data_is_refused_with_the_field(void **state) {
    (void)state;
    kind k = msg("int32 a\nstring s\nP[] p\n===\nMSG: pkg/P\nint16[<=2] list");
    expect_failure(&k, BYTES(0, 1, 0), FW_CORRUPT, "shorter than the header");
    expect_failure(&k, BYTES(0, 1, 0, 0, 1, 0, 0), FW_CORRUPT, "pkg/T: a: the data ends before");
    expect_failure(&k, BYTES(0, 1, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff), FW_CORRUPT,
                   "s: a string longer");
    expect_failure(&k, BYTES(0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'x'), FW_CORRUPT,
                   "s: a string without");
    expect_failure(&k,
                   BYTES(0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
                         0, 0, 0, 1, 0, 2, 0, 3, 0),
                   FW_CORRUPT, "p[1].list: a sequence longer than its bound");
    expect_failure(&k, BYTES(0, 3, 0, 0, 1, 0, 0, 0), FW_UNSUPPORTED, "PL_CDR_LE");
    expect_failure(&k, BYTES(0, 9, 0, 0, 1, 0, 0, 0), FW_UNSUPPORTED, "D_CDR2_LE");
    expect_failure(&k, BYTES(9, 9, 0, 0, 1, 0, 0, 0), FW_CORRUPT, "0x0909");
    kind small = msg("int32 a");
    expect(&small, BYTES(0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), "{\"a\":1}");
    expect_failure(&small, BYTES(0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), FW_CORRUPT,
                   "8 bytes are left");
    kind empty = idl("module pkg { module msg { struct E {}; struct T { E e[4000000000]; }; }; };");
    const fw_payload_limits limits = {.output_max_bytes = 1000};
    empty.limits = &limits;
    expect_failure(&empty, BYTES(0, 1, 0, 0), FW_TOO_BIG, "over 1000 bytes");
}

static void refuse_schema(kind k, fw_status status, const char *why) {
    expect_failure(&k, BYTES(0, 1, 0, 0), status, why);
}

static void lying_schemas_are_refused(void **state) {
    (void)state;
    refuse_schema(msg("int32"), FW_CORRUPT, "line 1: int32: no field");
    refuse_schema(msg("\nint32 a-b"), FW_CORRUPT, "line 2");
    refuse_schema(msg("Point p"), FW_CORRUPT, "pkg/Point: nobody defines this type");
    refuse_schema(msg("int32[x] p"), FW_CORRUPT, "no size of an array");
    refuse_schema(msg("int32[99999999999] p"), FW_CORRUPT, "no size of an array");
    refuse_schema(msg("int32[3 p"), FW_CORRUPT, "a [ without its ]");
    refuse_schema(msg("int32<=3 p"), FW_CORRUPT, "no bound");
    refuse_schema(msg("int32 a\n====\nint32 b"), FW_CORRUPT, "no \"MSG: \"");
    refuse_schema(msg("T t"), FW_TOO_BIG, "t.t.t.t");
    refuse_schema(idl("module pkg { module msg { struct X { long a; }; }; };"), FW_CORRUPT,
                  "pkg::msg::T");
    refuse_schema(idl("module pkg { struct T { long a; };"), FW_CORRUPT, "a module without its }");
    refuse_schema(idl("module pkg {\n struct T { long a }; };"), FW_CORRUPT,
                  "line 2: }: a member without its ;");
    refuse_schema(idl("module pkg { union U switch (long) { case 1: long a; }; };"), FW_UNSUPPORTED,
                  "union");
    refuse_schema(idl("struct T : Base { long a; };"), FW_UNSUPPORTED, "inheritance");
    refuse_schema(idl("struct T { @optional long a; };"), FW_UNSUPPORTED, "optional");
    refuse_schema(idl("@mutable struct T { long a; };"), FW_UNSUPPORTED, "mutable");
    refuse_schema(idl("@extensibility(MUTABLE) struct T { long a; };"), FW_UNSUPPORTED, "mutable");
    refuse_schema(idl("struct T { long double a; };"), FW_UNSUPPORTED, "long double");
    refuse_schema(idl("typedef A B; typedef B A; struct T { A a; };"), FW_CORRUPT,
                  "defined by itself");
    refuse_schema(idl("typedef sequence<S> S; module pkg { module msg { struct T { S s; }; }; };"),
                  FW_CORRUPT, "s: the data ends");
    refuse_schema(idl("struct T { long a[N]; };"), FW_CORRUPT, "N: nobody defines this number");
    refuse_schema(idl("const long N = -1; struct T { long a[N]; };"), FW_CORRUPT, "N");
    refuse_schema(idl("struct T { sequence<long a; };"), FW_CORRUPT, "sequence without its >");
    refuse_schema(idl("@a(((("), FW_CORRUPT, "an annotation without its )");
    refuse_schema(idl("/* no end"), FW_CORRUPT, "not defined in it");
}

static void schemas_have_limits(void **state) {
    (void)state;
    const fw_payload_limits fields = {.fields_max = 40}, memory = {.schema_max_bytes = 20000};
    static char text[100001];
    kind k = msg("");
    for (size_t i = 0; i + 8 < sizeof text; i += 8) memcpy(text + i, "int8 a1\n", 8);
    k.schema = text;
    k.schema_bytes = 100000;
    k.limits = &fields;
    expect_failure(&k, BYTES(0, 1, 0, 0), FW_TOO_BIG, "too many names");
    k.limits = &memory;
    expect_failure(&k, BYTES(0, 1, 0, 0), FW_TOO_BIG, "too many names");
    k.limits = NULL;
    expect_failure(&k, BYTES(0, 1, 0, 0), FW_CORRUPT, "a1: the data ends before");
}

static void every_cut_fails_cleanly(void **state) {
    (void)state;
    static const uint8_t whole[] = {0, 1, 0, 0, 3, 0, 0, 0, 'h', 'i', 0, 0, 2, 0, 0, 0, 1, 0, 2, 0};
    kind k = msg("string s\nint16[] a");
    for (size_t size = 0; size < sizeof whole; size++)
        expect_failure(&k, whole, size, FW_CORRUPT, "");
    expect(&k, whole, sizeof whole, "{\"s\":\"hi\",\"a\":[1,2]}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_aligned_to_their_size),
        cmocka_unit_test(strings_and_sequences),
        cmocka_unit_test(dependencies_are_found),
        cmocka_unit_test(ros1_is_packed),
        cmocka_unit_test(idl_is_read),
        cmocka_unit_test(lying_data_is_refused_with_the_field),
        cmocka_unit_test(lying_schemas_are_refused),
        cmocka_unit_test(schemas_have_limits),
        cmocka_unit_test(every_cut_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
