/* units.c - see units.h */
#include "worlds/fleet/units.h"

#include <math.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { HELLO_MS = 1000 };

fw_status fw_fleet_units_open(fw_fleet_units *units, const char *path, uint32_t count,
                              fw_error *error) {
    FW_ASSERT(count >= 1 && count <= FW_WORLD_CARS_MAX);
    memset(units, 0, sizeof *units);
    units->count = count;
    units->listener = -1;
    for (uint32_t i = 0; i < count; i++) units->unit[i].fd = -1;
    return fw_bus_listen(path, &units->listener, error);
}

void fw_fleet_units_close(fw_fleet_units *units) {
    for (uint32_t i = 0; i < units->count; i++)
        if (units->unit[i].fd >= 0) close(units->unit[i].fd);
    if (units->listener >= 0) close(units->listener);
    units->listener = -1;
    units->count = 0;
}

void fw_fleet_units_cut(fw_fleet_units *units, uint32_t index, const char *why) {
    fw_fleet_unit *unit = &units->unit[index];
    if (unit->fd < 0) return;
    fw_log_warn("unit %u cut off: %s", index, why);
    close(unit->fd);
    unit->fd = -1;
    unit->waiting = unit->drive_open = false;
    unit->misses_in_row = 0;
    unit->cuts++;
}

void fw_fleet_units_admit(fw_fleet_units *units) {
    struct pollfd knock = {.fd = units->listener, .events = POLLIN};
    while (poll(&knock, 1, 0) > 0) {
        int fd = -1;
        uint32_t index = 0;
        fw_error why = {""};
        if (fw_bus_accept(units->listener, "driving", HELLO_MS, &fd, &index, &why) != FW_OK) {
            fw_log_warn("a unit was refused: %s", why.text);
            continue;
        }
        if (index >= units->count) {
            fw_log_warn("unit %u refused: units are 0 to %u here", index, units->count - 1);
            close(fd);
            continue;
        }
        fw_fleet_units_cut(units, index, "it came back under its number");
        units->unit[index].fd = fd;
    }
}

uint32_t fw_fleet_units_present(const fw_fleet_units *units) {
    uint32_t present = 0;
    for (uint32_t i = 0; i < units->count; i++) present += units->unit[i].fd >= 0;
    return present;
}

bool fw_fleet_units_send(fw_fleet_units *units, uint32_t index, fw_bus_kind kind, uint32_t tick,
                         const void *payload, size_t size_bytes) {
    fw_fleet_unit *unit = &units->unit[index];
    fw_error why = {""};
    if (unit->fd < 0 || unit->waiting) return false;
    if (fw_bus_send(unit->fd, kind, index, tick, payload, size_bytes, &why) != FW_OK) {
        fw_fleet_units_cut(units, index, why.text);
        return false;
    }
    unit->waiting = true;
    return true;
}

/* Reads one ACT frame's payload into the unit's report. */
static fw_status take_report(fw_fleet_unit *unit, const fw_bus_head *head,
                             const unsigned char *payload, bool *acted, fw_drive_action *action,
                             fw_error *why) {
    fw_bus_act act;
    fw_drive_action wanted;
    if (head->kind != FW_BUS_ACT)
        return fw_fail(why, FW_CORRUPT, "frame kind %u where ACT was due", head->kind);
    FW_TRY(fw_bus_act_decode(payload, head->size_bytes, &act, why));
    if (head->size_bytes != FW_BUS_ACT_BYTES + (act.acted ? sizeof wanted : 0))
        return fw_fail(why, FW_CORRUPT, "ACT has %u bytes", head->size_bytes);
    if (act.acted) {
        memcpy(&wanted, payload + FW_BUS_ACT_BYTES, sizeof wanted);
        if (!isfinite(wanted.accel_mps2) || !isfinite(wanted.curvature_pm))
            return fw_fail(why, FW_CORRUPT, "its action is not finite");
        *action = wanted;
    }
    *acted = act.acted != 0;
    unit->model = act.model;
    unit->recordings = act.recordings;
    unit->lost_bytes = act.lost_bytes;
    unit->vetoes += act.acted && act.vetoed;
    return FW_OK;
}

fw_status fw_fleet_units_answer(fw_fleet_units *units, uint32_t index, int timeout_ms,
                                bool *acted, fw_drive_action *action) {
    fw_fleet_unit *unit = &units->unit[index];
    fw_error why = {""};
    fw_bus_head head;
    if (unit->fd < 0 || !unit->waiting) return FW_CLOSED;
    fw_status status = fw_bus_receive(unit->fd, &head, units->wire, timeout_ms, &why);
    if (status == FW_TIMEOUT) return status;
    if (status == FW_OK) status = take_report(unit, &head, units->wire, acted, action, &why);
    unit->waiting = false;
    if (status != FW_OK) fw_fleet_units_cut(units, index, why.text);
    return status;
}

void fw_fleet_units_tell(fw_fleet_units *units, uint32_t index, fw_bus_kind kind, uint32_t tick) {
    bool acted = false;
    fw_drive_action none;
    if (!fw_fleet_units_send(units, index, kind, tick, NULL, 0)) return;
    if (fw_fleet_units_answer(units, index, FW_FLEET_PATIENCE_MS, &acted, &none) == FW_TIMEOUT)
        fw_fleet_units_cut(units, index, "no answer");
}
