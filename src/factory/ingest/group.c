#include "factory/ingest/group.h"

void fw_group_init(fw_group *group, size_t weight_max, size_t backlog_max,
                   void (*commit)(void *self, fw_group_item *items), void *self) {
    *group = (fw_group){.weight_max = weight_max,
                        .backlog_max = backlog_max,
                        .commit = commit,
                        .self = self};
    pthread_mutex_init(&group->lock, NULL);
}

void fw_group_destroy(fw_group *group) {
    pthread_mutex_destroy(&group->lock);
}

static void append(fw_group *group, fw_group_item *item) {
    if (group->last)
        group->last->next = item;
    else
        group->first = item;
    group->last = item;
    group->waiting_weight += item->weight;
}

/* Cuts the next group off the queue; at least one item. */
static fw_group_item *take(fw_group *group) {
    fw_group_item *items = group->first, *last = items;
    size_t weight = last->weight;
    while (last->next && weight + last->next->weight <= group->weight_max) {
        last = last->next;
        weight += last->weight;
    }
    group->first = last->next;
    if (!group->first) group->last = NULL;
    group->waiting_weight -= weight;
    last->next = NULL;
    return items;
}

/* One commit by the caller, who leads; then the lead goes to the first in the queue. */
static void lead(fw_group *group) {
    fw_group_item *items = take(group);
    pthread_mutex_unlock(&group->lock);
    group->commit(group->self, items);
    pthread_mutex_lock(&group->lock);
    while (items) {
        fw_group_item *next = items->next; /* its owner may be gone once it is done */
        items->done = true;
        pthread_cond_signal(&items->cond);
        items = next;
    }
    group->led = group->first != NULL;
    if (!group->led) return;
    group->first->leads = true;
    pthread_cond_signal(&group->first->cond);
}

bool fw_group_run(fw_group *group, fw_group_item *item, size_t weight) {
    item->next = NULL;
    item->weight = weight;
    item->done = item->leads = false;
    pthread_mutex_lock(&group->lock);
    if (group->first && group->waiting_weight + weight > group->backlog_max) {
        pthread_mutex_unlock(&group->lock);
        return false;
    }
    pthread_cond_init(&item->cond, NULL);
    append(group, item);
    if (group->led) {
        while (!item->done && !item->leads) pthread_cond_wait(&item->cond, &group->lock);
    } else {
        group->led = item->leads = true;
    }
    if (!item->done) lead(group);
    FW_ASSERT(item->done);
    pthread_mutex_unlock(&group->lock);
    pthread_cond_destroy(&item->cond);
    return true;
}
