/* receipt.c - the chain: hops hashed into each other, and checked again (receipt.h). */
#include "factory/receipts/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "factory/receipts/receipt_hops.h"
#include "trust/canonical.h"
#include "trust/dsse.h"

fw_status fw_receipt_hash(const json_t *value, fw_hash *out, fw_error *error) {
    char *text = NULL;
    size_t size_bytes = 0;
    FW_TRY(fw_canonical_write(value, &text, &size_bytes, error));
    fw_status status = fw_hash_bytes_try(text, size_bytes, out, error);
    free(text);
    return status;
}

/* ---- what follows from the hops ---- */

typedef struct summary {
    bool complete;
    const char *outcome;
    int64_t bytes, core_ms, fixed_ns; /* fixed_ns -1: not fixed */
} summary;

static const json_t *hop_at(const json_t *hops, fw_receipt_hop which) {
    return json_array_get(hops, which);
}

/* Wraps instead of overflowing: the numbers may be anybody's. */
static int64_t difference(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static int64_t sum(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t time_of(const json_t *hop) {
    return json_integer_value(json_object_get(hop, "time_ns"));
}

static summary sum_up(const json_t *hops) {
    summary s = {.complete = true, .fixed_ns = -1};
    const json_t *hop = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)hops, i, hop) {
        s.complete = s.complete && json_is_true(json_object_get(hop, "done"));
        s.bytes = sum(s.bytes, json_integer_value(json_object_get(hop, "bytes")));
        s.core_ms = sum(s.core_ms, json_integer_value(json_object_get(hop, "core_ms")));
    }
    s.outcome = fw_receipt_outcome(json_object_get(hop_at(hops, FW_RECEIPT_REPLAY), "facts"));
    bool fixed = strcmp(s.outcome, "fixed") == 0;
    s.complete = s.complete && (fixed || strcmp(s.outcome, "not reproduced") == 0);
    if (s.complete && fixed)
        s.fixed_ns = difference(time_of(hop_at(hops, FW_RECEIPT_ROLLOUT)), time_of(hop_at(hops, FW_RECEIPT_EVENT)));
    return s;
}

static json_t *subject(const json_t *hop) {
    const char *sha256 = json_string_value(json_object_get(hop, "sha256"));
    if (!sha256) return NULL;
    return json_pack("{s:O, s:{s:s}}", "name", json_object_get(hop, "hop"), "digest", "sha256", sha256);
}

/* The files: every hop's that has one, and is no statement about a file that stands there already. */
static json_t *subjects(const json_t *hops) {
    static const fw_receipt_hop files[] = {FW_RECEIPT_RECORDING, FW_RECEIPT_DATASET, FW_RECEIPT_RUN};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        json_t *one = subject(hop_at(hops, files[i]));
        if (one) json_array_append_new(list, one);
    }
    return list;
}

/* ---- building ---- */

/* Adds what a hop has from its place in the chain; *last is the hash of the one before, and then its own. */
static fw_status chain(json_t *hop, int64_t event_ns, char last[FW_HASH_HEX + 1], fw_error *error) {
    const json_t *time_ns = json_object_get(hop, "time_ns");
    fw_hash hash;
    json_object_set_new(hop, "since_event_ns",
                        json_is_integer(time_ns) ? json_integer(difference(json_integer_value(time_ns), event_ns))
                                                 : json_null());
    json_object_set_new(hop, "previous", last[0] ? json_string(last) : json_null());
    FW_TRY(fw_receipt_hash(hop, &hash, error));
    memcpy(last, hash.hex, sizeof hash.hex);
    return FW_OK;
}

static fw_status add_hops(const fw_receipt_facts *facts, json_t *hops, char last[FW_HASH_HEX + 1], fw_error *error) {
    int64_t event_ns = fw_receipt_event_ns(facts->event);
    for (fw_receipt_hop h = 0; h < FW_RECEIPT_HOP_COUNT; h++) {
        json_t *hop = fw_receipt_hop_make(h, facts);
        if (!hop || json_array_append_new(hops, hop) != 0)
            return fw_fail(error, FW_NO_MEMORY, "no memory for a receipt");
        FW_TRY(chain(hop, event_ns, last, error));
    }
    return FW_OK;
}

static json_t *statement_of(const json_t *event, json_t *hops, const char *last, int64_t made_ns) {
    summary s = sum_up(hops);
    json_t *predicate =
        json_pack("{s:i, s:O, s:I, s:b, s:s, s:o, s:I, s:I, s:O, s:s}", "format", FW_RECEIPT_FORMAT, "event",
                  json_object_get(event, "id"), "made_ns", (json_int_t)made_ns, "complete", s.complete, "outcome",
                  s.outcome, "failure_to_fixed_ns", s.fixed_ns < 0 ? json_null() : json_integer(s.fixed_ns), "bytes",
                  (json_int_t)s.bytes, "core_ms", (json_int_t)s.core_ms, "hops", hops, "chain", last);
    return json_pack("{s:s, s:o, s:s, s:o}", "_type", FW_STATEMENT_TYPE, "subject", subjects(hops), "predicateType",
                     FW_RECEIPT_TYPE, "predicate", predicate);
}

fw_status fw_receipt_build(const fw_receipt_facts *facts, int64_t made_ns, json_t **out, fw_error *error) {
    char last[FW_HASH_HEX + 1] = "";
    json_t *hops = json_array();
    fw_status status = hops ? add_hops(facts, hops, last, error) : FW_NO_MEMORY;
    json_t *statement = status == FW_OK ? statement_of(facts->event, hops, last, made_ns) : NULL;
    json_decref(hops);
    if (status != FW_OK) return status;
    if (!statement) return fw_fail(error, FW_NO_MEMORY, "no memory for a receipt");
    *out = statement;
    return FW_OK;
}

/* ---- checking ---- */

static fw_status check_hop(const json_t *hop, fw_receipt_hop which, int64_t event_ns, char last[FW_HASH_HEX + 1],
                           fw_error *error) {
    const char *name = fw_receipt_hop_names[which];
    const char *said = json_string_value(json_object_get(hop, "hop"));
    const char *previous = json_string_value(json_object_get(hop, "previous"));
    const json_t *time_ns = json_object_get(hop, "time_ns"), *since = json_object_get(hop, "since_event_ns");
    fw_hash hash;
    if (!said || strcmp(said, name) != 0) return fw_fail(error, FW_CORRUPT, "no hop \"%s\" where it belongs", name);
    if (strcmp(previous ? previous : "", last) != 0)
        return fw_fail(error, FW_CORRUPT, "hop \"%s\" does not name the hash of the hop before it", name);
    bool timed = json_is_integer(time_ns);
    if (timed != json_is_integer(since) ||
        (timed && json_integer_value(since) != difference(json_integer_value(time_ns), event_ns)))
        return fw_fail(error, FW_CORRUPT, "hop \"%s\": its time since the event is not the difference", name);
    if (!json_is_true(json_object_get(hop, "done")) && (timed || !json_is_null(json_object_get(hop, "sha256"))))
        return fw_fail(error, FW_CORRUPT, "hop \"%s\" has not happened and yet has a time or a hash", name);
    FW_TRY(fw_receipt_hash(hop, &hash, error));
    memcpy(last, hash.hex, sizeof hash.hex);
    return FW_OK;
}

static fw_status check_hops(const json_t *hops, char last[FW_HASH_HEX + 1], fw_error *error) {
    if (json_array_size(hops) != FW_RECEIPT_HOP_COUNT)
        return fw_fail(error, FW_CORRUPT, "a receipt has %d hops", FW_RECEIPT_HOP_COUNT);
    int64_t event_ns = time_of(hop_at(hops, FW_RECEIPT_EVENT));
    for (fw_receipt_hop h = 0; h < FW_RECEIPT_HOP_COUNT; h++)
        FW_TRY(check_hop(hop_at(hops, h), h, event_ns, last, error));
    return FW_OK;
}

static bool says(const json_t *object, const char *name, const char *text) {
    const char *value = json_string_value(json_object_get(object, name));
    return value && strcmp(value, text) == 0;
}

static fw_status check_sums(const json_t *predicate, const summary *s, fw_error *error) {
    const json_t *fixed = json_object_get(predicate, "failure_to_fixed_ns");
    bool same_fixed = s->fixed_ns < 0 ? json_is_null(fixed)
                                      : json_is_integer(fixed) && json_integer_value(fixed) == s->fixed_ns;
    bool same = json_is_true(json_object_get(predicate, "complete")) == s->complete &&
                says(predicate, "outcome", s->outcome) && same_fixed &&
                json_integer_value(json_object_get(predicate, "bytes")) == s->bytes &&
                json_integer_value(json_object_get(predicate, "core_ms")) == s->core_ms;
    return same ? FW_OK : fw_fail(error, FW_CORRUPT, "what the receipt sums up does not follow from its hops");
}

fw_status fw_receipt_check(const json_t *statement, fw_receipt_view *out, fw_error *error) {
    const json_t *predicate = json_object_get(statement, "predicate"), *hops = json_object_get(predicate, "hops");
    char last[FW_HASH_HEX + 1] = "";
    if (!says(statement, "_type", FW_STATEMENT_TYPE) || !says(statement, "predicateType", FW_RECEIPT_TYPE))
        return fw_fail(error, FW_CORRUPT, "this statement is no receipt");
    if (json_integer_value(json_object_get(predicate, "format")) != FW_RECEIPT_FORMAT)
        return fw_fail(error, FW_UNSUPPORTED, "a receipt of another format; this Flywheel reads %d", FW_RECEIPT_FORMAT);
    FW_TRY(check_hops(hops, last, error));
    if (!says(predicate, "chain", last)) return fw_fail(error, FW_CORRUPT, "the chain does not end in its hash");
    summary s = sum_up(hops);
    FW_TRY(check_sums(predicate, &s, error));
    json_t *named = subjects(hops);
    bool same = named && json_equal(named, json_object_get(statement, "subject"));
    json_decref(named);
    if (!same) return fw_fail(error, FW_CORRUPT, "the statement's subjects are not the files of its hops");
    *out = (fw_receipt_view){.predicate = predicate, .hops = hops, .complete = s.complete, .outcome = s.outcome,
                             .event = json_integer_value(json_object_get(predicate, "event")),
                             .failure_to_fixed_ns = s.fixed_ns};
    return FW_OK;
}

const json_t *fw_receipt_hop_of(const fw_receipt_view *view, fw_receipt_hop hop) {
    return hop_at(view->hops, hop);
}
