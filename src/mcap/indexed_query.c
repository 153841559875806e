/* A query: which parts, in which order, and the heap that merges those which overlap. */
#include <inttypes.h>
#include <stdlib.h>

#include "mcap/format.h"
#include "mcap/indexed.h"

/* ------------------------------------------------------------------------------- choice ----- */

static bool topic_wanted(const fw_mcap_query *query, fw_mcap_text topic) {
    for (size_t i = 0; i < query->topic_count; i++) {
        if (fw_mcap_text_is(topic, query->topics[i])) return true;
    }
    return query->topic_count == 0;
}

void fw_mcap_indexed_choose(fw_mcap_indexed *ix) {
    for (; ix->chosen_upto < ix->known.channel_count; ix->chosen_upto++) {
        fw_mcap_known_channel *c =
            fw_mcap_known_find(&ix->known, ix->known.channel_ids[ix->chosen_upto]);
        c->chosen = topic_wanted(&ix->query, c->channel.topic);
    }
}

/* May the part hold a message of the query? A channel not known yet may be wanted. */
static bool may_hold(const fw_mcap_indexed *ix, const fw_mcap_part *part) {
    if (part->end_ns < ix->query.start_time_ns || part->start_ns > ix->last_time_ns) return false;
    if (ix->query.topic_count == 0 || part->index_offset_count == 0) return true;
    for (uint32_t i = 0; i < part->index_offset_count; i++) {
        uint16_t id = fw_mcap_load_u16(part->index_offsets + 10 * (size_t)i);
        const fw_mcap_known_channel *c = fw_mcap_known_find(&ix->known, id);
        if (c == NULL || c->chosen) return true;
    }
    return false;
}

/* Which of two parts a query may need first. */
static int compare_parts(const void *a, const void *b, void *context) {
    const fw_mcap_indexed *ix = context;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    int in_file = (i > j) - (i < j);
    const fw_mcap_part *x = &ix->parts[i], *y = &ix->parts[j];
    switch (ix->query.order) {
    case FW_MCAP_ORDER_TIME:
        if (x->start_ns != y->start_ns) return x->start_ns < y->start_ns ? -1 : 1;
        return in_file;
    case FW_MCAP_ORDER_REVERSE:
        if (x->end_ns != y->end_ns) return x->end_ns > y->end_ns ? -1 : 1;
        return -in_file;
    case FW_MCAP_ORDER_FILE:
        break;
    }
    return in_file;
}

static fw_status choose_parts(fw_mcap_indexed *ix, fw_error *error) {
    ix->order = malloc((ix->part_count + 1) * sizeof *ix->order);
    if (ix->order == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for a query");
    bool sorted = true, nothing = ix->query.start_time_ns > ix->last_time_ns;
    for (size_t i = 0; i < ix->part_count && !nothing; i++) {
        if (!may_hold(ix, &ix->parts[i])) continue;
        size_t *at = &ix->order[ix->order_count];
        *at = i;
        if (ix->order_count++ > 0) sorted = sorted && compare_parts(at - 1, at, ix) < 0;
    }
    if (!sorted) {
        qsort_r(ix->order, ix->order_count, sizeof *ix->order, compare_parts, ix);
    }
    return FW_OK;
}

fw_status fw_mcap_indexed_query(fw_mcap_indexed *ix, const fw_mcap_query *query, fw_error *error) {
    if (query != NULL && (unsigned)query->order > FW_MCAP_ORDER_FILE) {
        return fw_fail(error, FW_INVALID, "mcap: a query has no order %u", (unsigned)query->order);
    }
    fw_mcap_indexed_end_query(ix);
    ix->query = query == NULL ? (fw_mcap_query){0} : *query;
    ix->last_time_ns = ix->query.end_time_ns - 1; /* 0: the last of all times */
    ix->examined = 0;
    ix->chosen_upto = 0;
    fw_mcap_indexed_choose(ix);
    FW_TRY(choose_parts(ix, error));
    ix->state = FW_OK;
    return FW_OK;
}

/* --------------------------------------------------------------------------------- heap ----- */

static bool comes_before(const fw_mcap_indexed *ix, const fw_mcap_slot *a, const fw_mcap_slot *b) {
    bool back = ix->query.order == FW_MCAP_ORDER_REVERSE;
    if (a->time_ns != b->time_ns) return (a->time_ns < b->time_ns) != back;
    return (a->part < b->part) != back;
}

static void sift_down(fw_mcap_indexed *ix) {
    fw_mcap_slot *slot = ix->heap[0];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= ix->heap_count) break;
        if (child + 1 < ix->heap_count && comes_before(ix, ix->heap[child + 1], ix->heap[child])) {
            child++;
        }
        if (!comes_before(ix, ix->heap[child], slot)) break;
        ix->heap[at] = ix->heap[child];
        at = child;
    }
    ix->heap[at] = slot;
}

static fw_status push(fw_mcap_indexed *ix, fw_mcap_slot *slot, fw_error *error) {
    if (ix->heap_count == ix->heap_capacity) {
        size_t capacity = ix->heap_capacity * 2 + 8;
        fw_mcap_slot **grown = realloc(ix->heap, capacity * sizeof *grown);
        if (grown == NULL) {
            fw_mcap_indexed_spare(ix, slot);
            return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for a query");
        }
        ix->heap = grown;
        ix->heap_capacity = capacity;
    }
    size_t at = ix->heap_count++;
    while (at > 0 && comes_before(ix, slot, ix->heap[(at - 1) / 2])) {
        ix->heap[at] = ix->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    ix->heap[at] = slot;
    return FW_OK;
}

/* Past the message that was handed out. */
static void step_top(fw_mcap_indexed *ix) {
    if (fw_mcap_indexed_advance(ix, ix->heap[0])) {
        if (ix->heap_count > 1) sift_down(ix);
        return;
    }
    fw_mcap_indexed_spare(ix, ix->heap[0]);
    ix->heap[0] = ix->heap[--ix->heap_count];
    if (ix->heap_count > 1) sift_down(ix);
}

/* Could the next part of the order give a message before the heap's top? */
static bool must_open(const fw_mcap_indexed *ix) {
    if (ix->order_next == ix->order_count) return false;
    if (ix->heap_count == 0) return true;
    const fw_mcap_part *part = &ix->parts[ix->order[ix->order_next]];
    uint64_t top_ns = ix->heap[0]->time_ns;
    if (ix->query.order == FW_MCAP_ORDER_TIME) return part->start_ns <= top_ns;
    return ix->query.order == FW_MCAP_ORDER_REVERSE && part->end_ns >= top_ns;
}

static fw_status open_needed(fw_mcap_indexed *ix, fw_error *error) {
    while (must_open(ix)) {
        fw_mcap_slot *slot = NULL;
        FW_TRY(fw_mcap_indexed_open_part(ix, ix->order[ix->order_next++], &slot, error));
        if (slot != NULL) FW_TRY(push(ix, slot, error));
    }
    return FW_OK;
}

/* Does no other part concern the rest of the heap's top: none open, none to open before its end? */
static bool is_alone(const fw_mcap_indexed *ix) {
    if (ix->heap_count != 1) return false;
    if (ix->query.order == FW_MCAP_ORDER_FILE || ix->order_next == ix->order_count) return true;
    const fw_mcap_part *top = &ix->parts[ix->heap[0]->part];
    const fw_mcap_part *next = &ix->parts[ix->order[ix->order_next]];
    return ix->query.order == FW_MCAP_ORDER_TIME ? next->start_ns > top->end_ns
                                                 : next->end_ns < top->start_ns;
}

static inline void give(const fw_mcap_indexed *ix, const uint8_t *record, fw_mcap_message *m) {
    const uint8_t *at = record + FW_MCAP_PREFIX_BYTES;
    uint16_t id = fw_mcap_load_u16(at);
    const fw_mcap_known_channel *channel = fw_mcap_known_find(&ix->known, id);
    m->channel_id = id;
    m->sequence = fw_mcap_load_u32(at + 2);
    m->log_time_ns = fw_mcap_load_u64(at + 6);
    m->publish_time_ns = fw_mcap_load_u64(at + 14);
    m->data = at + FW_MCAP_MESSAGE_HEAD_BYTES;
    m->size_bytes = fw_mcap_load_u64(record + 1) - FW_MCAP_MESSAGE_HEAD_BYTES;
    m->channel = &channel->channel;
    m->schema = channel->schema;
}

static fw_status next_of_heap(fw_mcap_indexed *ix, fw_mcap_message *message, fw_error *error) {
    if (ix->state != FW_OK) {
        if (ix->state == FW_END) return FW_END;
        return fw_fail(error, ix->state, "mcap: no query runs: none was started, or it failed");
    }
    if (ix->given) step_top(ix);
    ix->given = ix->alone = false;
    fw_status status = open_needed(ix, error);
    if (status == FW_OK && ix->heap_count == 0) status = FW_END;
    if (status != FW_OK) {
        ix->state = status;
        return status;
    }
    give(ix, ix->heap[0]->record, message);
    ix->given = true;
    ix->alone = is_alone(ix);
    return FW_OK;
}

fw_status fw_mcap_indexed_next(fw_mcap_indexed *ix, fw_mcap_message *message, fw_error *error) {
    if (!ix->alone) return next_of_heap(ix, message, error);
    const uint8_t *record = fw_mcap_indexed_step(ix, ix->heap[0]);
    if (record == NULL) return next_of_heap(ix, message, error);
    give(ix, record, message);
    return FW_OK;
}
