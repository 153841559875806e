#include "lines/driving/learn/scenario/overlap.h"

#include <math.h>
#include <stdlib.h>

enum {
    WINDOW = 10,     /* steps in a row */
    DISTINCT = 6,    /* different ones of them at least: cruising at a constant speed tells nobody apart */
    STEP_MIN_MM = 200,
    ALIKE_MAX = 256, /* windows that more have are a pattern of the measurement */
    SIGHTINGS_MAX = 1 << 22,
};

/* A car's steps from a tick of its scene on. */
typedef struct sighting {
    uint64_t steps; /* hash of the window and of the box */
    uint32_t scene, car, tick;
} sighting;

/* A car that two scenes have: a < b. */
typedef struct shared {
    uint32_t a, b, car;
    int32_t later; /* ticks */
} shared;

struct fw_overlap {
    sighting *sightings;
    shared *pairs;
    uint32_t scenes;
    size_t count, room, pair_count, pair_room;
};

fw_status fw_overlap_new(fw_overlap **out, fw_error *error) {
    fw_overlap *overlap = calloc(1, sizeof *overlap);
    if (!overlap) return fw_fail(error, FW_NO_MEMORY, "overlap: no memory");
    *out = overlap;
    return FW_OK;
}

void fw_overlap_free(fw_overlap *overlap) {
    if (!overlap) return;
    free(overlap->sightings);
    free(overlap->pairs);
    free(overlap);
}

static fw_status grow(void **array, size_t count, size_t *room, size_t size_bytes, fw_error *error) {
    if (count < *room) return FW_OK;
    if (count == SIGHTINGS_MAX) return fw_fail(error, FW_TOO_BIG, "overlap: over %d steps of cars", SIGHTINGS_MAX);
    size_t wanted = *room ? 2 * *room : 4096;
    void *grown = realloc(*array, wanted * size_bytes);
    if (!grown) return fw_fail(error, FW_NO_MEMORY, "overlap: no memory");
    *array = grown, *room = wanted;
    return FW_OK;
}

/* ---- what is seen ---- */

static uint64_t mixed(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static bool is_telling(const int64_t step_mm[WINDOW]) {
    int distinct = 0;
    for (int i = 0; i < WINDOW; i++) {
        bool before = false;
        if (step_mm[i] < STEP_MIN_MM) return false;
        for (int k = 0; k < i && !before; k++) before = step_mm[k] == step_mm[i];
        distinct += !before;
    }
    return distinct >= DISTINCT;
}

/* The window from a state on; false where a tick is missing, or it says nothing. */
static bool window_of(const fw_scene_object *object, const fw_scene_state *states, uint64_t *out) {
    int64_t step_mm[WINDOW];
    uint64_t hash = mixed((uint64_t)llround(1e2 * object->length_m), (uint64_t)llround(1e2 * object->width_m));
    for (int i = 0; i < WINDOW; i++) {
        if (states[i + 1].step != states[i].step + 1) return false;
        step_mm[i] = llround(1e3 * hypot(states[i + 1].x_m - states[i].x_m, states[i + 1].y_m - states[i].y_m));
        hash = mixed(hash, (uint64_t)step_mm[i]);
    }
    *out = hash;
    return is_telling(step_mm);
}

fw_status fw_overlap_add(fw_overlap *overlap, const fw_scene *scene, fw_error *error) {
    for (uint32_t car = 0; car < scene->object_count; car++) {
        const fw_scene_object *object = &scene->objects[car];
        const fw_scene_state *states = scene->states + object->state_first;
        for (uint32_t i = 0; !object->still && i + WINDOW < object->state_count; i++) {
            sighting seen = {.scene = overlap->scenes, .car = car, .tick = states[i].step};
            if (!window_of(object, states + i, &seen.steps)) continue;
            FW_TRY(grow((void **)&overlap->sightings, overlap->count, &overlap->room, sizeof seen, error));
            overlap->sightings[overlap->count++] = seen;
        }
    }
    overlap->scenes++;
    return FW_OK;
}

/* ---- who is in two scenes ---- */

static int by_steps(const void *a, const void *b) {
    const sighting *x = a, *y = b;
    if (x->steps != y->steps) return x->steps < y->steps ? -1 : 1;
    return x->scene != y->scene ? (x->scene < y->scene ? -1 : 1) : (x->car > y->car) - (x->car < y->car);
}

static int by_pair(const void *a, const void *b) {
    const shared *x = a, *y = b;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    if (x->b != y->b) return x->b < y->b ? -1 : 1;
    if (x->later != y->later) return x->later < y->later ? -1 : 1;
    return (x->car > y->car) - (x->car < y->car);
}

static fw_status pair_up(fw_overlap *overlap, const sighting *alike, size_t count, fw_error *error) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++) {
            if (alike[i].scene == alike[k].scene) continue;
            FW_TRY(grow((void **)&overlap->pairs, overlap->pair_count, &overlap->pair_room, sizeof *overlap->pairs,
                        error));
            overlap->pairs[overlap->pair_count++] = (shared){alike[i].scene, alike[k].scene, alike[i].car,
                                                             (int32_t)alike[k].tick - (int32_t)alike[i].tick};
        }
    return FW_OK;
}

static fw_status find_pairs(fw_overlap *overlap, fw_error *error) {
    const sighting *all = overlap->sightings;
    overlap->pair_count = 0;
    if (overlap->count > 0) qsort(overlap->sightings, overlap->count, sizeof *all, by_steps);
    for (size_t i = 0, end; i < overlap->count; i = end) {
        for (end = i + 1; end < overlap->count && all[end].steps == all[i].steps;) end++;
        if (end - i <= ALIKE_MAX) FW_TRY(pair_up(overlap, all + i, end - i, error));
    }
    if (overlap->pair_count > 0) qsort(overlap->pairs, overlap->pair_count, sizeof *overlap->pairs, by_pair);
    return FW_OK;
}

/* ---- groups ---- */

static uint32_t root_of(const uint32_t *first, uint32_t scene) {
    while (first[scene] != scene) scene = first[scene];
    return scene;
}

static void join(uint32_t *first, uint32_t a, uint32_t b) {
    uint32_t x = root_of(first, a), y = root_of(first, b);
    if (x < y) first[y] = x;
    else first[x] = y;
}

fw_status fw_overlap_join(fw_overlap *overlap, uint32_t *first, fw_error *error) {
    FW_TRY(find_pairs(overlap, error));
    uint32_t cars = 0;
    for (size_t i = 0; i < overlap->pair_count; i++) {
        const shared *now = &overlap->pairs[i], *last = i > 0 ? now - 1 : NULL;
        bool same = last && last->a == now->a && last->b == now->b && last->later == now->later;
        cars = !same ? 1 : cars + (last->car != now->car);
        if (cars >= FW_OVERLAP_CARS) join(first, now->a, now->b);
    }
    for (uint32_t i = 0; i < overlap->scenes; i++) first[i] = root_of(first, i);
    return FW_OK;
}
