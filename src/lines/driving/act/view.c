#include "lines/driving/act/view.h"

#include <math.h>
#include <string.h>

#include "lines/driving/act/columns.h"

enum { USERS = FW_DRIVE_SCENE_USERS, PREVIEWS = FW_DRIVE_PREVIEWS };

/* A NaN becomes low: whatever was sent, an index made of it stays in range. */
static inline float clampf(float x, float low, float high) {
    float least = x > low ? x : low;
    return least < high ? least : high;
}
static int clampi(int x, int low, int high) { return x > low ? (x < high ? x : high) : low; }

/* An angle between two within +-pi, within +-pi. */
static inline float turn_between(float from, float to) {
    const float pi = 3.14159265f;
    float d = to - from;
    d = d > pi ? d - 2 * pi : d;
    return d < -pi ? d + 2 * pi : d;
}

/* Index of the segment at path length s and the share along it; extrapolates at both ends. */
static int segment_at(const fw_drive_scene *scene, float s, float *share) {
    float at = s / FW_DRIVE_GRID_M - (float)scene->path_first;
    int i = (int)clampf(at, 0.0f, (float)(scene->path_count - 2));
    *share = at - (float)i;
    return i;
}

/* ---- the path ---- */

/* The first n previews, from segment `here` on. */
FW_PART void take_previews(const fw_drive_scene *restrict scene, int here, int n, fw_drive_view *restrict view) {
    const fw_drive_point *restrict points = scene->path + here;
    const float *restrict heading = scene->heading_rad + here, *restrict curvature = scene->curvature_pm_path + here;
    float yaw = scene->yaw_rad;
    for (int k = 0; k < n; k++) {
        view->turn_rad[k] = turn_between(yaw, heading[k]);
        view->curvature_pm[k] = curvature[k];
    }
    for (int k = 0; k < n; k++) {
        view->limit_mps[k] = points[k].limit_mps;
        view->lane_m[k] = points[k].width_m;
    }
}

/* Everything on the grid from segment `here` on; beyond the path's end its last segment goes on. */
FW_KERNEL static void look_ahead(const fw_drive_scene *scene, int here, fw_drive_view *view) {
    int n = (int)scene->path_count - 1 - here;
    if (n >= PREVIEWS) {
        take_previews(scene, here, PREVIEWS, view);
        return;
    }
    take_previews(scene, here, n, view);
    for (int k = n; k < PREVIEWS; k++) {
        view->curvature_pm[k] = view->curvature_pm[n - 1];
        view->turn_rad[k] = view->turn_rad[n - 1];
        view->limit_mps[k] = view->limit_mps[n - 1];
        view->lane_m[k] = view->lane_m[n - 1];
    }
}

/* The point of the route that we steer at, and the route's direction there, in our frame. */
static void take_aim(const fw_drive_scene *scene, fw_drive_view *view) {
    float v = scene->speed_mps, share;
    int i = segment_at(scene, scene->s_m + 2.5f + 0.4f * v + 0.02f * v * v, &share);
    const fw_drive_point *p = &scene->path[i], *q = p + 1;
    float ex = q->x_m - p->x_m, ey = q->y_m - p->y_m, scale = 1 / sqrtf(ex * ex + ey * ey + 1e-9f);
    float dx = p->x_m + share * ex - scene->x_m, dy = p->y_m + share * ey - scene->y_m;
    float c = scene->cos_yaw, s = scene->sin_yaw;
    view->aim_x_m = c * dx + s * dy;
    view->aim_y_m = c * dy - s * dx;
    view->aim_cos = scale * (c * ex + s * ey);
    view->aim_sin = scale * (c * ey - s * ex);
    view->pursuit_pm = fw_drive_pursuit(view, 0.0f);
}

static void look_at_path(const fw_drive_scene *scene, int here, float share, fw_drive_view *view) {
    const fw_drive_point *p = &scene->path[here], *q = p + 1;
    float ex = q->x_m - p->x_m, ey = q->y_m - p->y_m;
    float dx = scene->x_m - p->x_m - share * ex, dy = scene->y_m - p->y_m - share * ey;
    view->lateral_m = (ex * dy - ey * dx) / sqrtf(ex * ex + ey * ey + 1e-9f);
    look_ahead(scene, here, view);
    float middle = view->curvature_pm[0] * (share - 0.5f) * FW_DRIVE_GRID_M;
    view->heading_rad = turn_between(view->turn_rad[0] + clampf(middle, -1, 1), 0);
    view->width_m = p->width_m;
    take_aim(scene, view);
}

float fw_drive_pursuit(const fw_drive_view *view, float shift_m) {
    float x = view->aim_x_m - shift_m * view->aim_sin, y = view->aim_y_m + shift_m * view->aim_cos;
    return clampf(2 * y / (x * x + y * y + 0.01f), -FW_DRIVE_CURVATURE_MAX_PM, FW_DRIVE_CURVATURE_MAX_PM);
}

/* ---- the users ----
 *
 * All loops run over all columns, used or not: the compiler turns them into a few instructions each. */

enum { BEHIND = 6, AHEAD = 28, INDEX_BITS = 63 }; /* points of the path that a user is looked for at */
_Static_assert(BEHIND + AHEAD <= INDEX_BITS, "an index into the window fits");

_Static_assert(USERS == 16, "two times eight");
_Static_assert(sizeof(fw_drive_point) == 4 * sizeof(float), "two points are a row of eight");
#define FW_SPREAD_INT8(n) ((fw_i8){n, n, n, n, n, n, n, n})

typedef struct columns {
    float x[USERS], y[USERS], c[USERS], s[USERS];
    int32_t near[USERS];           /* the nearest point of every second one of the path */
    float at[USERS];               /* segment of the path, as a number */
    float px[USERS], py[USERS];    /* its start */
    float ex[USERS], ey[USERS];    /* and its way */
    float low[USERS], high[USERS]; /* shares of it that are looked at */
    float half_length[USERS];      /* of the box along the path */
} columns;

/* Rows beyond the last user hold the last user again. */
FW_KERNEL static void load(const fw_drive_scene *scene, columns *o, fw_drive_relations *r) {
    _Static_assert(sizeof(fw_drive_neighbour) == 8 * sizeof(float), "a user is a row of eight");
    uint32_t last = scene->user_count - 1;
    float unused[8];
    for (uint32_t k = 0; k < USERS; k += 8) {
        const float *row[8];
        float *column[8] = {unused,     o->x + k,        o->y + k,        o->c + k,
                            o->s + k,   r->speed_mps + k, r->length_m + k, r->width_m + k};
        for (uint32_t i = 0; i < 8; i++) row[i] = (const float *)&scene->users[k + i < last ? k + i : last];
        fw_transpose8(row, column);
    }
}

FW_KERNEL static void relate_to_us(const fw_drive_scene *scene, const columns *restrict o,
                                   fw_drive_relations *restrict r) {
    float c = scene->cos_yaw, s = scene->sin_yaw, middle = 0.5f * scene->length_m - scene->rear_overhang_m;
    float x = scene->x_m, y = scene->y_m;
    for (int k = 0; k < USERS; k++) {
        float dx = o->x[k] - x, dy = o->y[k] - y;
        r->forward_m[k] = c * dx + s * dy - middle;
        r->left_m[k] = c * dy - s * dx;
        r->cos_turn[k] = c * o->c[k] + s * o->s[k];
        r->sin_turn[k] = c * o->s[k] - s * o->c[k];
    }
}

/* Of every second point from a little behind us to beyond the range of sight. Squared distances are not
 * negative, so their bits have their order; the lowest bits give way to the point's index. */
FW_PART void find_nearest_points(const fw_drive_scene *scene, int here, columns *o) {
    const fw_i8 mask = FW_SPREAD_INT8(~INDEX_BITS);
    int low = clampi(here - BEHIND, 0, here), high = clampi(here + AHEAD, 0, (int)scene->path_count - 1);
    for (int k = 0; k < USERS; k += 8) {
        fw_v8 x = FW_LOAD8(o->x + k), y = FW_LOAD8(o->y + k);
        fw_i8 best = FW_SPREAD_INT8(INT32_MAX & ~INDEX_BITS), index = FW_SPREAD_INT8(0);
        for (int i = low; i <= high; i += 2, index += 2) {
            fw_v8 dx = x - scene->path[i].x_m, dy = y - scene->path[i].y_m;
            fw_i8 bits = ((fw_i8)(dx * dx + dy * dy) & mask) | index, nearer = bits < best;
            best = (bits & nearer) | (best & ~nearer);
        }
        for (int i = 0; i < 8; i++) o->near[k + i] = low + (best[i] & INDEX_BITS);
    }
}

/* 1 when (x, y) lies beyond point i, which is between its neighbours. */
FW_PART int is_beyond(const fw_drive_point *p, int i, float x, float y) {
    float tx = p[i + 1].x_m - p[i - 1].x_m, ty = p[i + 1].y_m - p[i - 1].y_m;
    return (x - p[i].x_m) * tx + (y - p[i].y_m) * ty > 0;
}

/* The segments of a path of fewer than five points: any may be the nearest. */
FW_PART void find_segments_of_few(const fw_drive_point *p, int last, columns *o) {
    for (uint32_t k = 0; k < USERS; k++) {
        int i = 0;
        for (int j = 1; j <= last; j++) i += is_beyond(p, j, o->x[k], o->y[k]);
        o->at[k] = (float)i;
        o->px[k] = p[i].x_m, o->py[k] = p[i].y_m;
        o->ex[k] = p[i + 1].x_m - p[i].x_m, o->ey[k] = p[i + 1].y_m - p[i].y_m;
    }
}

#define FW_CHOOSE8(is, a, b) ((fw_v8)(((fw_i8)(a) & (is)) | ((fw_i8)(b) & ~(is))))

/* The segment nearest to each of eight users: one of the four between the five points 0 .. 4 around the
 * nearest second one. It lies as many points further as points the user is beyond. */
FW_PART void find_segments_of_eight(const fw_drive_point *p, int last, columns *o, int k) {
    float px[5][8], py[5][8], unused[2][8], first[8];
    const float *row[3][8];
    for (int i = 0; i < 8; i++) {
        int low = clampi(o->near[k + i] - 2, 0, last - 3);
        first[i] = (float)low;
        for (int j = 0; j < 3; j++) row[j][i] = &p[low + (j < 2 ? 2 * j : 3)].x_m;
    }
    fw_transpose8(row[0], (float *[8]){px[0], py[0], unused[0], unused[1], px[1], py[1], unused[0], unused[1]});
    fw_transpose8(row[1], (float *[8]){px[2], py[2], unused[0], unused[1], px[3], py[3], unused[0], unused[1]});
    fw_transpose8(row[2], (float *[8]){unused[0], unused[1], unused[0], unused[1], px[4], py[4], unused[0], unused[1]});
    fw_v8 x = FW_LOAD8(o->x + k), y = FW_LOAD8(o->y + k), vx[5], vy[5];
    for (int i = 0; i < 5; i++) vx[i] = FW_LOAD8(px[i]), vy[i] = FW_LOAD8(py[i]);
    fw_i8 further = FW_SPREAD_INT8(0);
    for (int i = 1; i < 4; i++)
        further -= (x - vx[i]) * (vx[i + 1] - vx[i - 1]) + (y - vy[i]) * (vy[i + 1] - vy[i - 1]) > 0;
    fw_v8 ax = vx[0], ay = vy[0], bx = vx[1], by = vy[1];
    for (int i = 1; i < 4; i++) {
        fw_i8 is = further >= i;
        ax = FW_CHOOSE8(is, vx[i], ax), ay = FW_CHOOSE8(is, vy[i], ay);
        bx = FW_CHOOSE8(is, vx[i + 1], bx), by = FW_CHOOSE8(is, vy[i + 1], by);
    }
    FW_STORE8(o->px + k, ax), FW_STORE8(o->py + k, ay);
    FW_STORE8(o->ex + k, bx - ax), FW_STORE8(o->ey + k, by - ay);
    FW_STORE8(o->at + k, FW_LOAD8(first) + __builtin_convertvector(further, fw_v8));
}

FW_PART void find_segments(const fw_drive_scene *scene, columns *o) {
    int last = (int)scene->path_count - 2; /* segment */
    if (last < 3) {
        find_segments_of_few(scene->path, last, o);
    } else {
        for (int k = 0; k < USERS; k += 8) find_segments_of_eight(scene->path, last, o, k);
    }
    for (int k = 0; k < USERS; k++) {
        o->low[k] = o->at[k] < 1 ? -10.0f : 0.0f;
        o->high[k] = o->at[k] >= (float)last ? 10.0f : 1.0f;
    }
}

/* `first`: from our front to the path's first point; `half`: of our width. */
FW_KERNEL static void relate_to_path(float first, float half, columns *restrict o, fw_drive_relations *restrict r) {
    for (int k = 0; k < USERS; k++) {
        float ex = o->ex[k], ey = o->ey[k], length2 = ex * ex + ey * ey + 1e-9f, scale = 1 / sqrtf(length2);
        float dx = o->x[k] - o->px[k], dy = o->y[k] - o->py[k];
        float share = (dx * ex + dy * ey) * scale * scale;
        share = share > o->low[k] ? share : o->low[k];
        share = share < o->high[k] ? share : o->high[k];
        dx -= share * ex, dy -= share * ey;
        float c = (o->c[k] * ex + o->s[k] * ey) * scale, s = (o->s[k] * ex - o->c[k] * ey) * scale;
        float cross = fabsf(s), with = fabsf(c), distance = sqrtf(dx * dx + dy * dy);
        float half_length = 0.5f * (r->length_m[k] * with + r->width_m[k] * cross);
        float half_width = 0.5f * (r->width_m[k] * with + r->length_m[k] * cross);
        o->half_length[k] = half_length;
        r->gap_m[k] = (o->at[k] + share) * FW_DRIVE_GRID_M + first - half_length;
        r->lateral_m[k] = ex * dy - ey * dx > 0 ? distance : -distance;
        r->aside_m[k] = distance - half_width - half;
        r->along_mps[k] = r->speed_mps[k] * c;
    }
}

static void find_leaders(const fw_drive_relations *r, const columns *o, uint32_t count, fw_drive_view *view) {
    view->leader = view->second = (fw_drive_leader){.gap_m = 100.0f};
    for (uint32_t k = 0; k < count; k++) {
        bool in_strip = r->aside_m[k] <= 0.2f, ahead = r->gap_m[k] + 1.5f * o->half_length[k] >= 0;
        if (!in_strip || !ahead || r->forward_m[k] < -15.0f) continue;
        fw_drive_leader found = {true, r->gap_m[k], r->along_mps[k] > 0 ? r->along_mps[k] : 0};
        if (!view->leader.exists || found.gap_m < view->leader.gap_m) {
            view->second = view->leader;
            view->leader = found;
        } else if (!view->second.exists || found.gap_m < view->second.gap_m) {
            view->second = found;
        }
    }
}

FW_KERNEL static void project(const fw_drive_scene *scene, int here, columns *o) {
    find_nearest_points(scene, here, o);
    find_segments(scene, o);
}

static void look_at_users(const fw_drive_scene *scene, int here, fw_drive_view *view) {
    columns o;
    view->user_count = scene->user_count;
    if (scene->user_count > 0) {
        float first = (float)scene->path_first * FW_DRIVE_GRID_M - scene->s_m - view->front_m;
        load(scene, &o, &view->users);
        relate_to_us(scene, &o, &view->users);
        project(scene, here, &o);
        relate_to_path(first, 0.5f * scene->width_m, &o, &view->users);
    }
    find_leaders(&view->users, &o, scene->user_count, view);
}

/* ---- conflicts ---- */

static float urgency(const fw_drive_meeting *m) {
    float u = (m->enter_m > 0 ? m->enter_m : 0) * 0.1f + (m->foe_enter_s > 0 ? m->foe_enter_s : 0);
    return m->must_yield ? u : u + 4.0f;
}

static void look_at_conflicts(const fw_drive_scene *scene, fw_drive_view *view) {
    float front_s = scene->s_m + view->front_m;
    view->meeting_count = 0;
    for (uint32_t k = 0; k < scene->conflict_count; k++) {
        const fw_drive_conflict *c = &scene->conflicts[k];
        float speed = scene->users[c->user].speed_mps, pace = speed > 1 ? speed : 1;
        fw_drive_meeting m = {
            .must_yield = c->must_yield != 0,
            .change = c->kind == FW_DRIVE_CONFLICT_CHANGE,
            .enter_m = c->enter_s_m - front_s,
            .clear_m = c->exit_s_m + scene->length_m - front_s,
            .foe_enter_m = c->foe_enter_m,
            .foe_clear_m = c->foe_exit_m,
            .foe_speed_mps = speed,
            .foe_enter_s = clampf(c->foe_enter_m / pace, -5.0f, 20.0f),
            .foe_clear_s = clampf(c->foe_exit_m / pace, -5.0f, 20.0f),
            .user = c->user,
        };
        if (m.clear_m < 0 || m.foe_clear_m < 0) continue;
        float mine = urgency(&m);
        uint32_t at = view->meeting_count++;
        while (at > 0 && urgency(&view->meetings[at - 1]) > mine) {
            view->meetings[at] = view->meetings[at - 1];
            at--;
        }
        view->meetings[at] = m;
    }
}

/* ---- the whole ---- */

void fw_drive_look(const fw_drive_scene *scene, fw_drive_view *view) {
    float share;
    int here = segment_at(scene, scene->s_m, &share);
    FW_ASSERT(scene->path_count >= 2 && scene->user_count <= USERS);
    view->front_m = scene->length_m - scene->rear_overhang_m;
    view->accel_mps2 = scene->accel_mps2;
    look_at_path(scene, here, share, view);
    look_at_users(scene, here, view);
    look_at_conflicts(scene, view);
    view->light = (fw_drive_light)scene->light;
    view->light_m = scene->light_s_m - scene->s_m - view->front_m;
    view->light_matters = scene->light != FW_DRIVE_LIGHT_NONE && view->light_m > -0.5f;
}

FW_KERNEL static float allowed_mps2(const fw_drive_view *view, float lateral_mps2, float brake_mps2) {
    enum { LANES = PREVIEWS / 3 };
    static const float way_m[PREVIEWS] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22,
                                          24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46};
    float here2[PREVIEWS], least[LANES];
    for (int k = 0; k < PREVIEWS; k++) {
        float curvature = fabsf(view->curvature_pm[k]), limit2 = view->limit_mps[k] * view->limit_mps[k];
        float curve2 = lateral_mps2 / (curvature > 1e-4f ? curvature : 1e-4f);
        here2[k] = (curve2 < limit2 ? curve2 : limit2) + 2 * brake_mps2 * way_m[k];
    }
    for (int k = 0; k < LANES; k++) {
        float a = here2[k], b = here2[k + LANES], c = here2[k + 2 * LANES];
        b = b < c ? b : c;
        least[k] = a < b ? a : b;
    }
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++) least[k] = least[k] < least[k + half] ? least[k] : least[k + half];
    return least[0];
}

float fw_drive_allowed_mps(const fw_drive_view *view, float lateral_mps2, float brake_mps2) {
    return sqrtf(allowed_mps2(view, lateral_mps2, brake_mps2));
}

float fw_drive_stop_mps2(float speed_mps, float distance_m) {
    if (speed_mps <= 0.0f) return 0.0f;
    if (distance_m <= 0.05f) return 99.0f;
    float demand = speed_mps * speed_mps / (2 * distance_m);
    return demand < 99.0f ? demand : 99.0f;
}
