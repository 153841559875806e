/* conditions.c - see conditions.h */
#include "worlds/sumo/conditions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEMAND_MIN 0.1
#define DEMAND_MAX 4.0

/* ---- text ---- */

/* A number alone, within [low, high]. */
static bool number_of(const char *text, double low, double high, double *out) {
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high)) return false;
    *out = value;
    return true;
}

static fw_status parse_kind(const char *value, const fw_vehicles *vehicles, fw_conditions *c, fw_error *error) {
    const char *colon = strchr(value, ':');
    double share = 0;
    char name[FW_VEHICLE_NAME_MAX];
    if (!colon || (size_t)(colon - value) >= sizeof name || !number_of(colon + 1, 0, 1, &share))
        return fw_fail(error, FW_INVALID, "kind is NAME:SHARE with a share of 0 to 1, as van:0.3, not '%.40s'", value);
    (void)snprintf(name, sizeof name, "%.*s", (int)(colon - value), value);
    if (!fw_vehicles_find(vehicles, name))
        return fw_fail(error, FW_INVALID, "no kind of vehicle is called '%s'", name);
    memset(c->kind, 0, sizeof c->kind);
    if (share > 0) memcpy(c->kind, name, strlen(name));
    c->kind_share = share;
    return FW_OK;
}

static fw_status parse_one(const char *word, const char *value, const fw_vehicles *vehicles, fw_conditions *c,
                           fw_error *error) {
    if (strcmp(word, "kind") == 0) return parse_kind(value, vehicles, c, error);
    if (strcmp(word, "demand") == 0) {
        if (number_of(value, DEMAND_MIN, DEMAND_MAX, &c->demand)) return FW_OK;
        return fw_fail(error, FW_INVALID, "demand is a factor of %g to %g, not '%.40s'", DEMAND_MIN, DEMAND_MAX, value);
    }
    if (strcmp(word, "traffic") == 0) {
        if (number_of(value, 0, 1, &c->traffic)) return FW_OK;
        return fw_fail(error, FW_INVALID, "traffic is 0 (as measured) to 1 (aggressive), not '%.40s'", value);
    }
    if (strcmp(word, "left-hand") == 0 && (strcmp(value, "on") == 0 || strcmp(value, "off") == 0)) {
        c->left_hand = strcmp(value, "on") == 0;
        return FW_OK;
    }
    return fw_fail(error, FW_INVALID, "'%.40s %.40s' is no condition: demand D, traffic A, kind NAME:SHARE, "
                   "left-hand on|off", word, value);
}

fw_status fw_conditions_parse(const char *text, const fw_vehicles *vehicles, fw_conditions *io, fw_error *error) {
    fw_conditions c = *io;
    char copy[FW_CONDITIONS_TEXT_MAX], *rest = NULL;
    if (strlen(text) >= sizeof copy)
        return fw_fail(error, FW_INVALID, "conditions are at most %zu characters", sizeof copy - 1);
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        char word[24], value[64], more;
        if (sscanf(one, " %23s %63s %c", word, value, &more) != 2)
            return fw_fail(error, FW_INVALID, "'%.60s' is no condition: a word and its value, as demand 2", one);
        FW_TRY(parse_one(word, value, vehicles, &c, error));
    }
    *io = c;
    return FW_OK;
}

void fw_conditions_write(const fw_conditions *c, char out[FW_CONDITIONS_TEXT_MAX]) {
    (void)snprintf(out, FW_CONDITIONS_TEXT_MAX, "demand %g, traffic %g, kind %s:%g, left-hand %s", c->demand,
                   c->traffic, c->kind[0] ? c->kind : "car", c->kind_share, c->left_hand ? "on" : "off");
}

/* ---- SUMO's drivers ---- */

static bool is_passenger(fw_text vclass) {
    return vclass.size == 9 && memcmp(vclass.at, "passenger", 9) == 0;
}

static void hear_type(void *context, fw_traci_domain domain, fw_text id, uint8_t variable,
                      const fw_traci_value *value) {
    fw_manners *m = context;
    if (domain != FW_TRACI_TYPE) return;
    if (variable == FW_TRACI_IDS) {
        for (uint32_t i = 0; i < value->list_count && m->count < FW_MANNERS_TYPES_MAX; i++) {
            const fw_text one = value->list[i];
            if (one.size >= sizeof m->types[0].id) continue;
            memcpy(m->types[m->count++].id, one.at, one.size);
        }
        return;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        if (strlen(m->types[i].id) != id.size || memcmp(m->types[i].id, id.at, id.size) != 0) continue;
        if (variable == FW_TRACI_CLASS && !is_passenger(value->text)) m->types[i].id[0] = 0;
        if (variable == FW_TRACI_TAU) m->types[i].tau_s = value->number;
        if (variable == FW_TRACI_IMPERFECTION) m->types[i].sigma = value->number;
        if (variable == FW_TRACI_MIN_GAP) m->types[i].min_gap_m = value->number;
        if (variable == FW_TRACI_SPEED_FACTOR) m->types[i].speed_factor = value->number;
        if (variable == FW_TRACI_ACCEL) m->types[i].accel_mps2 = value->number;
        return;
    }
}

fw_status fw_manners_read(fw_traci *traci, fw_manners *out, fw_error *error) {
    static const uint8_t asked[] = {FW_TRACI_TAU,          FW_TRACI_IMPERFECTION, FW_TRACI_MIN_GAP,
                                    FW_TRACI_SPEED_FACTOR, FW_TRACI_ACCEL,        FW_TRACI_CLASS};
    memset(out, 0, sizeof *out);
    fw_traci_add_get(traci, FW_TRACI_TYPE, FW_TRACI_IDS, fw_text_of(""));
    FW_TRY(fw_traci_exchange(traci, hear_type, out, error));
    for (uint32_t i = 0; i < out->count; i++)
        for (size_t k = 0; k < sizeof asked; k++)
            fw_traci_add_get(traci, FW_TRACI_TYPE, asked[k], fw_text_of(out->types[i].id));
    return fw_traci_exchange(traci, hear_type, out, error);
}

/* a + A * (b - a): what A = 1 makes of a measured value. SUMO's car following stays free of collisions: headways do
 * not fall below its step, and nobody ignores the right of way. */
static double mix(double measured, double aggressive, double traffic) {
    return measured + traffic * (aggressive - measured);
}

#define AGGRESSIVE_TAU_S 0.6
#define AGGRESSIVE_SIGMA 0.8
#define AGGRESSIVE_GAP_M 0.7
#define AGGRESSIVE_SPEED 1.25 /* times the limit, beside what is measured */
#define AGGRESSIVE_ACCEL 1.4  /* times */
#define AGGRESSIVE_CHANGES 3.0 /* lcAssertive: gaps accepted are this many times shorter */

void fw_manners_add(fw_traci *traci, const fw_manners *manners, double traffic) {
    for (uint32_t i = 0; i < manners->count; i++) {
        const fw_text id = fw_text_of(manners->types[i].id);
        if (!id.size) continue; /* no passenger cars */
        const double tau = manners->types[i].tau_s, gap = manners->types[i].min_gap_m;
        fw_traci_add_number(traci, FW_TRACI_TYPE, FW_TRACI_TAU, id,
                            mix(tau, fmin(tau, AGGRESSIVE_TAU_S), traffic));
        fw_traci_add_number(traci, FW_TRACI_TYPE, FW_TRACI_IMPERFECTION, id,
                            mix(manners->types[i].sigma, fmax(manners->types[i].sigma, AGGRESSIVE_SIGMA), traffic));
        fw_traci_add_number(traci, FW_TRACI_TYPE, FW_TRACI_MIN_GAP, id,
                            mix(gap, fmin(gap, AGGRESSIVE_GAP_M), traffic));
        fw_traci_add_number(traci, FW_TRACI_TYPE, FW_TRACI_SPEED_FACTOR, id,
                            manners->types[i].speed_factor * mix(1, AGGRESSIVE_SPEED, traffic));
        fw_traci_add_number(traci, FW_TRACI_TYPE, FW_TRACI_ACCEL, id,
                            manners->types[i].accel_mps2 * mix(1, AGGRESSIVE_ACCEL, traffic));
    }
}

void fw_manners_add_vehicle(fw_traci *traci, fw_text vehicle, double traffic, bool on_the_road) {
    char text[32];
    if (on_the_road) /* who comes later draws its own around its type's */
        fw_traci_add_number(traci, FW_TRACI_VEHICLE, FW_TRACI_SPEED_FACTOR, vehicle,
                            mix(1, AGGRESSIVE_SPEED, traffic));
    (void)snprintf(text, sizeof text, "%g", mix(1, AGGRESSIVE_CHANGES, traffic));
    fw_traci_add_parameter(traci, vehicle, "laneChangeModel.lcAssertive", text);
}
