#include "lines/driving/learn/train/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Slot i belongs to recording i. */
typedef struct slot {
    fw_scenario *scenario; /* NULL: refused */
    fw_error error;
} slot;

typedef struct reading {
    const char *const *paths;
    slot *slots;
} reading;

static void read_one(void *self, uint32_t i) {
    reading *r = self;
    slot *own = &r->slots[i];
    if (fw_scenario_read(r->paths[i], fw_vehicles_builtin(), &own->scenario, &own->error) != FW_OK)
        own->scenario = NULL;
}

static void take(fw_learn_set *set, const slot *slots, uint32_t count, bool scenes) {
    for (uint32_t i = 0; i < count; i++)
        if (slots[i].scenario && slots[i].scenario->start_count > 0 && slots[i].scenario->scene == scenes)
            set->items[set->count++] = slots[i].scenario;
}

/* Read, but nothing in it begins. */
static void drop_empty(slot *slots, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!slots[i].scenario || slots[i].scenario->start_count > 0) continue;
        fw_scenario_free(slots[i].scenario);
        slots[i].scenario = NULL;
        snprintf(slots[i].error.text, sizeof slots[i].error.text, "no track in it can be driven");
    }
}

static int by_group(const void *a, const void *b) {
    const fw_scenario *x = *(fw_scenario *const *)a, *y = *(fw_scenario *const *)b;
    int site = strcmp(x->tags.site, y->tags.site), group = strcmp(x->tags.group, y->tags.group);
    return site ? site : group ? group : fw_hash_compare(&x->source, &y->source);
}

static bool same_group(const fw_scenario *x, const fw_scenario *y) {
    return strcmp(x->tags.site, y->tags.site) == 0 && strcmp(x->tags.group, y->tags.group) == 0;
}

fw_status fw_learn_set_group(fw_learn_set *set, fw_error *error) {
    uint32_t *groups = calloc(set->scene_count + 1, sizeof *groups);
    if (!groups) return fw_fail(error, FW_NO_MEMORY, "no memory for %u scenes", set->scene_count);
    free(set->groups);
    set->groups = groups;
    set->group_count = 0;
    if (set->scene_count > 0) qsort(set->items, set->scene_count, sizeof(fw_scenario *), by_group);
    for (uint32_t i = 0; i < set->scene_count; i++)
        if (i == 0 || !same_group(set->items[i - 1], set->items[i])) groups[set->group_count++] = i;
    groups[set->group_count] = set->scene_count;
    return FW_OK;
}

fw_status fw_learn_set_read(const char *const *paths, uint32_t count, fw_pool *pool, fw_learn_set *out,
                            fw_error *error) {
    reading r = {paths, calloc(count + 1, sizeof *r.slots)};
    fw_learn_set set = {.items = calloc(count + 1, sizeof(fw_scenario *))};
    if (!r.slots || !set.items) {
        free(r.slots);
        free(set.items);
        return fw_fail(error, FW_NO_MEMORY, "no memory for %u scenarios", count);
    }
    fw_pool_run(pool, count, read_one, &r);
    drop_empty(r.slots, count);
    take(&set, r.slots, count, true);
    set.scene_count = set.count;
    take(&set, r.slots, count, false);
    set.refused = count - set.count;
    fw_status status = FW_OK;
    if (set.count == 0)
        status = fw_fail(error, FW_INVALID, "none of %u recordings makes a scenario%s%s", count,
                         count > 0 ? "; the first: " : "", r.slots[0].error.text);
    free(r.slots);
    if (status == FW_OK) status = fw_learn_set_group(&set, error);
    if (status == FW_OK) *out = set;
    else fw_learn_set_clear(&set);
    return status;
}

void fw_learn_set_clear(fw_learn_set *set) {
    for (uint32_t i = 0; i < set->count; i++) fw_scenario_free(set->items[i]);
    free(set->items);
    free(set->groups);
    *set = (fw_learn_set){0};
}
