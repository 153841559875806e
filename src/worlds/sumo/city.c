/* city.c - SUMO's vehicles and lights (city.h). */
#include "worlds/sumo/city.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worlds/sumo/process.h"

static const uint8_t watched[] = {FW_TRACI_POSITION, FW_TRACI_ANGLE, FW_TRACI_SPEED, FW_TRACI_LANE,
                                  FW_TRACI_LANE_POSITION};
static const uint8_t asked_once[] = {FW_TRACI_LENGTH, FW_TRACI_WIDTH, FW_TRACI_CLASS,
                                     FW_TRACI_EDGES, FW_TRACI_ROUTE_INDEX};

/* ---- what SUMO says ---- */

static void add_vehicle(fw_city *city, fw_text id) {
    if (id.size >= sizeof city->vehicles[0].id || fw_names_find(&city->names, id) != FW_NAME_NONE)
        return;
    uint32_t slot = 0;
    while (slot < city->vehicle_count && city->vehicles[slot].used) slot++;
    if (slot == FW_CITY_VEHICLES_MAX) {
        city->full = true;
        return;
    }
    if (slot == city->vehicle_count) city->vehicle_count++;
    fw_vehicle *v = &city->vehicles[slot];
    memset(v, 0, sizeof *v);
    memcpy(v->id, id.at, id.size);
    v->used = true;
    v->car = FW_CITY_NO_CAR;
    v->serial = city->next_serial++;
    v->seen = city->step;
    v->lane = FW_NET_NONE;
    v->ahead_step = UINT32_MAX;
    fw_names_put(&city->names, id, slot);
    city->departed[city->departed_count++] = slot;
}

static void set_route(const fw_city *city, fw_vehicle *v, const fw_traci_value *value) {
    const uint32_t count =
        value->list_count < FW_CITY_ROUTE_MAX ? value->list_count : FW_CITY_ROUTE_MAX;
    free(v->route);
    v->route = malloc((count + 1) * sizeof *v->route);
    FW_ASSERT(v->route);
    v->route_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t edge = fw_names_find(&city->net->edge_names, value->list[i]);
        if (edge == FW_NAME_NONE) break;
        v->route[v->route_count++] = edge;
    }
}

static void set_angle(fw_vehicle *v, double clockwise_from_north_deg) {
    v->yaw_rad = (float)remainder((90 - clockwise_from_north_deg) * M_PI / 180, 2 * M_PI);
}

/* Follows the vehicle along its route, so that SUMO need not be asked each step: on an internal
 * lane it is still at the edge before. */
static void advance(const fw_city *city, fw_vehicle *v) {
    if (v->lane == FW_NET_NONE) return;
    const uint32_t edge = city->net->lanes[v->lane].edge;
    if (city->net->edges[edge].internal) return;
    for (uint32_t i = v->route_index; i < v->route_count; i++) {
        if (v->route[i] != edge) continue;
        v->route_index = i;
        return;
    }
}

static void hear_vehicle(fw_city *city, fw_text id, uint8_t variable, const fw_traci_value *value) {
    if (variable == FW_TRACI_IDS) {
        for (uint32_t i = 0; i < value->list_count; i++) add_vehicle(city, value->list[i]);
        return;
    }
    const uint32_t slot = fw_names_find(&city->names, id);
    if (slot == FW_NAME_NONE) return;
    fw_vehicle *v = &city->vehicles[slot];
    v->seen = city->step;
    switch (variable) {
    case FW_TRACI_POSITION:
        v->known = isfinite(value->number) && fabs(value->number) < 1e6 &&
                   isfinite(value->second) && fabs(value->second) < 1e6;
        v->front_x_m = (float)value->number;
        v->front_y_m = (float)value->second;
        break;
    case FW_TRACI_ANGLE:
        set_angle(v, value->number);
        break;
    case FW_TRACI_SPEED:
        v->speed_mps = (float)fmax(0, value->number);
        break;
    case FW_TRACI_LANE:
        v->lane = fw_names_find(&city->net->lane_names, value->text);
        advance(city, v);
        break;
    case FW_TRACI_LANE_POSITION:
        v->position_m = value->number;
        break;
    case FW_TRACI_ROUTE_INDEX:
        v->route_index = value->number > 0 ? (uint32_t)value->number : 0;
        break;
    case FW_TRACI_LENGTH:
        v->length_m = (float)value->number;
        break;
    case FW_TRACI_WIDTH:
        v->width_m = (float)value->number;
        break;
    case FW_TRACI_CLASS:
        v->passenger = value->text.size == 9 && memcmp(value->text.at, "passenger", 9) == 0;
        break;
    case FW_TRACI_EDGES:
        set_route(city, v, value);
        break;
    default:
        break;
    }
}

static void hear_light(fw_city *city, fw_text id, const fw_traci_value *value) {
    const uint32_t light = fw_names_find(&city->net->light_names, id);
    if (light == FW_NAME_NONE || value->kind != FW_TRACI_TEXT) return;
    const size_t size = value->text.size < FW_CITY_LIGHT_LINKS_MAX - 1
                            ? value->text.size
                            : FW_CITY_LIGHT_LINKS_MAX - 1;
    memset(city->lights[light], 0, FW_CITY_LIGHT_LINKS_MAX);
    memcpy(city->lights[light], value->text.at, size);
}

static void hear(void *context, fw_traci_domain domain, fw_text id, uint8_t variable,
                 const fw_traci_value *value) {
    fw_city *city = context;
    if (domain == FW_TRACI_VEHICLE) hear_vehicle(city, id, variable, value);
    if (domain == FW_TRACI_LIGHT && variable == FW_TRACI_LIGHT_STATE) hear_light(city, id, value);
    if (domain == FW_TRACI_SIMULATION && variable == FW_TRACI_DEPARTED)
        for (uint32_t i = 0; i < value->list_count; i++) add_vehicle(city, value->list[i]);
}

/* ---- keeping the table ---- */

static void drop_unseen(fw_city *city) {
    for (uint32_t i = 0; i < city->vehicle_count; i++) {
        fw_vehicle *v = &city->vehicles[i];
        if (!v->used || v->seen == city->step) continue;
        fw_names_remove(&city->names, fw_vehicle_id(v));
        free(v->route);
        v->route = NULL;
        v->used = v->known = false;
    }
    while (city->vehicle_count && !city->vehicles[city->vehicle_count - 1].used)
        city->vehicle_count--;
}

/* Asks about the vehicles that came, and subscribes to them. */
static fw_status meet_departed(fw_city *city, fw_error *error) {
    for (uint32_t i = 0; i < city->departed_count; i++) {
        const fw_text id = fw_vehicle_id(&city->vehicles[city->departed[i]]);
        for (size_t j = 0; j < sizeof asked_once; j++)
            fw_traci_add_get(city->traci, FW_TRACI_VEHICLE, asked_once[j], id);
        fw_traci_add_subscribe(city->traci, FW_TRACI_VEHICLE, id, watched, sizeof watched);
        if (city->traffic > 0) fw_manners_add_vehicle(city->traci, id, city->traffic, false);
    }
    city->departed_count = 0;
    return fw_traci_exchange(city->traci, hear, city, error);
}

/* From SUMO's front bumper to the box's centre. */
static void centre_boxes(fw_city *city) {
    for (uint32_t i = 0; i < city->vehicle_count; i++) {
        fw_vehicle *v = &city->vehicles[i];
        if (!v->used) continue;
        v->x_m = v->front_x_m - 0.5f * v->length_m * cosf(v->yaw_rad);
        v->y_m = v->front_y_m - 0.5f * v->length_m * sinf(v->yaw_rad);
    }
}

static fw_status read_step(fw_city *city, double time_s, fw_error *error) {
    city->step++;
    fw_traci_add_step(city->traci, time_s);
    FW_TRY(fw_traci_exchange(city->traci, hear, city, error));
    FW_TRY(meet_departed(city, error));
    drop_unseen(city);
    centre_boxes(city);
    if (city->full)
        return fw_fail(error, FW_TOO_BIG, "more than %d vehicles are on the road",
                       FW_CITY_VEHICLES_MAX);
    return FW_OK;
}

/* When SUMO went away, its own last words say more than the closed socket. */
static fw_status with_last_words(const fw_city *city, fw_status status, fw_error *error) {
    char words[200];
    if (status != FW_CLOSED) return status;
    fw_sumo_last_words(city->talk, words, sizeof words);
    return fw_fail(error, FW_CLOSED, "SUMO ended%s%s", *words ? ": " : "", words);
}

fw_status fw_city_step(fw_city *city, fw_error *error) {
    fw_status status = fw_traci_exchange(city->traci, NULL, NULL, error);
    if (status == FW_OK) status = read_step(city, 0, error);
    return with_last_words(city, status, error);
}

static fw_status warm_up(fw_city *city, double until_s, fw_error *error) {
    static const uint8_t departed[] = {FW_TRACI_DEPARTED}, state[] = {FW_TRACI_LIGHT_STATE};
    /* Departures of the warm-up are reported with its step and not listened to: many of them have
     * arrived since. Who is on the road is asked afterwards. */
    fw_traci_add_subscribe(city->traci, FW_TRACI_SIMULATION, fw_text_of(""), departed,
                           sizeof departed);
    FW_TRY(fw_traci_exchange(city->traci, NULL, NULL, error));
    fw_traci_add_step(city->traci, until_s);
    FW_TRY(fw_traci_exchange(city->traci, NULL, NULL, error));
    for (uint32_t i = 0; i < city->net->light_count; i++)
        fw_traci_add_subscribe(city->traci, FW_TRACI_LIGHT, fw_text_of(city->net->light_ids[i]),
                               state, sizeof state);
    fw_traci_add_get(city->traci, FW_TRACI_VEHICLE, FW_TRACI_IDS, fw_text_of(""));
    FW_TRY(fw_traci_exchange(city->traci, hear, city, error));
    FW_TRY(meet_departed(city, error));
    return read_step(city, 0, error);
}

/* Every type's drivers; and those on the road, except where our own cars' copies only follow. */
static fw_status set_traffic(fw_city *city, double traffic, fw_error *error) {
    if (traffic == city->traffic) return FW_OK;
    if (!city->manners.count) FW_TRY(fw_manners_read(city->traci, &city->manners, error));
    fw_manners_add(city->traci, &city->manners, traffic);
    for (uint32_t i = 0; i < city->vehicle_count; i++) {
        const fw_vehicle *v = &city->vehicles[i];
        if (v->used && !v->gone && v->passenger && v->car == FW_CITY_NO_CAR)
            fw_manners_add_vehicle(city->traci, fw_vehicle_id(v), traffic, true);
    }
    city->traffic = traffic;
    return fw_traci_exchange(city->traci, NULL, NULL, error);
}

fw_status fw_city_shift(fw_city *city, double demand, double traffic, fw_error *error) {
    fw_status status = fw_traci_exchange(city->traci, NULL, NULL, error);
    fw_traci_add_number(city->traci, FW_TRACI_SIMULATION, FW_TRACI_SCALE, fw_text_of(""), demand);
    if (status == FW_OK) status = fw_traci_exchange(city->traci, NULL, NULL, error);
    if (status == FW_OK) status = set_traffic(city, traffic, error);
    return with_last_words(city, status, error);
}

fw_status fw_city_open(const fw_city_config *config, const fw_net *net, fw_city *city,
                       fw_error *error) {
    memset(city, 0, sizeof *city);
    city->net = net;
    city->pid = city->talk = -1;
    city->vehicles = calloc(FW_CITY_VEHICLES_MAX, sizeof *city->vehicles);
    city->departed = calloc(FW_CITY_VEHICLES_MAX, sizeof *city->departed);
    city->lights = calloc(net->light_count + 1, sizeof *city->lights);
    FW_ASSERT(city->vehicles && city->departed && city->lights);
    fw_status status = fw_sumo_start(config, &city->pid, &city->talk, &city->traci, error);
    if (status == FW_OK) status = set_traffic(city, config->traffic, error);
    if (status == FW_OK)
        status = with_last_words(
            city, warm_up(city, (double)config->begin_s + (double)config->warm_up_s, error), error);
    if (status != FW_OK) fw_city_close(city);
    return status;
}

void fw_city_close(fw_city *city) {
    fw_traci_close(city->traci);
    if (city->pid > 0 || city->talk >= 0) fw_sumo_stop(city->pid, city->talk);
    for (uint32_t i = 0; city->vehicles && i < city->vehicle_count; i++)
        free(city->vehicles[i].route);
    free(city->vehicles);
    free(city->departed);
    free(city->lights);
    fw_names_free(&city->names);
    memset(city, 0, sizeof *city);
    city->pid = city->talk = -1;
}

/* ---- lights and intentions ---- */

char fw_city_light(const fw_city *city, uint32_t link) {
    const fw_net_link *l = &city->net->links[link];
    if (l->light == FW_NET_NONE || l->light_index >= FW_CITY_LIGHT_LINKS_MAX) return 0;
    return city->lights[l->light][l->light_index];
}

static double link_length(const fw_net *net, const fw_net_link *link) {
    return (link->via == FW_NET_NONE ? 0 : net->lanes[link->via].length_m) +
           (link->via2 == FW_NET_NONE ? 0 : net->lanes[link->via2].length_m);
}

static void add_ahead(fw_vehicle *v, uint32_t link, double start) {
    if (v->ahead_count < FW_CITY_AHEAD_MAX)
        v->ahead[v->ahead_count++] = (fw_city_ahead){link, (float)start};
}

/* Adds the links from a lane to an edge; the first of them, or FW_NET_NONE. */
static uint32_t add_links(const fw_net *net, fw_vehicle *v, uint32_t lane, uint32_t edge,
                          double start) {
    uint32_t first = FW_NET_NONE;
    for (uint32_t i = 0; i < net->lanes[lane].link_count; i++) {
        const uint32_t link = net->lane_links[net->lanes[lane].link_first + i];
        if (net->lanes[net->links[link].to_lane].edge != edge) continue;
        add_ahead(v, link, start);
        if (first == FW_NET_NONE) first = link;
    }
    return first;
}

/* The same from any lane of the edge: it will have to change lanes. */
static uint32_t add_links_beside(const fw_net *net, fw_vehicle *v, uint32_t lane, uint32_t edge,
                                 double start) {
    const fw_net_edge *here = &net->edges[net->lanes[lane].edge];
    uint32_t first = FW_NET_NONE;
    for (uint32_t i = 0; i < here->lane_count; i++) {
        const uint32_t link = add_links(net, v, here->lane_first + i, edge, start);
        if (first == FW_NET_NONE) first = link;
    }
    return first;
}

void fw_city_ahead_of(const fw_city *city, fw_vehicle *v) {
    enum { LINKS_AHEAD = 3, WAY_AHEAD_M = 70 };
    const fw_net *net = city->net;
    if (v->ahead_step == city->step) return;
    v->ahead_step = city->step;
    v->ahead_count = 0;
    if (v->lane == FW_NET_NONE) return;
    uint32_t lane = v->lane, at = v->route_index;
    double way = net->lanes[lane].length_m - v->position_m; /* to the end of `lane` */
    const uint32_t inside = net->lanes[lane].inside_link;
    if (inside != FW_NET_NONE) {
        const fw_net_link *link = &net->links[inside];
        const double before = lane == link->via2 ? net->lanes[link->via].length_m : 0;
        const double start = -(before + v->position_m);
        add_ahead(v, inside, start);
        way = start + link_length(net, link);
        lane = link->to_lane;
        way += net->lanes[lane].length_m;
        at++;
    }
    for (int i = 0; i < LINKS_AHEAD && way < WAY_AHEAD_M && at + 1 < v->route_count; i++, at++) {
        uint32_t link = add_links(net, v, lane, v->route[at + 1], way);
        if (link == FW_NET_NONE) link = add_links_beside(net, v, lane, v->route[at + 1], way);
        if (link == FW_NET_NONE) break;
        lane = net->links[link].to_lane;
        way += link_length(net, &net->links[link]) + net->lanes[lane].length_m;
    }
}
