/* unit_drive.c - a unit drives: the line's real tick, a frame at a time, on a road of the seed (unit.h). */
#include <sys/socket.h>
#include <unistd.h>

#include "bus/bus.h"
#include "sim/unit_inner.h"
#include "sim/world.h"

enum { DRIVE_EVERY_S = 150, TICKS_A_STEP = 8, CHUNK_NS = 1000000000 };

static int64_t no_time(void) { return 0; }

fw_status fw_sim_unit_tick_open(fw_sim_unit *u, fw_error *error) {
    const fw_unit_tick_config config = {.unit = u->number, .bus_path = "", .chunk_ns = CHUNK_NS,
                                        .env = &u->machine.env, .cpu_ns = no_time};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fw_fail_errno(error, "cannot make a pair of sockets");
    u->world_fd = ends[0];
    u->tick_fd = ends[1];
    return fw_unit_tick_open(&config, u->shared, &u->tick, error);
}

void fw_sim_unit_tick_close(fw_sim_unit *u) {
    if (u->tick) fw_unit_tick_close(u->tick);
    if (u->world_fd > 0) close(u->world_fd);
    if (u->tick_fd > 0) close(u->tick_fd);
    u->tick = NULL;
    u->world_fd = u->tick_fd = 0;
}

/* A frame there, an answer back. False: the bus broke, which it never may. */
static bool exchange(fw_sim_unit *u, fw_bus_kind kind, const void *frame, size_t size, fw_drive_action *action) {
    uint8_t payload[FW_BUS_PAYLOAD_MAX];
    fw_bus_head head;
    fw_error error;
    *action = (fw_drive_action){0};
    if (fw_bus_send(u->world_fd, kind, u->number, u->road.tick, frame, size, &error) != FW_OK ||
        fw_unit_tick_once(u->tick, u->tick_fd, 1000, &error) != FW_OK ||
        fw_bus_receive(u->world_fd, &head, payload, 1000, &error) != FW_OK)
        return false;
    if (head.size_bytes == FW_BUS_ACT_BYTES + sizeof *action)
        memcpy(action, payload + FW_BUS_ACT_BYTES, sizeof *action);
    return head.kind == FW_BUS_ACT;
}

static bool tick(fw_sim_unit *u) {
    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    fw_drive_obs obs;
    fw_drive_action action;
    fw_sim_road_observe(&u->road, &obs);
    if (!exchange(u, FW_BUS_OBSERVE, wire, fw_drive_obs_encode(&obs, wire), &action)) return false;
    fw_sim_road_move(&u->road, &u->random, &action);
    u->machine.spent_ns += 100000000;
    return true;
}

void fw_sim_unit_drive(fw_sim_world *w, fw_sim_unit *u) {
    if (!fw_unit_tick_take_model(u->tick)) return; /* it has no model yet */
    if (!u->driving) {
        if (w->now_ns < u->drive_due_ns) return;
        u->drive_due_ns = w->now_ns + fw_sim_wait_ns(&u->random, DRIVE_EVERY_S);
        fw_sim_road_begin(&u->road, &u->random, ++u->drives);
        u->driving = true;
    }
    uint32_t ticks = 1 + fw_random_below(&u->random, TICKS_A_STEP);
    bool works = true;
    for (uint32_t i = 0; i < ticks && works && u->road.tick < u->road.ticks; i++) works = tick(u);
    if (works && u->road.tick >= u->road.ticks) {
        fw_drive_action none;
        works = exchange(u, FW_BUS_END, NULL, 0, &none);
        u->driving = false;
    }
    if (!works) fw_sim_broken(w, "starts", u->machine.name, "its tick does not answer");
}
