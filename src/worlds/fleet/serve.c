/* serve.c - see fleet.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "worlds/fleet/lines.h"
#include "worlds/fleet/units.h"

enum { TICK_MS = 100 };

/* The world's truth since the last "paused". */
typedef struct drive_counts {
    uint32_t drives, clean, collisions, off_lane, red_light, stuck, desync;
} drive_counts;

/* What a restart of SUMO adds, so that nothing a unit sees goes back (invariant 4). */
typedef struct offsets {
    uint32_t tick, drive[FW_WORLD_CARS_MAX];
    int64_t time_ns, last_time_ns;
    bool rebase; /* the next observation sets time_ns */
} offsets;

typedef struct fleet {
    const fw_fleet_config *config;
    fw_world *world;
    fw_fleet_lines lines;
    fw_fleet_units units;
    drive_counts counts;
    fw_conditions conditions; /* now */
    offsets offset;
    uint32_t restarts, restarts_in_row;
    int64_t next_tick_ns; /* realtime: when the next tick is due */
    fw_drive_action actions[FW_WORLD_CARS_MAX];
    fw_drive_obs obs;
    unsigned char wire[FW_DRIVE_OBS_WIRE_MAX];
} fleet;

static uint32_t now_tick(const fleet *f) { return f->offset.tick + fw_world_tick(f->world); }

/* Sends an observation of the current world with the offsets of its restarts. */
static bool send_obs(fleet *f, uint32_t car, const fw_drive_obs *obs) {
    f->obs = *obs;
    f->obs.tick += f->offset.tick;
    if (f->offset.rebase)
        f->offset.time_ns = f->offset.last_time_ns + TICK_MS * INT64_C(1000000) - obs->time_ns;
    f->offset.rebase = false;
    f->obs.time_ns += f->offset.time_ns;
    if (f->config->realtime) f->obs.time_ns = fw_env_wall_ns(f->config->env);
    f->obs.drive += f->offset.drive[car];
    f->offset.last_time_ns = f->obs.time_ns;
    size_t size = fw_drive_obs_encode(&f->obs, f->wire);
    if (!fw_fleet_units_send(&f->units, car, FW_BUS_OBSERVE, f->obs.tick, f->wire, size))
        return false;
    f->units.unit[car].drive_open = true;
    f->units.unit[car].drive = f->obs.drive;
    return true;
}

static void end_drive(fleet *f, uint32_t car) {
    if (!f->units.unit[car].drive_open) return;
    fw_fleet_units_tell(&f->units, car, FW_BUS_END, now_tick(f));
    f->units.unit[car].drive_open = false;
}

/* Realtime: throws away the answer to an earlier tick; false while it is still out. */
static bool settle(fleet *f, uint32_t car) {
    fw_fleet_unit *unit = &f->units.unit[car];
    fw_drive_action late;
    bool acted = false;
    if (unit->fd < 0) return false;
    if (!unit->waiting) return true;
    return fw_fleet_units_answer(&f->units, car, 0, &acted, &late) == FW_OK;
}

static void observe_all(fleet *f) {
    for (uint32_t car = 0; car < f->config->cars; car++) {
        const fw_drive_obs *obs = fw_world_obs(f->world, car);
        fw_fleet_unit *unit = &f->units.unit[car];
        f->actions[car] = (fw_drive_action){FW_FLEET_LOST_ACCEL_MPS2, unit->curvature_pm};
        if (obs == NULL) continue;
        if (unit->drive_open && unit->drive != obs->drive + f->offset.drive[car] && settle(f, car))
            end_drive(f, car);
        f->actions[car].curvature_pm = obs->curvature_pm;
        if (settle(f, car)) (void)!send_obs(f, car, obs);
    }
}

/* Milliseconds an answer may take from now: until the next tick is due, or the patience. */
static int patience_ms(const fleet *f) {
    if (!f->config->realtime) return FW_FLEET_PATIENCE_MS;
    int64_t left_ns = f->next_tick_ns - fw_env_mono_ns(f->config->env);
    return left_ns > 0 ? (int)(left_ns / 1000000) : 0;
}

static void miss(fleet *f, uint32_t car) {
    fw_fleet_unit *unit = &f->units.unit[car];
    unit->misses++;
    unit->misses_in_row++;
    if (!f->config->realtime || unit->misses_in_row >= FW_FLEET_MISSES_MAX)
        fw_fleet_units_cut(&f->units, car, "no answer");
}

static void collect_all(fleet *f) {
    for (uint32_t car = 0; car < f->config->cars; car++) {
        fw_fleet_unit *unit = &f->units.unit[car];
        fw_drive_action action;
        bool acted = false;
        if (fw_world_obs(f->world, car) == NULL || !unit->waiting) continue;
        fw_status status = fw_fleet_units_answer(&f->units, car, patience_ms(f), &acted, &action);
        if (status == FW_TIMEOUT) miss(f, car);
        if (status != FW_OK || !acted) continue;
        f->actions[car] = action;
        unit->curvature_pm = action.curvature_pm;
        unit->misses_in_row = 0;
        unit->ticks++;
    }
}

static void count_result(drive_counts *c, const fw_drive_result *r) {
    c->desync += r->desync;
    if (r->desync && fw_drive_result_clean(r)) return;
    c->drives++;
    c->clean += fw_drive_result_clean(r);
    c->collisions += r->collision;
    c->off_lane += r->off_lane;
    c->red_light += r->red_light;
    c->stuck += r->stuck;
}

/* A bump is felt before the drive is over: its observation goes out, the answer is thrown away. */
static void feel_bump(fleet *f, uint32_t car) {
    const fw_drive_obs *last = fw_world_last_obs(f->world, car);
    fw_drive_action ignored;
    bool acted = false;
    if (last == NULL || !f->units.unit[car].drive_open || !settle(f, car)) return;
    if (!send_obs(f, car, last)) return;
    if (fw_fleet_units_answer(&f->units, car, FW_FLEET_PATIENCE_MS, &acted, &ignored) == FW_TIMEOUT)
        fw_fleet_units_cut(&f->units, car, "no answer");
}

static void take_results(fleet *f) {
    fw_drive_result result;
    while (fw_world_take_result(f->world, &result)) {
        count_result(&f->counts, &result);
        FW_ASSERT(result.car < f->config->cars);
        feel_bump(f, result.car);
        if (settle(f, result.car)) end_drive(f, result.car);
    }
}

static fw_status open_world(fleet *f, uint64_t seed, fw_error *error) {
    fw_world_config config = {
        .network = f->config->network, .seed = seed & ~FW_SEED_SEALED, .cars = f->config->cars,
        .vehicles = f->config->vehicles, .conditions = f->conditions};
    return fw_world_open(&config, &f->world, error);
}

/* SUMO died, or its hours are over: END to all, a new SUMO with a derived seed, and everything goes
 * on after now. */
static fw_status restart(fleet *f, const char *why, bool planned, fw_error *error) {
    char name[32];
    fw_log(planned ? FW_LOG_INFO : FW_LOG_WARN, "starting a new SUMO: %s", why);
    for (uint32_t car = 0; car < f->config->cars; car++) {
        end_drive(f, car);
        f->offset.drive[car] = f->units.unit[car].drive + 1;
    }
    f->offset.tick = now_tick(f) + 1;
    f->offset.rebase = true;
    fw_world_close(f->world);
    f->world = NULL;
    if (!planned && ++f->restarts_in_row > FW_FLEET_RESTARTS_MAX)
        return fw_fail(error, FW_CLOSED, "SUMO died %d times in a row: %s", FW_FLEET_RESTARTS_MAX,
                       why);
    snprintf(name, sizeof name, "restart/%u", ++f->restarts);
    FW_TRY(open_world(f, fw_seed_mix(f->config->seed, name), error));
    fw_fleet_lines_say(&f->lines, json_pack("{s:s, s:I, s:I, s:b, s:i}", "event", "restarted", "tick",
                                            (json_int_t)now_tick(f), "restarts",
                                            (json_int_t)f->restarts, "planned", planned, "sumo_pid",
                                            fw_world_sumo_pid(f->world)));
    return FW_OK;
}

static void pace(fleet *f) {
    if (!f->config->realtime) return;
    int64_t now = fw_env_mono_ns(f->config->env);
    if (f->next_tick_ns > now) fw_env_sleep_ns(f->config->env, f->next_tick_ns - now);
    /* A tick that came late does not make the next ones hurry. */
    else f->next_tick_ns = now;
    f->next_tick_ns += TICK_MS * INT64_C(1000000);
}

static fw_status one_tick(fleet *f, fw_error *error) {
    fw_error why = {""};
    fw_fleet_units_admit(&f->units);
    pace(f);
    observe_all(f);
    collect_all(f);
    fw_status status = fw_world_step(f->world, f->actions, &why);
    if (status == FW_CLOSED) return restart(f, why.text, false, error);
    if (status != FW_OK) return fw_fail(error, status, "%s", why.text);
    f->restarts_in_row = 0;
    take_results(f);
    return fw_world_over(f->world) ? restart(f, "its hours are over", true, error) : FW_OK;
}

/* Between two ticks. */
static fw_status shift(fleet *f, const char *text, fw_error *error) {
    char now[FW_CONDITIONS_TEXT_MAX];
    fw_error why = {""};
    const fw_vehicles *kinds = f->config->vehicles ? f->config->vehicles : fw_vehicles_builtin();
    if (fw_conditions_parse(text, kinds, &f->conditions, &why) != FW_OK) {
        fw_fleet_lines_say(&f->lines, json_pack("{s:s, s:s}", "event", "error", "error", why.text));
        return FW_OK;
    }
    fw_status status = fw_world_shift(f->world, &f->conditions, &why);
    if (status == FW_CLOSED) status = restart(f, why.text, false, error);
    else if (status != FW_OK) return fw_fail(error, status, "%s", why.text);
    fw_conditions_write(&f->conditions, now);
    if (status == FW_OK)
        fw_fleet_lines_say(&f->lines, json_pack("{s:s, s:I, s:s}", "event", "shifted", "tick",
                                                (json_int_t)now_tick(f), "conditions", now));
    return status;
}

static json_t *units_json(const fleet *f) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < f->units.count; i++) {
        const fw_fleet_unit *u = &f->units.unit[i];
        json_array_append_new(
            list, json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "unit", (json_int_t)i,
                            "recordings", (json_int_t)u->recordings,
                            "model", u->model.hex, "ticks", (json_int_t)u->ticks, "vetoes",
                            (json_int_t)u->vetoes, "misses", (json_int_t)u->misses, "cuts",
                            (json_int_t)u->cuts, "lost_bytes", (json_int_t)u->lost_bytes,
                            "connected", u->fd >= 0));
    }
    return list;
}

static void say_paused(fleet *f) {
    const drive_counts *c = &f->counts;
    json_t *drives = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "drives", (int)c->drives,
                               "clean", (int)c->clean, "collisions", (int)c->collisions,
                               "off_lane", (int)c->off_lane, "red_light", (int)c->red_light,
                               "stuck", (int)c->stuck, "desync", (int)c->desync);
    fw_fleet_lines_say(&f->lines,
                       json_pack("{s:s, s:I, s:o, s:o}", "event", "paused", "tick",
                                 (json_int_t)now_tick(f), "units", units_json(f), "drives", drives));
    f->counts = (drive_counts){0};
    for (uint32_t i = 0; i < f->units.count; i++) {
        fw_fleet_unit *u = &f->units.unit[i];
        u->ticks = u->vetoes = u->misses = u->cuts = 0;
    }
}

static void flush_all(fleet *f) {
    fw_fleet_units_admit(&f->units);
    for (uint32_t i = 0; i < f->units.count; i++) {
        fw_drive_action late;
        bool acted = false;
        fw_fleet_unit *unit = &f->units.unit[i];
        if (unit->waiting &&
            fw_fleet_units_answer(&f->units, i, FW_FLEET_PATIENCE_MS, &acted, &late) == FW_TIMEOUT)
            fw_fleet_units_cut(&f->units, i, "no answer");
        fw_fleet_units_tell(&f->units, i, FW_BUS_FLUSH, now_tick(f));
    }
}

/* Runs `command`; *quit is set when a quit arrived meanwhile. */
static fw_status run_ticks(fleet *f, fw_fleet_command command, bool *quit, fw_error *error) {
    f->next_tick_ns = fw_env_mono_ns(f->config->env);
    for (uint32_t t = 0; t < command.ticks && !*quit; t++) {
        FW_TRY(one_tick(f, error));
        if ((t + 1) % FW_FLEET_TICK_EVENTS == 0)
            fw_fleet_lines_say(&f->lines, json_pack("{s:s, s:I}", "event", "tick", "tick",
                                                    (json_int_t)now_tick(f)));
        const fw_fleet_command meanwhile = fw_fleet_lines_next(&f->lines, 0);
        *quit = meanwhile.word == FW_FLEET_QUIT;
        if (meanwhile.word == FW_FLEET_SHIFT) FW_TRY(shift(f, meanwhile.conditions, error));
    }
    if (command.word == FW_FLEET_RUN || *quit) flush_all(f);
    say_paused(f);
    return FW_OK;
}

static fw_status wait_for_units(fleet *f, fw_error *error) {
    const fw_env *env = f->config->env;
    int64_t deadline = fw_env_mono_ns(env) + FW_FLEET_UNITS_WAIT_MS * INT64_C(1000000);
    for (;;) {
        fw_fleet_units_admit(&f->units);
        uint32_t present = fw_fleet_units_present(&f->units);
        if (present == f->config->cars) return FW_OK;
        if (fw_env_mono_ns(env) > deadline)
            return fw_fail(error, FW_TIMEOUT, "only %u of %u units came to %s", present,
                           f->config->cars, f->config->bus_path);
        if (f->lines.ended) return fw_fail(error, FW_INTERRUPTED, "stopped while waiting for units");
        fw_env_sleep_ns(env, 10 * INT64_C(1000000));
    }
}

static fw_status serve(fleet *f, fw_error *error) {
    bool quit = false;
    FW_TRY(fw_fleet_units_open(&f->units, f->config->bus_path, f->config->cars, error));
    FW_TRY(open_world(f, f->config->seed, error));
    FW_TRY(wait_for_units(f, error));
    fw_fleet_lines_say(&f->lines, json_pack("{s:s, s:I, s:I, s:i}", "event", "ready", "tick",
                                            (json_int_t)now_tick(f), "units",
                                            (json_int_t)f->config->cars, "sumo_pid",
                                            fw_world_sumo_pid(f->world)));
    while (!quit) {
        fw_fleet_command command = fw_fleet_lines_next(&f->lines, 200);
        fw_fleet_units_admit(&f->units);
        if (command.word == FW_FLEET_QUIT) break;
        if (command.word == FW_FLEET_SHIFT) FW_TRY(shift(f, command.conditions, error));
        else if (command.word != FW_FLEET_NOTHING) FW_TRY(run_ticks(f, command, &quit, error));
    }
    fw_fleet_lines_say(&f->lines, json_pack("{s:s, s:I}", "event", "stopped", "tick",
                                            (json_int_t)now_tick(f)));
    return FW_OK;
}

fw_status fw_fleet_serve(const fw_fleet_config *config, fw_error *error) {
    if (config->cars < 1 || config->cars > FW_WORLD_CARS_MAX)
        return fw_fail(error, FW_INVALID, "cars are 1 to %d", FW_WORLD_CARS_MAX);
    if (config->seed & FW_SEED_SEALED)
        return fw_fail(error, FW_INVALID, "seed %" PRIu64 " is the examiner's: training seeds "
                       "are below 2^63", config->seed);
    fleet *f = calloc(1, sizeof *f);
    if (f == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for the fleet");
    f->config = config;
    f->conditions = config->conditions;
    if (f->conditions.demand <= 0) f->conditions.demand = 1;
    f->lines.in_fd = config->in_fd;
    f->lines.out_fd = config->out_fd;
    f->units.listener = -1;
    fw_status status = serve(f, error);
    if (f->world) fw_world_close(f->world);
    fw_fleet_units_close(&f->units);
    free(f);
    return status;
}
