/* The bus over real sockets: good frames, hostile ones, peers that leave, and silence. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/bus.h"

typedef struct place {
    char folder[64], path[96];
} place;

static place make_place(void) {
    place p;
    snprintf(p.folder, sizeof p.folder, "/tmp/fw_bus_XXXXXX");
    assert_non_null(mkdtemp(p.folder));
    snprintf(p.path, sizeof p.path, "%s/bus", p.folder);
    return p;
}

static void drop_place(const place *p) {
    unlink(p->path);
    rmdir(p->folder);
}

static void pair(int fds[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void head_bytes(unsigned char out[FW_BUS_HEAD_BYTES], const char *magic, uint32_t kind,
                       uint32_t size_bytes) {
    memset(out, 0, FW_BUS_HEAD_BYTES);
    memcpy(out, magic, 4);
    for (int i = 0; i < 4; i++) {
        out[4 + i] = (unsigned char)(kind >> (8 * i));
        out[16 + i] = (unsigned char)(size_bytes >> (8 * i));
    }
}

typedef struct unit_side {
    const char *path;
    fw_status status;
    int fd;
} unit_side;

static void *connect_later(void *arg) {
    unit_side *u = arg;
    fw_error error;
    u->status = fw_bus_connect(u->path, 7, "driving", 5000, &u->fd, &error);
    return NULL;
}

static void test_a_unit_connects_before_its_world_listens(void **state) {
    (void)state;
    place p = make_place();
    unit_side u = {.path = p.path, .fd = -1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, connect_later, &u), 0);
    int listener, fd;
    uint32_t unit = 0;
    fw_error error;
    assert_int_equal(fw_bus_listen(p.path, &listener, &error), FW_OK);
    assert_int_equal(fw_bus_accept(listener, "driving", 5000, &fd, &unit, &error), FW_OK);
    pthread_join(thread, NULL);
    assert_int_equal(u.status, FW_OK);
    assert_int_equal(unit, 7);

    unsigned char payload[FW_BUS_PAYLOAD_MAX], got[FW_BUS_PAYLOAD_MAX];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (unsigned char)(i * 31);
    assert_int_equal(fw_bus_send(fd, FW_BUS_OBSERVE, 7, 42, payload, 3000, &error), FW_OK);
    fw_bus_head head;
    assert_int_equal(fw_bus_receive(u.fd, &head, got, 5000, &error), FW_OK);
    assert_int_equal(head.kind, FW_BUS_OBSERVE);
    assert_int_equal(head.unit, 7);
    assert_int_equal(head.tick, 42);
    assert_int_equal(head.size_bytes, 3000);
    assert_memory_equal(got, payload, 3000);
    assert_int_equal(fw_bus_send(u.fd, FW_BUS_ACT, 7, 42, NULL, 0, &error), FW_OK);
    assert_int_equal(fw_bus_receive(fd, &head, got, 5000, &error), FW_OK);
    assert_int_equal(head.size_bytes, 0);
    close(fd), close(u.fd), close(listener);
    drop_place(&p);
}

static void test_another_line_is_turned_away(void **state) {
    (void)state;
    place p = make_place();
    fw_error error;
    int listener, fd = -1, peer;
    uint32_t unit = 99;
    assert_int_equal(fw_bus_listen(p.path, &listener, &error), FW_OK);
    assert_int_equal(fw_bus_connect(p.path, 1, "robots", 1000, &peer, &error), FW_OK);
    assert_int_equal(fw_bus_accept(listener, "driving", 1000, &fd, &unit, &error), FW_MISMATCH);
    assert_int_equal(fd, -1);
    assert_int_equal(unit, 99);
    unsigned char payload[FW_BUS_PAYLOAD_MAX];
    fw_bus_head head;
    assert_int_equal(fw_bus_receive(peer, &head, payload, 1000, &error), FW_CLOSED);
    close(peer), close(listener);
    drop_place(&p);
}

static void test_nobody_comes(void **state) {
    (void)state;
    place p = make_place();
    fw_error error;
    int listener, fd;
    uint32_t unit;
    assert_int_equal(fw_bus_connect(p.path, 1, "driving", 50, &fd, &error), FW_TIMEOUT);
    assert_non_null(strstr(error.text, p.path));
    assert_int_equal(fw_bus_listen(p.path, &listener, &error), FW_OK);
    assert_int_equal(fw_bus_accept(listener, "driving", 30, &fd, &unit, &error), FW_TIMEOUT);
    close(listener);
    drop_place(&p);
}

static void test_listen_replaces_a_socket_and_nothing_else(void **state) {
    (void)state;
    place p = make_place();
    fw_error error;
    int listener;
    FILE *file = fopen(p.path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(fw_bus_listen(p.path, &listener, &error), FW_EXISTS);
    unlink(p.path);
    assert_int_equal(fw_bus_listen(p.path, &listener, &error), FW_OK);
    close(listener); /* leaves the file, as a killed world does */
    assert_int_equal(fw_bus_listen(p.path, &listener, &error), FW_OK);
    close(listener);
    drop_place(&p);
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[199] = '\0';
    assert_int_equal(fw_bus_listen(longer, &listener, &error), FW_INVALID);
    assert_int_equal(fw_bus_connect("", 0, "driving", 10, &listener, &error), FW_INVALID);
}

static void expect_cut_off(const void *bytes, size_t size_bytes, bool leave, fw_status wanted) {
    int fds[2];
    pair(fds);
    unsigned char payload[FW_BUS_PAYLOAD_MAX];
    fw_bus_head head = {.unit = 123};
    fw_error error;
    assert_int_equal(send(fds[0], bytes, size_bytes, 0), (ssize_t)size_bytes);
    if (leave) shutdown(fds[0], SHUT_WR);
    assert_int_equal(fw_bus_receive(fds[1], &head, payload, 1000, &error), wanted);
    assert_int_equal(head.unit, 123); /* outputs untouched */
    assert_true(strlen(error.text) > 0);
    close(fds[0]), close(fds[1]);
}

static void test_hostile_frames(void **state) {
    (void)state;
    unsigned char frame[FW_BUS_HEAD_BYTES + 8] = {0};
    head_bytes(frame, "HTTP", FW_BUS_ACT, 0);
    expect_cut_off(frame, FW_BUS_HEAD_BYTES, false, FW_CORRUPT);
    head_bytes(frame, "FWB1", 0, 0);
    expect_cut_off(frame, FW_BUS_HEAD_BYTES, false, FW_CORRUPT);
    head_bytes(frame, "FWB1", FW_BUS_FLUSH + 1, 0);
    expect_cut_off(frame, FW_BUS_HEAD_BYTES, false, FW_CORRUPT);
    head_bytes(frame, "FWB1", FW_BUS_ACT, FW_BUS_PAYLOAD_MAX + 1);
    expect_cut_off(frame, FW_BUS_HEAD_BYTES, false, FW_CORRUPT);
    head_bytes(frame, "FWB1", FW_BUS_ACT, UINT32_MAX);
    expect_cut_off(frame, FW_BUS_HEAD_BYTES, false, FW_CORRUPT);
    head_bytes(frame, "FWB1", FW_BUS_ACT, 9);
    expect_cut_off(frame, sizeof frame, true, FW_CORRUPT); /* one byte short */
    expect_cut_off(frame, 11, true, FW_CORRUPT);           /* half a head */
}

static void test_peer_gone_and_silence(void **state) {
    (void)state;
    int fds[2];
    pair(fds);
    unsigned char payload[FW_BUS_PAYLOAD_MAX] = {0};
    fw_bus_head head;
    fw_error error;
    assert_int_equal(fw_bus_receive(fds[1], &head, payload, 0, &error), FW_TIMEOUT);
    assert_int_equal(fw_bus_receive(fds[1], &head, payload, 20, &error), FW_TIMEOUT);
    /* after a timeout the stream is whole */
    assert_int_equal(fw_bus_send(fds[0], FW_BUS_END, 3, 4, NULL, 0, &error), FW_OK);
    assert_int_equal(fw_bus_receive(fds[1], &head, payload, 20, &error), FW_OK);
    assert_int_equal(head.kind, FW_BUS_END);
    close(fds[0]);
    assert_int_equal(fw_bus_receive(fds[1], &head, payload, 1000, &error), FW_CLOSED);
    assert_int_equal(fw_bus_send(fds[1], FW_BUS_ACT, 3, 4, payload, 100, &error), FW_CLOSED);
    close(fds[1]);
}

static void *trickle(void *arg) {
    const int fd = *(const int *)arg;
    unsigned char frame[FW_BUS_HEAD_BYTES + 5] = {0};
    head_bytes(frame, "FWB1", FW_BUS_OBSERVE, 5);
    memcpy(frame + FW_BUS_HEAD_BYTES, "hello", 5);
    for (size_t i = 0; i < sizeof frame; i++) {
        assert_int_equal(send(fd, frame + i, 1, 0), 1);
        usleep(500);
    }
    return NULL;
}

static void test_a_frame_in_single_bytes(void **state) {
    (void)state;
    int fds[2];
    pair(fds);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, trickle, &fds[0]), 0);
    unsigned char payload[FW_BUS_PAYLOAD_MAX];
    fw_bus_head head;
    fw_error error;
    assert_int_equal(fw_bus_receive(fds[1], &head, payload, -1, &error), FW_OK);
    assert_memory_equal(payload, "hello", 5);
    pthread_join(thread, NULL);
    close(fds[0]), close(fds[1]);
}

static void test_act_round_trip_and_refusals(void **state) {
    (void)state;
    fw_bus_act act = {.recordings = 3, .vetoed = 1, .acted = 1, .decide_ns = 123456,
                      .lost_bytes = UINT64_C(0x1122334455667788),
                      .model = fw_hash_bytes("model", 5)};
    unsigned char bytes[FW_BUS_ACT_BYTES];
    fw_bus_act_encode(&act, bytes);
    fw_bus_act back;
    fw_error error;
    assert_int_equal(fw_bus_act_decode(bytes, sizeof bytes, &back, &error), FW_OK);
    assert_int_equal(back.recordings, 3);
    assert_int_equal(back.vetoed, 1);
    assert_int_equal(back.acted, 1);
    assert_int_equal(back.decide_ns, 123456);
    assert_true(back.lost_bytes == act.lost_bytes);
    assert_string_equal(back.model.hex, act.model.hex);
    assert_int_equal(fw_bus_act_decode(bytes, sizeof bytes - 1, &back, &error), FW_CORRUPT);
    bytes[4] = 2;
    assert_int_equal(fw_bus_act_decode(bytes, sizeof bytes, &back, &error), FW_CORRUPT);
    bytes[4] = 1, bytes[24] = 'X';
    assert_int_equal(fw_bus_act_decode(bytes, sizeof bytes, &back, &error), FW_CORRUPT);
    act.model = (fw_hash){{0}};
    fw_bus_act_encode(&act, bytes);
    assert_int_equal(fw_bus_act_decode(bytes, sizeof bytes, &back, &error), FW_OK);
    assert_int_equal(back.model.hex[0], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_unit_connects_before_its_world_listens),
        cmocka_unit_test(test_another_line_is_turned_away),
        cmocka_unit_test(test_nobody_comes),
        cmocka_unit_test(test_listen_replaces_a_socket_and_nothing_else),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_peer_gone_and_silence),
        cmocka_unit_test(test_a_frame_in_single_bytes),
        cmocka_unit_test(test_act_round_trip_and_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
