#include "lines/driving/act/view.h"

#include <math.h>
#include <string.h>

static float clampf(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

static float wrap(float angle) {
    while (angle > 3.14159265f) angle -= 6.28318531f;
    while (angle < -3.14159265f) angle += 6.28318531f;
    return angle;
}

/* The window of the route, with headings of its segments. */
typedef struct track {
    const fw_drive_point *points;
    int count;
    float first_s;
    float heading[FW_DRIVE_PATH_MAX]; /* (count): of segment i -> i + 1; last repeats */
} track;

static void track_of(const fw_drive_obs *obs, track *t) {
    t->points = obs->path;
    t->count = (int)obs->path_count;
    t->first_s = (float)obs->path_first * FW_DRIVE_GRID_M;
    for (int i = 0; i + 1 < t->count; i++)
        t->heading[i] = atan2f(t->points[i + 1].y_m - t->points[i].y_m,
                               t->points[i + 1].x_m - t->points[i].x_m);
    if (t->count > 0) t->heading[t->count - 1] = t->count > 1 ? t->heading[t->count - 2] : 0.0f;
}

/* Index of the segment at path length s and the share along it; extrapolates at both ends. */
static int segment_at(const track *t, float s, float *share) {
    float at = (s - t->first_s) / FW_DRIVE_GRID_M;
    int i = (int)floorf(clampf(at, 0.0f, (float)(t->count - 2)));
    *share = at - (float)i;
    return i;
}

static void point_at(const track *t, float s, float *x, float *y) {
    float share;
    int i = segment_at(t, s, &share);
    *x = t->points[i].x_m + share * (t->points[i + 1].x_m - t->points[i].x_m);
    *y = t->points[i].y_m + share * (t->points[i + 1].y_m - t->points[i].y_m);
}

/* Curvature at point i from the headings four metres behind and ahead. */
static float curvature_at(const track *t, int i) {
    int back = i >= 2 ? i - 2 : 0, ahead = i + 1 < t->count - 1 ? i + 1 : t->count - 2;
    if (ahead <= back) return 0.0f;
    return wrap(t->heading[ahead] - t->heading[back]) / ((float)(ahead - back) * FW_DRIVE_GRID_M);
}

/* Nearest point of the window to (x, y): path length and lateral offset (left positive). */
static float project(const track *t, float x, float y, float *lateral, float *heading) {
    int best = 0;
    float best_d = 1e30f;
    for (int i = 0; i < t->count; i += 3) {
        float dx = x - t->points[i].x_m, dy = y - t->points[i].y_m, d = dx * dx + dy * dy;
        if (d < best_d) best_d = d, best = i;
    }
    int low = best >= 3 ? best - 3 : 0, high = best + 2 < t->count - 2 ? best + 2 : t->count - 2;
    float out_s = 0;
    best_d = 1e30f;
    for (int i = low; i <= high; i++) {
        const fw_drive_point *p = &t->points[i], *q = p + 1;
        float ex = q->x_m - p->x_m, ey = q->y_m - p->y_m, length2 = ex * ex + ey * ey + 1e-9f;
        float u = ((x - p->x_m) * ex + (y - p->y_m) * ey) / length2;
        u = clampf(u, i == 0 ? -10.0f : 0.0f, i == t->count - 2 ? 10.0f : 1.0f);
        float dx = x - p->x_m - u * ex, dy = y - p->y_m - u * ey, d = dx * dx + dy * dy;
        if (d >= best_d) continue;
        best_d = d;
        out_s = t->first_s + ((float)i + u) * FW_DRIVE_GRID_M;
        *lateral = (ex * dy - ey * dx) > 0 ? sqrtf(d) : -sqrtf(d);
        *heading = t->heading[i];
    }
    return out_s;
}

static void look_at_path(const fw_drive_obs *obs, const track *t, fw_drive_view *view) {
    float share, px, py;
    int here = segment_at(t, obs->s_m, &share);
    point_at(t, obs->s_m, &px, &py);
    float heading = t->heading[here];
    view->lateral_m = -sinf(heading) * (obs->x_m - px) + cosf(heading) * (obs->y_m - py);
    float middle = curvature_at(t, here) * (share - 0.5f) * FW_DRIVE_GRID_M;
    view->heading_rad = wrap(obs->yaw_rad - heading - middle);
    view->width_m = t->points[here].width_m;
    for (int k = 0; k < FW_DRIVE_PREVIEWS; k++) {
        int i = segment_at(t, obs->s_m + (float)k * FW_DRIVE_PREVIEW_M, &share);
        view->curvature_pm[k] = curvature_at(t, i);
        view->limit_mps[k] = t->points[i].limit_mps;
        view->turn_rad[k] = wrap(t->heading[i] - obs->yaw_rad);
    }
    float ahead = 2.5f + 0.4f * obs->speed_mps, tx, ty;
    point_at(t, obs->s_m + ahead, &tx, &ty);
    float c = cosf(obs->yaw_rad), s = sinf(obs->yaw_rad);
    float dx = tx - obs->x_m, dy = ty - obs->y_m;
    float left = -s * dx + c * dy, distance2 = dx * dx + dy * dy + 0.01f;
    view->pursuit_pm = clampf(2.0f * left / distance2, -FW_DRIVE_CURVATURE_MAX_PM,
                              FW_DRIVE_CURVATURE_MAX_PM);
}

static void look_at_users(const fw_drive_obs *obs, const track *t, fw_drive_view *view) {
    float c = cosf(obs->yaw_rad), s = sinf(obs->yaw_rad);
    float front_s = obs->s_m + view->front_m;
    view->leader = view->second = (fw_drive_leader){.gap_m = 100.0f};
    for (uint32_t k = 0; k < obs->user_count; k++) {
        const fw_drive_user *u = &obs->users[k];
        float forward = c * (u->x_m - obs->x_m) + s * (u->y_m - obs->y_m);
        if (forward < -15.0f) continue;
        float lateral = 0, heading = 0, at = project(t, u->x_m, u->y_m, &lateral, &heading);
        float across = fabsf(sinf(u->yaw_rad - heading)), along = cosf(u->yaw_rad - heading);
        float half_length = 0.5f * (u->length_m * fabsf(along) + u->width_m * across);
        float half_width = 0.5f * (u->width_m * fabsf(along) + u->length_m * across);
        if (at + 0.5f * half_length < front_s) continue;
        if (fabsf(lateral) - half_width > 0.5f * obs->width_m + 0.2f) continue;
        fw_drive_leader found = {true, at - half_length - front_s,
                                 fmaxf(0.0f, u->speed_mps * along)};
        if (!view->leader.exists || found.gap_m < view->leader.gap_m) {
            view->second = view->leader;
            view->leader = found;
        } else if (!view->second.exists || found.gap_m < view->second.gap_m) {
            view->second = found;
        }
    }
}

static float urgency(const fw_drive_meeting *m) {
    float u = fmaxf(m->enter_m, 0.0f) * 0.1f + fmaxf(m->foe_enter_s, 0.0f);
    return m->must_yield ? u : u + 4.0f;
}

static void look_at_conflicts(const fw_drive_obs *obs, fw_drive_view *view) {
    float front_s = obs->s_m + view->front_m;
    view->meeting_count = 0;
    for (uint32_t k = 0; k < obs->conflict_count; k++) {
        const fw_drive_conflict *c = &obs->conflicts[k];
        float speed = obs->users[c->user].speed_mps, pace = fmaxf(speed, 1.0f);
        fw_drive_meeting m = {
            .must_yield = c->must_yield != 0,
            .change = c->kind == FW_DRIVE_CONFLICT_CHANGE,
            .enter_m = c->enter_s_m - front_s,
            .clear_m = c->exit_s_m + obs->length_m - front_s,
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

void fw_drive_look(const fw_drive_obs *obs, fw_drive_view *view) {
    track t;
    memset(view, 0, sizeof *view);
    view->front_m = obs->length_m - obs->rear_overhang_m;
    view->leader.gap_m = view->second.gap_m = 100.0f;
    if (obs->path_count < 2) return;
    track_of(obs, &t);
    look_at_path(obs, &t, view);
    look_at_users(obs, &t, view);
    look_at_conflicts(obs, view);
    view->light_m = obs->light_s_m - obs->s_m - view->front_m;
    view->light = (fw_drive_light)obs->light;
    view->light_matters = obs->light != FW_DRIVE_LIGHT_NONE && view->light_m > -0.5f;
}

float fw_drive_allowed_mps(const fw_drive_view *view, float lateral_mps2, float brake_mps2) {
    float allowed2 = 1e6f;
    for (int k = 0; k < FW_DRIVE_PREVIEWS; k++) {
        float curve2 = lateral_mps2 / fmaxf(fabsf(view->curvature_pm[k]), 1e-4f);
        float limit2 = view->limit_mps[k] * view->limit_mps[k];
        float here2 = fminf(curve2, limit2) + 2 * brake_mps2 * (float)k * FW_DRIVE_PREVIEW_M;
        allowed2 = fminf(allowed2, here2);
    }
    return sqrtf(allowed2);
}

float fw_drive_stop_mps2(float speed_mps, float distance_m) {
    if (speed_mps <= 0.0f) return 0.0f;
    if (distance_m <= 0.05f) return 99.0f;
    return fminf(99.0f, speed_mps * speed_mps / (2 * distance_m));
}
