/* conflicts.c - whose way meets ours soon, and who yields (drive.h, fw_drive_conflict).
 *
 * Junctions: a zone of our path (zones.c) and a road user in range whose lane and turn signal lead
 * over the zone's link, or who is on it. Right of way is the net's `response`, unless lights say
 * otherwise: with G we yield to nobody who has not entered; a foe with red is not coming. A link with
 * a waiting place inside the junction yields there (net.h), whatever its light.
 * Lane changes: users on the lane we change into, near the stretch, or about to enter that lane.
 */
#include <math.h>

#include "worlds/sumo/internal.h"

#define ZONE_AHEAD_M 80.0f
#define CHANGE_AHEAD_M 40.0f
#define CHANGE_BEHIND_M 30.0
#define CHANGE_BEYOND_M 10.0
#define YELLOW_COMES_M 15.0f
#define STANDS_MPS 0.3f

typedef struct listing {
    fw_drive_conflict conflict;
    float urgency; /* lower first */
} listing;

typedef struct gathering {
    listing list[FW_DRIVE_CONFLICTS_MAX];
    uint32_t count;
    float front_s_m;
    float speeds[FW_DRIVE_USERS_MAX];
} gathering;

static void gather(gathering *g, fw_drive_conflict c) {
    const float speed = fmaxf(g->speeds[c.user], 2);
    const float urgency = fmaxf(c.enter_s_m - g->front_s_m, 0) / 8 +
                          fmaxf(c.foe_enter_m, 0) / speed + (c.must_yield ? 0 : 4);
    /* One entry a user and kind of meeting: the nearest zone. */
    for (uint32_t i = 0; i < g->count; i++) {
        fw_drive_conflict *old = &g->list[i].conflict;
        if (old->user != c.user ||
            (old->kind == FW_DRIVE_CONFLICT_CHANGE) != (c.kind == FW_DRIVE_CONFLICT_CHANGE))
            continue;
        if (old->enter_s_m <= c.enter_s_m) return;
        for (uint32_t j = i; j + 1 < g->count; j++) g->list[j] = g->list[j + 1];
        g->count--;
        break;
    }
    uint32_t at = g->count;
    if (at == FW_DRIVE_CONFLICTS_MAX && urgency >= g->list[at - 1].urgency) return;
    if (at < FW_DRIVE_CONFLICTS_MAX)
        g->count++;
    else
        at--;
    for (; at > 0 && g->list[at - 1].urgency > urgency; at--) g->list[at] = g->list[at - 1];
    g->list[at] = (listing){c, urgency};
}

static bool is_red(char light) {
    return light == 'r' || light == 'R' || light == 'u';
}

typedef enum yielding { NOT_COMING, IT_YIELDS, WE_YIELD } yielding;

/* A meeting in a junction, as both see it. */
typedef struct meeting {
    const fw_path_zone *zone;
    const fw_vehicle *foe;
    float start_m, enter_m, exit_m; /* the foe's way to its link's start, to the zone, out of it */
    float wait_s_m;                 /* where we wait: our stop line, or our place inside */
} meeting;

static bool not_coming(const meeting *m, char ours, char theirs) {
    if (is_red(ours)) return true; /* we wait at the line; looked at again when it is green */
    if (m->start_m <= 0) return false;
    return is_red(theirs) || ((theirs == 'y' || theirs == 'Y') && m->start_m > YELLOW_COMES_M);
}

/* Whose rules say nothing although their ways meet (two left turns, say): SUMO's drivers do not stand back there, so
 * we do; among our own cars, whoever is farther. */
static yielding without_rules(const fw_car *car, const meeting *m) {
    if (m->foe->car == FW_CITY_NO_CAR) return WE_YIELD;
    return m->enter_m < m->zone->enter_s_m - car->front_s_m ? WE_YIELD : IT_YIELDS;
}

/* By the rules of the road alone: which of the two links stands back. Our light says nothing about our waiting place,
 * and a foe that stands back at its line does not make us wait at it. */
static yielding by_rules(const fw_world *world, const fw_car *car, const meeting *m, char ours,
                         char theirs) {
    const fw_net *net = world->net;
    const uint32_t own = car->path.links[m->zone->own].link, foe = m->zone->foe_link;
    const float foe_wait_m = m->start_m + (float)fw_net_link_wait_m(net, foe);
    const bool we_wait = fw_net_link_waits(net, own, foe);
    const bool it_yields = theirs != 'G' && fw_net_link_yields(net, foe, own);
    const bool it_waits = fw_net_link_waits(net, foe, own) && foe_wait_m > 0;
    if (we_wait && it_yields && m->start_m > 0) return IT_YIELDS;
    if (we_wait || (ours != 'G' && fw_net_link_yields(net, own, foe))) {
        if (!it_waits) return WE_YIELD;
        const bool it_stands = m->foe->speed_mps < STANDS_MPS;
        return it_stands || foe_wait_m >= m->wait_s_m - car->front_s_m ? IT_YIELDS : WE_YIELD;
    }
    return it_yields || it_waits ? IT_YIELDS : without_rules(car, m);
}

static yielding who_yields(const fw_world *world, const fw_car *car, const meeting *m) {
    const fw_path_link *own = &car->path.links[m->zone->own];
    const bool inside = m->start_m <= 0, we_are_in = car->front_s_m > own->s0_m;
    const char ours = we_are_in ? 0 : fw_city_light(&world->city, own->link);
    const char theirs = fw_city_light(&world->city, m->zone->foe_link);
    if (not_coming(m, ours, theirs)) return NOT_COMING;
    if (m->enter_m <= 0 && m->exit_m > 0 && car->front_s_m < m->zone->enter_s_m)
        return WE_YIELD; /* it is in the zone already */
    if (inside && is_red(theirs) && m->foe->speed_mps > 1) return WE_YIELD; /* it leaves late */
    if (m->zone->beside) /* side by side: who is behind gives way */
        return m->enter_m < m->zone->enter_s_m - car->front_s_m ? WE_YIELD : IT_YIELDS;
    /* SUMO's drivers wait for whoever stands in their junction, right of way or not. */
    if (car->front_s_m > m->wait_s_m && !inside && m->foe->speed_mps < STANDS_MPS) return IT_YIELDS;
    return by_rules(world, car, m, ours, theirs);
}

static void meet_in_zone(const fw_world *world, const fw_car *car, const fw_path_zone *zone,
                         const fw_vehicle *foe, uint32_t user, gathering *g) {
    const fw_path_link *own = &car->path.links[zone->own];
    for (uint32_t i = 0; i < foe->ahead_count; i++) {
        if (foe->ahead[i].link != zone->foe_link) continue;
        const float start = foe->ahead[i].start_m;
        const meeting m = {
            .zone = zone,
            .foe = foe,
            .start_m = start,
            .enter_m = start + zone->foe_enter_m,
            .exit_m = start + zone->foe_exit_m + foe->length_m,
            .wait_s_m = fw_path_s_at(&car->path,
                                     own->u0_m + fw_net_link_wait_m(world->net, own->link))};
        if (m.exit_m <= 0) continue;
        const yielding who = who_yields(world, car, &m);
        if (who == NOT_COMING) continue;
        /* Who waits, waits at the line (or the place inside): in between it blocks the others. */
        const bool at_line = who == WE_YIELD && !zone->beside && car->front_s_m <= m.wait_s_m;
        gather(g, (fw_drive_conflict){.user = user,
                                      .kind = zone->merge ? FW_DRIVE_CONFLICT_MERGE
                                                          : FW_DRIVE_CONFLICT_CROSS,
                                      .must_yield = who == WE_YIELD,
                                      .enter_s_m = at_line ? fminf(zone->enter_s_m, m.wait_s_m)
                                                           : zone->enter_s_m,
                                      .exit_s_m = zone->exit_s_m,
                                      .foe_enter_m = m.enter_m,
                                      .foe_exit_m = m.exit_m});
    }
}

/* u of a vehicle that is on `lane` (of stretch) or comes onto it; NAN otherwise. */
static double u_on_lane(const fw_world *world, const fw_path_stretch *stretch, uint32_t lane,
                        const fw_vehicle *v) {
    const fw_net *net = world->net;
    if (v->lane == lane) return stretch->u0_m + v->position_m;
    for (uint32_t i = 0; i < v->ahead_count; i++) {
        const fw_net_link *link = &net->links[v->ahead[i].link];
        if (link->to_lane != lane) continue;
        const double inside = (link->via == FW_NET_NONE ? 0 : net->lanes[link->via].length_m) +
                              (link->via2 == FW_NET_NONE ? 0 : net->lanes[link->via2].length_m);
        return stretch->u0_m - inside - (double)v->ahead[i].start_m;
    }
    return NAN;
}

static void meet_in_change(const fw_world *world, const fw_car *car, const fw_path_change *change,
                           const fw_vehicle *v, uint32_t user, gathering *g) {
    const fw_path_stretch *stretch = &car->path.stretches[change->stretch];
    const double u = u_on_lane(world, stretch, change->to_lane, v);
    if (!(u > change->u_enter_m - CHANGE_BEHIND_M)) return; /* NAN too */
    if (u - (double)v->length_m > change->u1_m + CHANGE_BEYOND_M) return;
    const double exit = change->u1_m - u + (double)v->length_m;
    if (exit <= 0) return;
    gather(g, (fw_drive_conflict){.user = user,
                                  .kind = FW_DRIVE_CONFLICT_CHANGE,
                                  .must_yield = 1,
                                  .enter_s_m = change->s_enter_m,
                                  .exit_s_m = change->s1_m,
                                  .foe_enter_m = (float)(change->u_enter_m - u),
                                  .foe_exit_m = (float)exit});
}

static void all_zones(fw_world *world, const fw_car *car, const uint32_t *slots,
                      uint32_t user_count, gathering *g) {
    const float rear = car->front_s_m - car->length_m;
    for (uint32_t z = 0; z < car->path.zone_count; z++) {
        const fw_path_zone *zone = &car->path.zones[z];
        if (zone->exit_s_m < rear || zone->enter_s_m > car->front_s_m + ZONE_AHEAD_M) continue;
        for (uint32_t i = 0; i < user_count; i++)
            meet_in_zone(world, car, zone, &world->city.vehicles[slots[i]], i, g);
    }
}

static void all_changes(fw_world *world, const fw_car *car, const uint32_t *slots,
                        uint32_t user_count, gathering *g) {
    const float rear = car->front_s_m - car->length_m;
    for (uint32_t c = 0; c < car->path.change_count; c++) {
        const fw_path_change *change = &car->path.changes[c];
        if (change->s1_m < rear || change->s_enter_m > car->front_s_m + CHANGE_AHEAD_M) continue;
        for (uint32_t i = 0; i < user_count; i++)
            meet_in_change(world, car, change, &world->city.vehicles[slots[i]], i, g);
    }
}

void fw_world_conflicts(fw_world *world, const fw_car *car, const uint32_t *slots,
                        fw_drive_obs *obs) {
    gathering g = {.front_s_m = car->front_s_m};
    for (uint32_t i = 0; i < obs->user_count; i++) {
        fw_vehicle *v = &world->city.vehicles[slots[i]];
        fw_city_ahead_of(&world->city, v);
        g.speeds[i] = v->speed_mps;
    }
    all_zones(world, car, slots, obs->user_count, &g);
    all_changes(world, car, slots, obs->user_count, &g);
    for (uint32_t i = 0; i < g.count; i++) obs->conflicts[i] = g.list[i].conflict;
    obs->conflict_count = g.count;
}
