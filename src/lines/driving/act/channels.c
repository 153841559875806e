/* channels.c - the recording's JSON, written without allocation, and the events a unit flags. */
#include "lines/driving/act/channels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- names and schemas ---- */

const char *fw_drive_channel_topic(fw_drive_channel channel) {
    static const char *const topics[] = {
#define X(name, topic) topic,
        FW_DRIVE_CHANNELS(X)
#undef X
    };
    FW_ASSERT((unsigned)channel < FW_DRIVE_CHANNEL_COUNT);
    return topics[channel];
}

const char *fw_drive_channel_schema_name(fw_drive_channel channel) {
    static const char *const names[FW_DRIVE_CHANNEL_COUNT] = {
        [FW_DRIVE_CHANNEL_EGO] = "flywheel.driving.Ego",
        [FW_DRIVE_CHANNEL_USERS] = "flywheel.driving.Users",
        [FW_DRIVE_CHANNEL_ROUTE] = "flywheel.driving.Route",
        [FW_DRIVE_CHANNEL_SIGNAL] = "flywheel.driving.Signal",
        [FW_DRIVE_CHANNEL_CONFLICTS] = "flywheel.driving.Conflicts",
        [FW_DRIVE_CHANNEL_ACTION] = "flywheel.driving.Action",
        [FW_DRIVE_CHANNEL_EVENT] = "flywheel.driving.Event",
    };
    FW_ASSERT((unsigned)channel < FW_DRIVE_CHANNEL_COUNT);
    return names[channel];
}

/* Pieces of JSON Schema: a number, an integer, and rows of columns. */
#define NUM(name, text) "\"" name "\":{\"type\":\"number\",\"description\":\"" text "\"}"
#define INT(name, text) "\"" name "\":{\"type\":\"integer\",\"description\":\"" text "\"}"
#define STR(name, text) "\"" name "\":{\"type\":\"string\",\"description\":\"" text "\"}"
#define ROWS(name, text)                                                                           \
    "\"" name "\":{\"type\":\"array\",\"description\":\"" text "\",\"items\":{\"type\":\"array\","  \
    "\"items\":{\"type\":\"number\"}}}"
#define SCHEMA(title, text, properties)                                                            \
    "{\"title\":\"flywheel.driving." title "\",\"description\":\"" text                            \
    "\",\"type\":\"object\",\"properties\":{" properties "}}"

static const char *const schemas[FW_DRIVE_CHANNEL_COUNT] = {
    [FW_DRIVE_CHANNEL_EGO] = SCHEMA(
        "Ego", "Own car. x east, y north, metres; yaw counter-clockwise from east; pose of the "
        "rear axle. The first message of each tick.",
        INT("drive", "number of the unit's drive") "," INT("tick", "of the world") ","
        NUM("x_m", "rear axle") "," NUM("y_m", "rear axle") "," NUM("yaw_rad", "heading") ","
        NUM("speed_mps", "speed") "," NUM("accel_mps2", "as last carried out") ","
        NUM("curvature_pm", "1/m, as last carried out, left positive") ","
        NUM("length_m", "own length") "," NUM("width_m", "own width") ","
        NUM("rear_overhang_m", "rear bumper to rear axle") ","
        NUM("impact_mps2", "bump beyond what driving explains, else 0") ","
        NUM("s_m", "path length of the rear axle") ","
        NUM("route_left_m", "front bumper to the end of the route")),
    [FW_DRIVE_CHANNEL_USERS] = SCHEMA(
        "Users", "Other road users seen this tick, nearest first.",
        ROWS("users", "columns: id, lane (-1 unknown), x_m, y_m (centre), yaw_rad, speed_mps, "
                      "length_m, width_m")),
    [FW_DRIVE_CHANNEL_ROUTE] = SCHEMA(
        "Route", "Points of the planned route not written before in this recording.",
        INT("first", "grid index of the first point; point i lies at path length i * 2 m") ","
        ROWS("points", "columns: x_m, y_m, width_m of the lane, limit_mps")),
    [FW_DRIVE_CHANNEL_SIGNAL] = SCHEMA(
        "Signal", "Next signal on the route.",
        INT("light", "0 none, 1 green, 2 yellow, 3 red") ","
        NUM("light_s_m", "path length of its stop line; 0 where there is none")),
    [FW_DRIVE_CHANNEL_CONFLICTS] = SCHEMA(
        "Conflicts", "Road users whose way meets ours.",
        ROWS("conflicts", "columns: row in users, kind (0 cross, 1 merge, 2 change), must_yield "
                          "(1: we yield), enter_s_m, exit_s_m (zone on our path), foe_enter_m, "
                          "foe_exit_m (its front bumper's way to the zone)")),
    [FW_DRIVE_CHANNEL_ACTION] = SCHEMA(
        "Action", "What the unit decided. The last message of each tick but for events.",
        NUM("policy_accel_mps2", "wanted by the policy") ","
        NUM("policy_curvature_pm", "1/m, wanted by the policy") ","
        NUM("accel_mps2", "after the guard") "," NUM("curvature_pm", "1/m, after the guard") ","
        INT("veto", "0 none, 1 leader, 2 red light, 3 corridor, 4 zone, 5 creep") ","
        NUM("uncertainty", "of the policy, in the unit of its reward; left out where it has none") ","
        STR("model", "SHA-256 of the model file")),
    [FW_DRIVE_CHANNEL_EVENT] = SCHEMA(
        "Event", "A moment the unit flags by itself.",
        STR("event", "hard_brake, veto, impact, low_ttc or uncertain") ","
        NUM("value", "m/s2; for low_ttc s; for veto the rule; for uncertain the uncertainty") "," INT("tick", "of the world") ","
        NUM("x_m", "rear axle") "," NUM("y_m", "rear axle")),
};

const char *fw_drive_channel_schema(fw_drive_channel channel) {
    FW_ASSERT((unsigned)channel < FW_DRIVE_CHANNEL_COUNT);
    return schemas[channel];
}

const char *fw_drive_event_name(fw_drive_event event) {
    static const char *const names[FW_DRIVE_EVENT_COUNT] = {
        [FW_DRIVE_EVENT_HARD_BRAKE] = "hard_brake",
        [FW_DRIVE_EVENT_VETO] = "veto",
        [FW_DRIVE_EVENT_IMPACT] = "impact",
        [FW_DRIVE_EVENT_LOW_TTC] = "low_ttc",
        [FW_DRIVE_EVENT_UNCERTAIN] = "uncertain",
    };
    FW_ASSERT((unsigned)event < FW_DRIVE_EVENT_COUNT);
    return names[event];
}

/* ---- a bounded text, filled from the front ---- */

typedef struct text {
    char *out;
    size_t used, size;
} text;

static void put(text *t, const char *bytes, size_t size_bytes) {
    FW_ASSERT(size_bytes < t->size - t->used);
    memcpy(t->out + t->used, bytes, size_bytes);
    t->used += size_bytes;
}

static void put_text(text *t, const char *terminated) { put(t, terminated, strlen(terminated)); }

static void put_integer(text *t, int64_t value) {
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) digits[--at] = '-';
    put(t, digits + at, sizeof digits - at);
}

/* A number with at most `decimals` digits after the point, trailing zeros left out, rounded half
 * away from zero; never depends on the locale. */
static void put_number(text *t, double value, int decimals) {
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000};
    if (!(fabs(value) < 1e12)) { /* beyond any map: keep its size, as JSON allows */
        char wide[40];
        snprintf(wide, sizeof wide, "%.9g", isfinite(value) ? value : 0.0);
        put_text(t, wide);
        return;
    }
    int64_t scaled = llround(value * (double)powers[decimals]);
    if (scaled < 0) put(t, "-", 1);
    uint64_t size = scaled < 0 ? 0 - (uint64_t)scaled : (uint64_t)scaled;
    uint64_t unit = (uint64_t)powers[decimals];
    put_integer(t, (int64_t)(size / unit));
    uint64_t part = size % unit;
    if (part == 0) return;
    char digits[8] = ".";
    int count = decimals;
    for (int i = decimals; i > 0; i--, part /= 10) digits[i] = (char)('0' + part % 10);
    while (digits[count] == '0') count--;
    put(t, digits, (size_t)count + 1);
}

/* "name":number, with the comma before it unless it is the first of its object. */
static void put_key(text *t, const char *name) {
    if (t->out[t->used - 1] != '{') put(t, ",", 1);
    put(t, "\"", 1), put_text(t, name), put(t, "\":", 2);
}

static void field_m(text *t, const char *name, double value) {
    put_key(t, name);
    put_number(t, value, 3);
}

static void field_fine(text *t, const char *name, double value) {
    put_key(t, name);
    put_number(t, value, 5);
}

static void field_integer(text *t, const char *name, int64_t value) {
    put_key(t, name);
    put_integer(t, value);
}

static void field_text(text *t, const char *name, const char *value) {
    put_key(t, name);
    put(t, "\"", 1), put_text(t, value), put(t, "\"", 1);
}

/* A column of a row: the comma before it unless it is the first. */
static void column(text *t, double value, int decimals) {
    if (t->out[t->used - 1] != '[') put(t, ",", 1);
    put_number(t, value, decimals);
}

static void row_begin(text *t, uint32_t row) { put_text(t, row > 0 ? ",[" : "["); }

static size_t text_end(text *t) {
    t->out[t->used] = '\0';
    return t->used;
}

/* ---- one writer a channel ---- */

static void write_ego(text *t, const fw_drive_obs *obs) {
    put(t, "{", 1);
    field_integer(t, "drive", obs->drive);
    field_integer(t, "tick", obs->tick);
    field_m(t, "x_m", (double)obs->x_m);
    field_m(t, "y_m", (double)obs->y_m);
    field_fine(t, "yaw_rad", (double)obs->yaw_rad);
    field_m(t, "speed_mps", (double)obs->speed_mps);
    field_m(t, "accel_mps2", (double)obs->accel_mps2);
    field_fine(t, "curvature_pm", (double)obs->curvature_pm);
    field_m(t, "length_m", (double)obs->length_m);
    field_m(t, "width_m", (double)obs->width_m);
    field_m(t, "rear_overhang_m", (double)obs->rear_overhang_m);
    field_m(t, "impact_mps2", (double)obs->impact_mps2);
    field_m(t, "s_m", (double)obs->s_m);
    field_m(t, "route_left_m", (double)obs->route_left_m);
    put(t, "}", 1);
}

static void write_users(text *t, const fw_drive_obs *obs) {
    put_text(t, "{\"users\":[");
    for (uint32_t i = 0; i < obs->user_count; i++) {
        const fw_drive_user *u = &obs->users[i];
        row_begin(t, i);
        put_integer(t, u->id);
        put(t, ",", 1);
        put_integer(t, u->lane == UINT32_MAX ? -1 : (int64_t)u->lane);
        column(t, (double)u->x_m, 3);
        column(t, (double)u->y_m, 3);
        column(t, (double)u->yaw_rad, 5);
        column(t, (double)u->speed_mps, 3);
        column(t, (double)u->length_m, 3);
        column(t, (double)u->width_m, 3);
        put(t, "]", 1);
    }
    put(t, "]}", 2);
}

/* Only points after the last one written; false when there is none. */
static bool write_route(text *t, fw_drive_writer *writer, const fw_drive_obs *obs) {
    if (obs->path_first > UINT32_MAX - obs->path_count) return false;
    uint32_t end = obs->path_first + obs->path_count;
    uint32_t first = writer->route_next > obs->path_first ? writer->route_next : obs->path_first;
    if (first >= end) return false;
    put_text(t, "{\"first\":");
    put_integer(t, first);
    put_text(t, ",\"points\":[");
    for (uint32_t i = first; i < end; i++) {
        const fw_drive_point *p = &obs->path[i - obs->path_first];
        row_begin(t, i - first);
        column(t, (double)p->x_m, 3);
        column(t, (double)p->y_m, 3);
        column(t, (double)p->width_m, 3);
        column(t, (double)p->limit_mps, 3);
        put(t, "]", 1);
    }
    put(t, "]}", 2);
    writer->route_next = end;
    return true;
}

static void write_signal(text *t, const fw_drive_obs *obs) {
    put(t, "{", 1);
    field_integer(t, "light", obs->light);
    field_m(t, "light_s_m", obs->light == FW_DRIVE_LIGHT_NONE ? 0.0 : (double)obs->light_s_m);
    put(t, "}", 1);
}

static void write_conflicts(text *t, const fw_drive_obs *obs) {
    put_text(t, "{\"conflicts\":[");
    for (uint32_t i = 0; i < obs->conflict_count; i++) {
        const fw_drive_conflict *c = &obs->conflicts[i];
        row_begin(t, i);
        column(t, c->user, 0);
        column(t, c->kind, 0);
        column(t, c->must_yield, 0);
        column(t, (double)c->enter_s_m, 3);
        column(t, (double)c->exit_s_m, 3);
        column(t, (double)c->foe_enter_m, 3);
        column(t, (double)c->foe_exit_m, 3);
        put(t, "]", 1);
    }
    put(t, "]}", 2);
}

static void write_action(text *t, const fw_drive_decision *decision) {
    put(t, "{", 1);
    field_m(t, "policy_accel_mps2", (double)decision->policy.accel_mps2);
    field_fine(t, "policy_curvature_pm", (double)decision->policy.curvature_pm);
    field_m(t, "accel_mps2", (double)decision->action.accel_mps2);
    field_fine(t, "curvature_pm", (double)decision->action.curvature_pm);
    field_integer(t, "veto", decision->veto);
    if (decision->uncertainty > 0) field_fine(t, "uncertainty", (double)decision->uncertainty);
    field_text(t, "model", decision->model.hex);
    put(t, "}", 1);
}

size_t fw_drive_write(fw_drive_writer *writer, fw_drive_channel channel, const fw_drive_obs *obs,
                      const fw_drive_decision *decision, char *out, size_t out_size) {
    FW_ASSERT(out_size >= FW_DRIVE_MESSAGE_MAX);
    text t = {.out = out, .size = out_size};
    switch (channel) {
    case FW_DRIVE_CHANNEL_EGO: write_ego(&t, obs); break;
    case FW_DRIVE_CHANNEL_USERS: write_users(&t, obs); break;
    case FW_DRIVE_CHANNEL_ROUTE:
        if (!write_route(&t, writer, obs)) return 0;
        break;
    case FW_DRIVE_CHANNEL_SIGNAL: write_signal(&t, obs); break;
    case FW_DRIVE_CHANNEL_CONFLICTS: write_conflicts(&t, obs); break;
    case FW_DRIVE_CHANNEL_ACTION: write_action(&t, decision); break;
    case FW_DRIVE_CHANNEL_EVENT: /* written by fw_drive_write_event */
    case FW_DRIVE_CHANNEL_COUNT: return 0;
    }
    return text_end(&t);
}

size_t fw_drive_write_event(fw_drive_event event, const fw_drive_obs *obs, double value, char *out,
                            size_t out_size) {
    text t = {.out = out, .size = out_size};
    put(&t, "{", 1);
    field_text(&t, "event", fw_drive_event_name(event));
    field_m(&t, "value", value);
    field_integer(&t, "tick", obs->tick);
    field_m(&t, "x_m", (double)obs->x_m);
    field_m(&t, "y_m", (double)obs->y_m);
    put(&t, "}", 1);
    return text_end(&t);
}

/* ---- events ---- */

static const double hard_brake_mps2 = -4.0, low_ttc_s = 1.5;

/* Path length and lateral distance of a place; false when the window holds no path near it. */
static bool project(const fw_drive_obs *obs, float x_m, float y_m, float *s_m, float *lateral_m,
                    float *yaw_rad) {
    float best = 1e9f;
    for (uint32_t i = 0; i + 1 < obs->path_count; i++) {
        const fw_drive_point *a = &obs->path[i], *b = &obs->path[i + 1];
        float dx = b->x_m - a->x_m, dy = b->y_m - a->y_m, square = dx * dx + dy * dy;
        if (square <= 0) continue;
        float share = ((x_m - a->x_m) * dx + (y_m - a->y_m) * dy) / square;
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        float ex = x_m - a->x_m - share * dx, ey = y_m - a->y_m - share * dy;
        float distance = ex * ex + ey * ey;
        if (!(distance < best)) continue;
        best = distance;
        *s_m = ((float)(obs->path_first + i) + share) * FW_DRIVE_GRID_M;
        *yaw_rad = atan2f(dy, dx);
    }
    *lateral_m = sqrtf(best);
    return best < 1e8f;
}

/* Seconds until our front bumper reaches a road user on our path, at the speeds of now;
 * infinite when nobody is closing. */
static double time_to_collision_s(const fw_drive_obs *obs) {
    double least = INFINITY;
    float front_s = obs->s_m + obs->length_m - obs->rear_overhang_m;
    for (uint32_t i = 0; i < obs->user_count; i++) {
        const fw_drive_user *u = &obs->users[i];
        float s = 0, lateral = 0, yaw = 0;
        if (!project(obs, u->x_m, u->y_m, &s, &lateral, &yaw)) continue;
        if (s <= obs->s_m || lateral > 0.5f * (obs->width_m + u->width_m)) continue;
        float closing = obs->speed_mps - u->speed_mps * cosf(u->yaw_rad - yaw);
        float gap = s - 0.5f * u->length_m - front_s;
        if (closing <= 0.1f) continue;
        double ttc = gap > 0 ? (double)(gap / closing) : 0.0;
        if (ttc < least) least = ttc;
    }
    return least;
}

uint32_t fw_drive_events(fw_drive_event_state *state, const fw_drive_obs *obs,
                         const fw_drive_decision *decision,
                         double values[FW_DRIVE_EVENT_COUNT]) {
    double ttc = time_to_collision_s(obs);
    uint32_t now = 0;
    if ((double)obs->accel_mps2 <= hard_brake_mps2) now |= 1u << FW_DRIVE_EVENT_HARD_BRAKE;
    if (decision->veto != FW_GUARD_NONE) now |= 1u << FW_DRIVE_EVENT_VETO;
    if (obs->impact_mps2 > 0) now |= 1u << FW_DRIVE_EVENT_IMPACT;
    if (ttc < low_ttc_s) now |= 1u << FW_DRIVE_EVENT_LOW_TTC;
    if (decision->uncertain) now |= 1u << FW_DRIVE_EVENT_UNCERTAIN;
    values[FW_DRIVE_EVENT_HARD_BRAKE] = (double)obs->accel_mps2;
    values[FW_DRIVE_EVENT_VETO] = decision->veto;
    values[FW_DRIVE_EVENT_IMPACT] = (double)obs->impact_mps2;
    values[FW_DRIVE_EVENT_LOW_TTC] = ttc;
    values[FW_DRIVE_EVENT_UNCERTAIN] = (double)decision->uncertainty;
    uint32_t begun = now & ~state->active;
    state->active = now;
    return begun;
}
