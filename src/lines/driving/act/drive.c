/* drive.c - the driving line's two messages and the boxes (drive.h). */
#include "lines/driving/act/drive.h"

#include <math.h>
#include <string.h>

/* ---- wire form: 32-bit little-endian words, one field after the other ---- */

enum {
    HEAD_WORDS = 22, /* everything before the arrays; time_ns takes two */
    POINT_WORDS = 4,
    USER_WORDS = 8,
    CONFLICT_WORDS = 7,
};
_Static_assert(sizeof(fw_drive_point) == 4 * POINT_WORDS, "point has no padding");
_Static_assert(sizeof(fw_drive_user) == 4 * USER_WORDS, "user has no padding");
_Static_assert(sizeof(fw_drive_conflict) == 4 * CONFLICT_WORDS, "conflict has no padding");
_Static_assert(offsetof(fw_drive_obs, path) == 4 * HEAD_WORDS, "head has no padding");

/* The structs have no padding (asserted above), so the wire form is the memory's 32-bit words in
 * order; only the byte order within a word (and of time_ns) could differ from the machine's. */
static void put_words(uint8_t **at, const void *from, size_t words) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(*at, from, 4 * words);
#else
#error "fw_drive_obs_encode: a big-endian machine needs its words swapped here"
#endif
    *at += 4 * words;
}

static void get_words(const uint8_t **at, void *to, size_t words) {
    memcpy(to, *at, 4 * words);
    *at += 4 * words;
}

static size_t wire_words(const fw_drive_obs *head) {
    return HEAD_WORDS + (size_t)head->path_count * POINT_WORDS +
           (size_t)head->user_count * USER_WORDS + (size_t)head->conflict_count * CONFLICT_WORDS;
}

size_t fw_drive_obs_encode(const fw_drive_obs *obs, void *out) {
    FW_ASSERT(obs->path_count <= FW_DRIVE_PATH_MAX);
    FW_ASSERT(obs->user_count <= FW_DRIVE_USERS_MAX);
    FW_ASSERT(obs->conflict_count <= FW_DRIVE_CONFLICTS_MAX);
    for (uint32_t i = 0; i < obs->conflict_count; i++)
        FW_ASSERT(obs->conflicts[i].user < obs->user_count);
    uint8_t *at = out;
    put_words(&at, obs, HEAD_WORDS);
    put_words(&at, obs->path, (size_t)obs->path_count * POINT_WORDS);
    put_words(&at, obs->users, (size_t)obs->user_count * USER_WORDS);
    put_words(&at, obs->conflicts, (size_t)obs->conflict_count * CONFLICT_WORDS);
    return (size_t)(at - (uint8_t *)out);
}

/* True when the `count` floats starting at `first` are finite. */
static bool finite_run(const float *first, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(first[i])) return false;
    return true;
}

static bool numbers_finite(const fw_drive_obs *o) {
    const float head[] = {
        o->x_m,          o->y_m,          o->yaw_rad,  o->speed_mps,       o->accel_mps2,
        o->curvature_pm, o->length_m,     o->width_m,  o->rear_overhang_m, o->impact_mps2,
        o->s_m,          o->route_left_m, o->light_s_m};
    if (!finite_run(head, sizeof head / sizeof *head)) return false;
    for (uint32_t i = 0; i < o->path_count; i++)
        if (!finite_run(&o->path[i].x_m, POINT_WORDS)) return false;
    for (uint32_t i = 0; i < o->user_count; i++)
        if (!finite_run(&o->users[i].x_m, USER_WORDS - 2)) return false;
    for (uint32_t i = 0; i < o->conflict_count; i++)
        if (!finite_run(&o->conflicts[i].enter_s_m, CONFLICT_WORDS - 3)) return false;
    return true;
}

static fw_status check_values(const fw_drive_obs *o, fw_error *error) {
    if (!numbers_finite(o))
        return fw_fail(error, FW_CORRUPT, "observation: a number is not finite");
    if (o->light > FW_DRIVE_LIGHT_RED)
        return fw_fail(error, FW_CORRUPT, "observation: light %u is unknown", o->light);
    for (uint32_t i = 0; i < o->conflict_count; i++) {
        const fw_drive_conflict *c = &o->conflicts[i];
        if (c->user >= o->user_count)
            return fw_fail(error, FW_CORRUPT, "observation: conflict %u names user %u of %u", i,
                           c->user, o->user_count);
        if (c->kind > FW_DRIVE_CONFLICT_CHANGE || c->must_yield > 1)
            return fw_fail(error, FW_CORRUPT, "observation: conflict %u has kind %u, must_yield %u",
                           i, c->kind, c->must_yield);
    }
    return FW_OK;
}

fw_status fw_drive_obs_decode(const void *bytes, size_t size_bytes, fw_drive_obs *out,
                              fw_error *error) {
    const uint8_t *at = bytes;
    if (size_bytes < 4 * HEAD_WORDS)
        return fw_fail(error, FW_CORRUPT, "observation: %zu bytes, at least %d wanted", size_bytes,
                       4 * HEAD_WORDS);
    fw_drive_obs o;
    memset(&o, 0, sizeof o);
    get_words(&at, &o, HEAD_WORDS);
    if (o.path_count > FW_DRIVE_PATH_MAX || o.user_count > FW_DRIVE_USERS_MAX ||
        o.conflict_count > FW_DRIVE_CONFLICTS_MAX)
        return fw_fail(error, FW_CORRUPT,
                       "observation: counts path %u, users %u, conflicts %u are over their maxima",
                       o.path_count, o.user_count, o.conflict_count);
    if (size_bytes != 4 * wire_words(&o))
        return fw_fail(error, FW_CORRUPT, "observation: %zu bytes, its counts say %zu", size_bytes,
                       4 * wire_words(&o));
    get_words(&at, o.path, (size_t)o.path_count * POINT_WORDS);
    get_words(&at, o.users, (size_t)o.user_count * USER_WORDS);
    get_words(&at, o.conflicts, (size_t)o.conflict_count * CONFLICT_WORDS);
    FW_TRY(check_values(&o, error));
    *out = o;
    return FW_OK;
}

/* ---- boxes ---- */

/* Half the shadow of a box (heading u along its length) on the unit axis (ax, ay). */
static float half_shadow(float ax, float ay, float ux, float uy, float length, float width) {
    return 0.5f * (length * fabsf(ax * ux + ay * uy) + width * fabsf(ay * ux - ax * uy));
}

bool fw_drive_boxes_overlap(float ax, float ay, float ayaw, float alength, float awidth, float bx,
                            float by, float byaw, float blength, float bwidth) {
    const float dx = bx - ax, dy = by - ay;
    const float reach = 0.5f * (alength + awidth + blength + bwidth);
    if (dx * dx + dy * dy > reach * reach) return false; /* cheap and safe: circles apart */
    const float aux = cosf(ayaw), auy = sinf(ayaw), bux = cosf(byaw), buy = sinf(byaw);
    const float axes[4][2] = {{aux, auy}, {-auy, aux}, {bux, buy}, {-buy, bux}};
    for (int i = 0; i < 4; i++) {
        const float x = axes[i][0], y = axes[i][1];
        const float apart = fabsf(dx * x + dy * y);
        if (apart >= half_shadow(x, y, aux, auy, alength, awidth) +
                         half_shadow(x, y, bux, buy, blength, bwidth))
            return false;
    }
    return true;
}
