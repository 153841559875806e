/* The TraCI client against answers that are well, refused, cut, or hostile: over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "worlds/sumo/traci.h"

typedef struct heard {
    int count;
    double number;
    char id[32];
} heard;

static void hear(void *context, fw_traci_domain domain, fw_text id, uint8_t variable,
                 const fw_traci_value *value) {
    heard *h = context;
    (void)domain;
    (void)variable;
    h->count++;
    h->number = value->number;
    (void)snprintf(h->id, sizeof h->id, "%.*s", (int)id.size, id.at);
}

/* Asks for a vehicle's length while `answer` waits in the socket. */
static fw_status ask(const uint8_t *answer, size_t size, heard *h, fw_error *error) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    if (size) assert_int_equal(write(ends[1], answer, size), (ssize_t)size);
    assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
    fw_traci *t = fw_traci_over(ends[0]);
    fw_traci_add_get(t, FW_TRACI_VEHICLE, FW_TRACI_LENGTH, fw_text_of("v1"));
    memset(h, 0, sizeof *h);
    const fw_status status = fw_traci_exchange(t, hear, h, error);
    uint8_t sent[64];
    const ssize_t got = read(ends[1], sent, sizeof sent);
    static const uint8_t wanted[] = {0, 0, 0, 17, 0, 0, 0, 0, 13, 0xa4, 0x44, 0, 0, 0, 2, 'v', '1'};
    assert_int_equal(got, sizeof wanted);
    assert_memory_equal(sent, wanted, sizeof wanted);
    fw_traci_close(t);
    close(ends[1]);
    return status;
}

/* status of 0xa4, then its response: double 5.0 of "v1" */
static const uint8_t well[] = {0,    0,    0,    4 + 7 + 18, 7, 0xa4, 0, 0, 0,   0,
                               0,    18,   0xb4, 0x44,       0, 0,    0, 2, 'v', '1',
                               0x0b, 0x40, 0x14, 0,          0, 0,    0, 0, 0};

static void a_value_arrives(void **state) {
    (void)state;
    heard h;
    fw_error error = {""};
    assert_int_equal(ask(well, sizeof well, &h, &error), FW_OK);
    assert_int_equal(h.count, 1);
    assert_true(h.number == 5.0);
    assert_string_equal(h.id, "v1");
}

static void a_refusal_brings_sumos_words(void **state) {
    (void)state;
    static const uint8_t no[] = {0, 0, 0, 15, 11, 0xa4, 0xff, 0, 0, 0, 4, 'n', 'o', 'p', 'e'};
    heard h;
    fw_error error = {""};
    assert_int_equal(ask(no, sizeof no, &h, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "nope"));
    assert_int_equal(h.count, 0);
}

static void cut_answers(void **state) {
    (void)state;
    heard h;
    for (size_t size = 0; size < sizeof well; size++) /* the other side closed in the middle */
        assert_int_equal(ask(well, size, &h, NULL), FW_CLOSED);
    for (size_t size = 4; size < sizeof well; size++) { /* the message itself is too short */
        uint8_t cut[sizeof well];
        memcpy(cut, well, size);
        cut[3] = (uint8_t)size;
        assert_int_equal(ask(cut, size, &h, NULL), FW_CORRUPT);
    }
}

static void hostile_answers(void **state) {
    (void)state;
    heard h;
    uint8_t bad[sizeof well + 4];
    memcpy(bad, well, sizeof well);
    memset(bad, 0xff, 4); /* 4 GB */
    assert_int_equal(ask(bad, sizeof well, &h, NULL), FW_CORRUPT);
    memcpy(bad, well, sizeof well);
    bad[5] = 0xc4; /* another command's status */
    assert_int_equal(ask(bad, sizeof well, &h, NULL), FW_CORRUPT);
    memcpy(bad, well, sizeof well);
    memset(bad + 14, 0xff, 4); /* a text of 4 GB */
    assert_int_equal(ask(bad, sizeof well, &h, NULL), FW_CORRUPT);
    memcpy(bad, well, sizeof well);
    memset(bad + sizeof well, 0, 4);
    bad[3] += 4; /* bytes too many */
    assert_int_equal(ask(bad, sizeof bad, &h, NULL), FW_CORRUPT);
    fw_random r = fw_random_named(3, "test/traci");
    for (int i = 0; i < 3000; i++) { /* any byte, anywhere behind the size: no crash, no hang */
        memcpy(bad, well, sizeof well);
        for (int j = 0; j < 3; j++)
            bad[4 + fw_random_below(&r, sizeof well - 4)] = (uint8_t)fw_random_u32(&r);
        const fw_status status = ask(bad, sizeof well, &h, NULL);
        assert_true(status == FW_OK || status == FW_CORRUPT || status == FW_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_arrives),
        cmocka_unit_test(a_refusal_brings_sumos_words),
        cmocka_unit_test(cut_answers),
        cmocka_unit_test(hostile_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
