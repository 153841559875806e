/* group.h - group commit: who waits together is made durable together.
 *
 *   thread A  run --+ leads ----------- commit(A) ----- done, hands the lead on
 *   thread B  run --+ waits ....................... + leads -- commit(B, C) -- done
 *   thread C  run --+ waits ....................... + waits .................. done
 *
 * The first to come leads: it takes what waits (up to weight_max), commits it outside the lock, and
 * hands the lead to the first that came meanwhile. There is no thread of its own and no timer: a
 * lone caller pays for itself alone, and the slower the disk, the larger the groups.
 *
 * Invariants: (1) commit runs on one thread at a time; (2) items are committed in the order of
 * fw_group_run; (3) every item is in exactly one commit; (4) weight waiting never exceeds
 * backlog_max, except for a lone item.
 */
#ifndef FW_FACTORY_GROUP_H
#define FW_FACTORY_GROUP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Embedded as the first member of what is committed; the caller's stack holds it. */
typedef struct fw_group_item {
    struct fw_group_item *next; /* of this commit, or of the queue */
    size_t weight;
    bool done, leads;
    pthread_cond_t cond;
} fw_group_item;

typedef struct fw_group {
    pthread_mutex_t lock; /* guards the rest, and items' done and leads */
    fw_group_item *first, *last;
    size_t waiting_weight, weight_max, backlog_max;
    bool led;
    /* Writes its result into each item of the list. */
    void (*commit)(void *self, fw_group_item *items);
    void *self;
} fw_group;

void fw_group_init(fw_group *group, size_t weight_max, size_t backlog_max,
                   void (*commit)(void *self, fw_group_item *items), void *self);
void fw_group_destroy(fw_group *group);
/* Returns when the item's commit is over. False, at once: more than backlog_max waits already. */
bool fw_group_run(fw_group *group, fw_group_item *item, size_t weight) FW_MUST;

#endif
