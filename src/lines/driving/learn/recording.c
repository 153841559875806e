/* recording.c - recordings read back, trusting nothing (recording.h). */
#include "lines/driving/learn/recording.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "mcap/mcap.h"

enum { PATH_MAX_POINTS = 1 << 18, PATH_INDEX_MAX = 1 << 30 };

/* The grid is FW_DRIVE_GRID_M along the route; across a junction's corner a step is shorter. */
#define ROUTE_STEP_MIN_M 0.5
#define ROUTE_STEP_MAX_M 4.0
#define ROUTE_SLACK_M 20.0

/* One file being read. */
typedef struct reading {
    fw_drive_recording *recording;
    fw_drive_recorded_tick *tick; /* the current one; NULL before the first */
    uint32_t tick_capacity, path_capacity;
    uint32_t seen; /* bit set of (1 << fw_drive_channel) of the current tick */
    bool described; /* its metadata record was read */
    fw_error *error;
} reading;

#define CORRUPT(r, ...) fw_fail((r)->error, FW_CORRUPT, "recording: " __VA_ARGS__)

/* ---- values out of JSON ---- */

static fw_status as_float(reading *r, const json_t *value, const char *name, float *out) {
    if (!json_is_number(value)) return CORRUPT(r, "%s is no number", name);
    double number = json_number_value(value);
    if (!(fabs(number) <= (double)FLT_MAX)) return CORRUPT(r, "%s is out of range", name);
    *out = (float)number;
    return FW_OK;
}

static fw_status as_u32(reading *r, const json_t *value, const char *name, uint32_t max,
                        uint32_t *out) {
    if (!json_is_integer(value)) return CORRUPT(r, "%s is no integer", name);
    json_int_t number = json_integer_value(value);
    if (number < 0 || number > (json_int_t)max) return CORRUPT(r, "%s is out of range", name);
    *out = (uint32_t)number;
    return FW_OK;
}

static fw_status get_float(reading *r, const json_t *object, const char *name, float *out) {
    return as_float(r, json_object_get(object, name), name, out);
}

static fw_status get_u32(reading *r, const json_t *object, const char *name, uint32_t max,
                         uint32_t *out) {
    return as_u32(r, json_object_get(object, name), name, max, out);
}

/* The array `name` of at most max rows. */
static fw_status get_rows(reading *r, const json_t *object, const char *name, size_t max,
                          const json_t **out) {
    const json_t *rows = json_object_get(object, name);
    if (!json_is_array(rows)) return CORRUPT(r, "%s is no array", name);
    if (json_array_size(rows) > max)
        return CORRUPT(r, "%s has %zu rows, at most %zu", name, json_array_size(rows), max);
    *out = rows;
    return FW_OK;
}

static fw_status get_row(reading *r, const json_t *rows, size_t index, size_t columns,
                         const json_t **out) {
    const json_t *row = json_array_get(rows, index);
    if (!json_is_array(row) || json_array_size(row) != columns)
        return CORRUPT(r, "row %zu does not have %zu columns", index, columns);
    *out = row;
    return FW_OK;
}

static fw_status row_floats(reading *r, const json_t *row, size_t first, size_t count, float *out) {
    for (size_t i = 0; i < count; i++)
        FW_TRY(as_float(r, json_array_get(row, first + i), "a column", &out[i]));
    return FW_OK;
}

/* ---- ranges: what a city and a car can be (recording.h) ---- */

typedef enum fw_range {
    RANGE_PLACE,     /* x, y, along a route */
    RANGE_ANGLE,     /* unwrapped headings too */
    RANGE_SPEED,     /* of a car of ours: never backwards */
    RANGE_VELOCITY,  /* of others */
    RANGE_ACCEL,
    RANGE_WISH,      /* what a model asked for before the guard; a bad one may ask for much */
    RANGE_CURVATURE,
    RANGE_OVERHANG,
    RANGE_IMPACT,
    RANGE_CAR_LENGTH,
    RANGE_USER_LENGTH, /* trams and trains too */
    RANGE_WIDTH,
    RANGE_LANE_WIDTH,
    RANGE_LIMIT,
    RANGE_CONFLICT
} fw_range;

/* Open intervals (low, high). */
static const struct {
    float low, high;
} ranges[] = {
    [RANGE_PLACE] = {-1e6f, 1e6f},        [RANGE_ANGLE] = {-1000, 1000},
    [RANGE_SPEED] = {-1e-3f, 100},        [RANGE_VELOCITY] = {-100, 100},
    [RANGE_ACCEL] = {-100, 100},          [RANGE_WISH] = {-1e6f, 1e6f},
    [RANGE_CURVATURE] = {-100, 100},      [RANGE_OVERHANG] = {-40, 40},
    [RANGE_IMPACT] = {-1e5f, 1e5f},       [RANGE_CAR_LENGTH] = {0, 40},
    [RANGE_USER_LENGTH] = {0, 1000},      [RANGE_WIDTH] = {0, 10},
    [RANGE_LANE_WIDTH] = {0, 100},        [RANGE_LIMIT] = {0, 100},
    [RANGE_CONFLICT] = {-1e4f, 1e4f},
};

static fw_status check_range(reading *r, fw_range range, const char *name, float value) {
    float low = ranges[range].low, high = ranges[range].high;
    if (value > low && value < high) return FW_OK;
    return CORRUPT(r, "%s is %g, not between %g and %g", name, (double)value, (double)low,
                   (double)high);
}

/* ---- one reader a channel ---- */

static const uint32_t wanted_each_tick =
    1u << FW_DRIVE_CHANNEL_EGO | 1u << FW_DRIVE_CHANNEL_USERS | 1u << FW_DRIVE_CHANNEL_SIGNAL |
    1u << FW_DRIVE_CHANNEL_CONFLICTS | 1u << FW_DRIVE_CHANNEL_ACTION;

static fw_status check_tick_whole(reading *r) {
    if (!r->tick || (r->seen & wanted_each_tick) == wanted_each_tick) return FW_OK;
    return CORRUPT(r, "tick %u lacks some of its messages", r->tick->obs.tick);
}

/* A fresh tick at the end of the recording. */
static fw_status add_tick(reading *r) {
    FW_TRY(check_tick_whole(r));
    fw_drive_recording *rec = r->recording;
    if (rec->tick_count == FW_DRIVE_RECORDING_TICKS_MAX)
        return fw_fail(r->error, FW_TOO_BIG, "recording: over %d ticks",
                       FW_DRIVE_RECORDING_TICKS_MAX);
    if (rec->tick_count == r->tick_capacity) {
        uint32_t capacity = r->tick_capacity ? 2 * r->tick_capacity : 64;
        fw_drive_recorded_tick *grown = realloc(rec->ticks, capacity * sizeof *grown);
        if (!grown) return fw_fail(r->error, FW_NO_MEMORY, "recording: no memory for its ticks");
        rec->ticks = grown;
        r->tick_capacity = capacity;
    }
    r->tick = &rec->ticks[rec->tick_count++];
    memset(r->tick, 0, sizeof *r->tick);
    r->seen = 0;
    return FW_OK;
}

static fw_status check_order(reading *r) {
    if (r->recording->tick_count < 2) return FW_OK;
    const fw_drive_obs *now = &r->tick->obs, *before = &(r->tick - 1)->obs;
    if (now->drive != before->drive)
        return CORRUPT(r, "drive %u follows drive %u in one file", now->drive, before->drive);
    if (now->tick <= before->tick || now->time_ns < before->time_ns)
        return CORRUPT(r, "tick %u after tick %u", now->tick, before->tick);
    return FW_OK;
}

static fw_status read_ego(reading *r, const json_t *json, int64_t time_ns) {
    FW_TRY(add_tick(r));
    fw_drive_obs *o = &r->tick->obs;
    o->time_ns = time_ns;
    FW_TRY(get_u32(r, json, "drive", UINT32_MAX, &o->drive));
    FW_TRY(get_u32(r, json, "tick", UINT32_MAX, &o->tick));
    const struct {
        const char *name;
        float *out;
        fw_range range;
    } numbers[] = {
        {"x_m", &o->x_m, RANGE_PLACE},
        {"y_m", &o->y_m, RANGE_PLACE},
        {"yaw_rad", &o->yaw_rad, RANGE_ANGLE},
        {"speed_mps", &o->speed_mps, RANGE_SPEED},
        {"accel_mps2", &o->accel_mps2, RANGE_ACCEL},
        {"curvature_pm", &o->curvature_pm, RANGE_CURVATURE},
        {"length_m", &o->length_m, RANGE_CAR_LENGTH},
        {"width_m", &o->width_m, RANGE_WIDTH},
        {"rear_overhang_m", &o->rear_overhang_m, RANGE_OVERHANG},
        {"impact_mps2", &o->impact_mps2, RANGE_IMPACT},
        {"s_m", &o->s_m, RANGE_PLACE},
        {"route_left_m", &o->route_left_m, RANGE_PLACE},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        FW_TRY(get_float(r, json, numbers[i].name, numbers[i].out));
        FW_TRY(check_range(r, numbers[i].range, numbers[i].name, *numbers[i].out));
    }
    return check_order(r);
}

static fw_status read_user(reading *r, const json_t *row, fw_drive_user *u) {
    const json_t *lane = json_array_get(row, 1);
    FW_TRY(as_u32(r, json_array_get(row, 0), "a user's id", UINT32_MAX, &u->id));
    if (json_is_integer(lane) && json_integer_value(lane) == -1)
        u->lane = UINT32_MAX;
    else
        FW_TRY(as_u32(r, lane, "a user's lane", UINT32_MAX - 1, &u->lane));
    float numbers[6];
    FW_TRY(row_floats(r, row, 2, 6, numbers));
    static const fw_range of[] = {RANGE_PLACE,    RANGE_PLACE,       RANGE_ANGLE,
                                  RANGE_VELOCITY, RANGE_USER_LENGTH, RANGE_WIDTH};
    for (size_t i = 0; i < 6; i++) FW_TRY(check_range(r, of[i], "a user's box", numbers[i]));
    u->x_m = numbers[0], u->y_m = numbers[1], u->yaw_rad = numbers[2];
    u->speed_mps = numbers[3], u->length_m = numbers[4], u->width_m = numbers[5];
    return FW_OK;
}

static fw_status read_users(reading *r, const json_t *json) {
    const json_t *rows, *row;
    fw_drive_obs *o = &r->tick->obs;
    FW_TRY(get_rows(r, json, "users", FW_DRIVE_USERS_MAX, &rows));
    for (uint32_t i = 0; i < (uint32_t)json_array_size(rows); i++) {
        FW_TRY(get_row(r, rows, i, 8, &row));
        FW_TRY(read_user(r, row, &o->users[i]));
        o->user_count = i + 1;
    }
    return FW_OK;
}

static fw_status read_conflict(reading *r, const json_t *row, fw_drive_conflict *c) {
    if (!(r->seen & 1u << FW_DRIVE_CHANNEL_USERS) || r->tick->obs.user_count == 0)
        return CORRUPT(r, "a conflict without users before it");
    FW_TRY(as_u32(r, json_array_get(row, 0), "a conflict's user", r->tick->obs.user_count - 1,
                  &c->user));
    FW_TRY(as_u32(r, json_array_get(row, 1), "a conflict's kind", FW_DRIVE_CONFLICT_CHANGE,
                  &c->kind));
    FW_TRY(as_u32(r, json_array_get(row, 2), "must_yield", 1, &c->must_yield));
    float numbers[4];
    FW_TRY(row_floats(r, row, 3, 4, numbers));
    for (size_t i = 0; i < 4; i++)
        FW_TRY(check_range(r, RANGE_CONFLICT, "a conflict's distance", numbers[i]));
    c->enter_s_m = numbers[0], c->exit_s_m = numbers[1];
    c->foe_enter_m = numbers[2], c->foe_exit_m = numbers[3];
    return FW_OK;
}

static fw_status read_conflicts(reading *r, const json_t *json) {
    const json_t *rows, *row;
    fw_drive_obs *o = &r->tick->obs;
    FW_TRY(get_rows(r, json, "conflicts", FW_DRIVE_CONFLICTS_MAX, &rows));
    for (uint32_t i = 0; i < (uint32_t)json_array_size(rows); i++) {
        FW_TRY(get_row(r, rows, i, 7, &row));
        FW_TRY(read_conflict(r, row, &o->conflicts[i]));
        o->conflict_count = i + 1;
    }
    return FW_OK;
}

/* Room for `more` points, which must go on where the polyline ends. */
static fw_status grow_path(reading *r, uint32_t first, uint32_t more) {
    fw_drive_recording *rec = r->recording;
    if (rec->path_count == 0) rec->path_first = first;
    if (first != rec->path_first + rec->path_count)
        return CORRUPT(r, "the route goes on at point %u, after point %u", first,
                       rec->path_first + rec->path_count);
    uint32_t wanted = rec->path_count + more;
    if (wanted > PATH_MAX_POINTS) return CORRUPT(r, "a route over %d points", PATH_MAX_POINTS);
    if (wanted <= r->path_capacity) return FW_OK;
    uint32_t capacity = wanted > 2 * r->path_capacity ? wanted : 2 * r->path_capacity;
    fw_drive_point *grown = realloc(rec->path, capacity * sizeof *grown);
    if (!grown) return fw_fail(r->error, FW_NO_MEMORY, "recording: no memory for its route");
    rec->path = grown;
    r->path_capacity = capacity;
    return FW_OK;
}

/* Takes a route's next point: of a lane, and a step of the grid from the one before. */
static fw_status add_point(reading *r, const float numbers[4]) {
    fw_drive_recording *rec = r->recording;
    static const fw_range of[] = {RANGE_PLACE, RANGE_PLACE, RANGE_LANE_WIDTH, RANGE_LIMIT};
    for (size_t i = 0; i < 4; i++) FW_TRY(check_range(r, of[i], "a route point", numbers[i]));
    fw_drive_point *point = &rec->path[rec->path_count];
    *point = (fw_drive_point){numbers[0], numbers[1], numbers[2], numbers[3]};
    if (rec->path_count > 0) {
        double step_m = hypot((double)point->x_m - (double)point[-1].x_m,
                              (double)point->y_m - (double)point[-1].y_m);
        if (!(step_m > ROUTE_STEP_MIN_M && step_m < ROUTE_STEP_MAX_M))
            return CORRUPT(r, "two route points %g m apart, not %g to %g", step_m,
                           ROUTE_STEP_MIN_M, ROUTE_STEP_MAX_M);
    }
    rec->path_count++;
    return FW_OK;
}

static fw_status read_route(reading *r, const json_t *json) {
    const json_t *rows, *row;
    uint32_t first = 0;
    FW_TRY(get_u32(r, json, "first", PATH_INDEX_MAX, &first));
    FW_TRY(get_rows(r, json, "points", FW_DRIVE_PATH_MAX, &rows));
    FW_TRY(grow_path(r, first, (uint32_t)json_array_size(rows)));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        float numbers[4];
        FW_TRY(get_row(r, rows, i, 4, &row));
        FW_TRY(row_floats(r, row, 0, 4, numbers));
        FW_TRY(add_point(r, numbers));
    }
    return FW_OK;
}

static fw_status read_signal(reading *r, const json_t *json) {
    FW_TRY(get_u32(r, json, "light", FW_DRIVE_LIGHT_RED, &r->tick->obs.light));
    FW_TRY(get_float(r, json, "light_s_m", &r->tick->obs.light_s_m));
    return check_range(r, RANGE_PLACE, "light_s_m", r->tick->obs.light_s_m);
}

static fw_status read_action(reading *r, const json_t *json) {
    fw_drive_recorded_tick *t = r->tick;
    uint32_t veto = 0;
    FW_TRY(get_float(r, json, "policy_accel_mps2", &t->policy.accel_mps2));
    FW_TRY(get_float(r, json, "policy_curvature_pm", &t->policy.curvature_pm));
    FW_TRY(get_float(r, json, "accel_mps2", &t->action.accel_mps2));
    FW_TRY(get_float(r, json, "curvature_pm", &t->action.curvature_pm));
    FW_TRY(check_range(r, RANGE_WISH, "policy_accel_mps2", t->policy.accel_mps2));
    FW_TRY(check_range(r, RANGE_WISH, "policy_curvature_pm", t->policy.curvature_pm));
    FW_TRY(check_range(r, RANGE_ACCEL, "accel_mps2", t->action.accel_mps2));
    FW_TRY(check_range(r, RANGE_CURVATURE, "curvature_pm", t->action.curvature_pm));
    FW_TRY(get_u32(r, json, "veto", FW_GUARD_COUNT - 1, &veto));
    t->veto = (fw_guard_veto)veto;
    if (json_object_get(json, "uncertainty")) {
        FW_TRY(get_float(r, json, "uncertainty", &t->uncertainty));
        FW_TRY(check_range(r, RANGE_WISH, "uncertainty", t->uncertainty));
    }
    const char *model = json_string_value(json_object_get(json, "model"));
    if (!model) return CORRUPT(r, "model is no text");
    return fw_hash_parse(model, &r->recording->model, r->error) == FW_OK
               ? FW_OK
               : CORRUPT(r, "model is no SHA-256");
}

static fw_status read_event(reading *r, const json_t *json) {
    const char *name = json_string_value(json_object_get(json, "event"));
    if (!name) return CORRUPT(r, "event is no text");
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++)
        if (strcmp(name, fw_drive_event_name((fw_drive_event)i)) == 0) r->tick->events |= 1u << i;
    return FW_OK; /* events of a later version are passed over */
}

/* ---- records ---- */

static int channel_of(const fw_mcap_channel *channel) {
    for (int i = 0; i < FW_DRIVE_CHANNEL_COUNT; i++)
        if (fw_mcap_text_is(channel->topic, fw_drive_channel_topic((fw_drive_channel)i))) return i;
    return -1;
}

/* Every message but /ego belongs to the tick that /ego began, once a channel (events: any). */
static fw_status join_tick(reading *r, fw_drive_channel channel, int64_t time_ns) {
    if (!r->tick || r->tick->obs.time_ns != time_ns)
        return CORRUPT(r, "a %s message outside of a tick", fw_drive_channel_topic(channel));
    if (channel != FW_DRIVE_CHANNEL_EVENT && (r->seen & 1u << channel))
        return CORRUPT(r, "two %s messages in tick %u", fw_drive_channel_topic(channel),
                       r->tick->obs.tick);
    return FW_OK;
}

static fw_status read_json(reading *r, fw_drive_channel channel, const json_t *json,
                           int64_t time_ns) {
    fw_status status = FW_OK;
    if (channel != FW_DRIVE_CHANNEL_EGO) FW_TRY(join_tick(r, channel, time_ns));
    switch (channel) {
    case FW_DRIVE_CHANNEL_EGO: status = read_ego(r, json, time_ns); break;
    case FW_DRIVE_CHANNEL_USERS: status = read_users(r, json); break;
    case FW_DRIVE_CHANNEL_ROUTE: status = read_route(r, json); break;
    case FW_DRIVE_CHANNEL_SIGNAL: status = read_signal(r, json); break;
    case FW_DRIVE_CHANNEL_CONFLICTS: status = read_conflicts(r, json); break;
    case FW_DRIVE_CHANNEL_ACTION: status = read_action(r, json); break;
    case FW_DRIVE_CHANNEL_EVENT: status = read_event(r, json); break;
    case FW_DRIVE_CHANNEL_COUNT: break;
    }
    if (status == FW_OK) r->seen |= 1u << channel;
    return status;
}

static fw_status read_message(reading *r, const fw_mcap_message *message) {
    int channel = channel_of(message->channel);
    if (channel < 0) return FW_OK; /* not ours: another tool's, or a later version's */
    const char *topic = fw_drive_channel_topic((fw_drive_channel)channel);
    if (!fw_mcap_text_is(message->channel->message_encoding, "json"))
        return CORRUPT(r, "%s is not encoded as json", topic);
    if (message->size_bytes > FW_DRIVE_MESSAGE_MAX)
        return CORRUPT(r, "a %s message of %llu bytes, the limit is %d", topic,
                       (unsigned long long)message->size_bytes, FW_DRIVE_MESSAGE_MAX);
    if (message->log_time_ns > INT64_MAX) return CORRUPT(r, "a log time beyond the year 2262");
    json_error_t why;
    json_t *json = json_loadb((const char *)message->data, (size_t)message->size_bytes,
                              JSON_REJECT_DUPLICATES, &why);
    if (!json) return CORRUPT(r, "a %s message is no JSON: %s", topic, why.text);
    fw_status status = read_json(r, (fw_drive_channel)channel, json, (int64_t)message->log_time_ns);
    json_decref(json);
    return status;
}

static fw_status read_metadata(reading *r, const fw_mcap_metadata *metadata) {
    if (!fw_mcap_text_is(metadata->name, "flywheel")) return FW_OK;
    if (r->described) return CORRUPT(r, "two metadata records \"flywheel\"");
    fw_mcap_text line, version, unit, network;
    if (!fw_mcap_map_find(metadata->map, "line", &line) || !fw_mcap_text_is(line, "driving"))
        return CORRUPT(r, "not of the line \"driving\"");
    if (!fw_mcap_map_find(metadata->map, "version", &version) || !fw_mcap_text_is(version, "1"))
        return fw_fail(r->error, FW_UNSUPPORTED, "recording: of a version this program cannot read");
    if (!fw_mcap_map_find(metadata->map, "unit", &unit) ||
        !fw_mcap_text_copy(unit, r->recording->unit, sizeof r->recording->unit))
        return CORRUPT(r, "no unit in its metadata");
    if (fw_mcap_map_find(metadata->map, "network", &network) &&
        !fw_mcap_text_copy(network, r->recording->network, sizeof r->recording->network))
        return CORRUPT(r, "the network's name is too long");
    r->described = true;
    return FW_OK;
}

/* Every tick lies on the route that was recorded, give or take ROUTE_SLACK_M. */
static fw_status check_places(reading *r) {
    const fw_drive_recording *rec = r->recording;
    if (rec->path_count == 0) return FW_OK;
    double low = (double)rec->path_first * (double)FW_DRIVE_GRID_M - ROUTE_SLACK_M;
    double high = (double)(rec->path_first + rec->path_count - 1) * (double)FW_DRIVE_GRID_M +
                  ROUTE_SLACK_M;
    for (uint32_t i = 0; i < rec->tick_count; i++) {
        double s_m = (double)rec->ticks[i].obs.s_m;
        if (!(s_m >= 0 && s_m >= low && s_m <= high))
            return CORRUPT(r, "s_m is %g in tick %u, the route recorded is from %g to %g", s_m,
                           rec->ticks[i].obs.tick, low, high);
    }
    return FW_OK;
}

static fw_status read_records(reading *r, fw_mcap_reader *mcap) {
    for (;;) {
        fw_mcap_record record;
        fw_status status = fw_mcap_reader_next(mcap, &record, r->error);
        if (status == FW_END) break;
        FW_TRY(status);
        if (record.opcode == FW_MCAP_MESSAGE)
            FW_TRY(read_message(r, &record.of.message));
        else if (record.opcode == FW_MCAP_METADATA)
            FW_TRY(read_metadata(r, &record.of.metadata));
    }
    FW_TRY(check_tick_whole(r));
    if (!r->described) return CORRUPT(r, "no metadata record \"flywheel\"");
    if (r->recording->tick_count == 0) return CORRUPT(r, "no tick in it");
    return check_places(r);
}

fw_status fw_drive_recording_parse(const void *bytes, size_t size_bytes, fw_drive_recording **out,
                                   fw_error *error) {
    static const fw_mcap_limits limits = {
        .record_max_bytes = 8 << 20,
        .chunk_max_bytes = 8 << 20,
        .text_max_bytes = 1 << 20,
        .messages_max = (uint64_t)FW_DRIVE_RECORDING_TICKS_MAX * 16,
    };
    fw_error unheard;
    fw_mcap_reader *mcap = NULL;
    reading r = {.error = error ? error : &unheard};
    FW_TRY(fw_mcap_reader_open_bytes(&limits, bytes, size_bytes, &mcap, r.error));
    r.recording = calloc(1, sizeof *r.recording);
    fw_status status = r.recording ? read_records(&r, mcap)
                                   : fw_fail(error, FW_NO_MEMORY, "recording: no memory");
    fw_mcap_reader_close(mcap);
    if (status != FW_OK) {
        fw_drive_recording_free(r.recording);
        return status;
    }
    r.recording->hash = fw_hash_bytes(bytes, size_bytes);
    *out = r.recording;
    return FW_OK;
}

fw_status fw_drive_recording_read(const char *path, fw_drive_recording **out, fw_error *error) {
    char *bytes = NULL;
    size_t size_bytes = 0;
    FW_TRY(fw_file_read(path, FW_DRIVE_RECORDING_FILE_MAX, &bytes, &size_bytes, error));
    fw_status status = fw_drive_recording_parse(bytes, size_bytes, out, error);
    free(bytes);
    return status;
}

void fw_drive_recording_free(fw_drive_recording *recording) {
    if (!recording) return;
    free(recording->ticks);
    free(recording->path);
    free(recording);
}
