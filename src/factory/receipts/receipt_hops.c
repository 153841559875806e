/* receipt_hops.c - what each hop says, from what the factory knows (receipt_hops.h). */
#include "factory/receipts/receipt_hops.h"

#include <string.h>

const char *const fw_receipt_hop_names[FW_RECEIPT_HOP_COUNT] = {
#define X(name, text) text,
    FW_RECEIPT_HOPS(X)
#undef X
};

/* ---- reading facts ---- */

static const json_t *get(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}
static const char *text(const json_t *object, const char *name) {
    return json_string_value(get(object, name));
}
static int64_t number(const json_t *object, const char *name) {
    return json_integer_value(get(object, name));
}
static bool is(const json_t *object, const char *name, const char *word) {
    const char *value = text(object, name);
    return value && strcmp(value, word) == 0;
}

int64_t fw_receipt_event_ns(const json_t *event) {
    int64_t received = number(event, "received_ns");
    if (!get(event, "recorded_ns")) return received;
    int64_t placed = number(event, "recorded_ns") + number(event, "time_ns") - number(event, "start_ns");
    return placed < received ? placed : received;
}

/* ---- one hop ---- */

typedef struct hop {
    const char *why; /* NULL: it is done */
    const json_t *time_ns, *bytes, *core_ms;
    const char *sha256;
    json_t *facts; /* taken */
} hop;

static json_t *or_null(const json_t *value) {
    return value ? json_deep_copy(value) : json_null();
}

static json_t *make(fw_receipt_hop which, const hop *h) {
    bool done = h->why == NULL;
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o?, s:o?, s:o}", "hop", fw_receipt_hop_names[which], "done", done,
                     "time_ns", or_null(done ? h->time_ns : NULL), "bytes", or_null(done ? h->bytes : NULL), "core_ms",
                     or_null(done ? h->core_ms : NULL), "sha256",
                     done && h->sha256 ? json_string(h->sha256) : json_null(), "why",
                     done ? json_null() : json_string(h->why), "facts", h->facts ? h->facts : json_object());
}

/* The named fields of an object that are there. */
static json_t *some(const json_t *object, const char *const *names) {
    json_t *out = json_object();
    for (; *names; names++)
        if (get(object, *names)) json_object_set_new(out, *names, json_deep_copy(get(object, *names)));
    return out;
}
#define SOME(object, ...) some(object, (const char *const[]){__VA_ARGS__, NULL})

/* ---- the hops ---- */

static json_t *event_hop(const fw_receipt_facts *f) {
    json_t *time_ns = json_integer(fw_receipt_event_ns(f->event));
    json_t *made = make(FW_RECEIPT_EVENT,
                        &(hop){.time_ns = time_ns,
                               .facts = SOME(f->event, "id", "unit", "kind", "time_ns", "value", "recording")});
    json_decref(time_ns);
    return made;
}

static json_t *recording_hop(const fw_receipt_facts *f) {
    const json_t *r = f->recording;
    return make(FW_RECEIPT_RECORDING,
                &(hop){.why = r ? NULL : "its recording is not known here",
                       .time_ns = get(r, "received_ns"), .bytes = get(r, "bytes"), .sha256 = text(r, "sha256"),
                       .facts = SOME(r, "unit", "role", "model", "messages", "start_ns", "end_ns")});
}

static json_t *scenario_hop(const fw_receipt_facts *f) {
    const char *why = f->proof ? NULL : f->not_driven ? f->not_driven : "no model yet that could drive it";
    return make(FW_RECEIPT_SCENARIO,
                &(hop){.why = why, .sha256 = text(f->proof, "scenario"),
                       .facts = SOME(f->proof, "first_tick", "event_tick", "ticks_max", "seed", "traffic", "guard",
                                     "recorded_mm", "rule_mm")});
}

static json_t *dataset_hop(const fw_receipt_facts *f) {
    const json_t *g = f->generation;
    const char *why = NULL;
    if (!g) why = "no data set was closed over it yet";
    else if (!f->entry) why = "its data set did not choose it";
    json_t *facts = SOME(g, "recordings", "held_out");
    if (g) json_object_set(facts, "generation", json_object_get(g, "n"));
    if (f->entry) json_object_set(facts, "role", json_object_get(f->entry, "role"));
    return make(FW_RECEIPT_DATASET, &(hop){.why = why, .time_ns = get(g, "dataset_ns"), .bytes = get(g, "dataset_bytes"),
                                           .sha256 = text(g, "dataset"), .facts = facts});
}

static json_t *run_hop(const fw_receipt_facts *f) {
    const json_t *g = f->generation;
    const char *why = get(g, "candidate") && get(g, "train_ns") ? NULL : "no training on it is done yet";
    return make(FW_RECEIPT_RUN,
                &(hop){.why = why, .time_ns = get(g, "train_ns"), .bytes = get(g, "candidate_bytes"),
                       .core_ms = get(g, "core_ms"), .sha256 = text(g, "candidate"),
                       .facts = SOME(g, "seed", "agent_steps", "parent", "cpu_class", "train_sha256")});
}

static json_t *gate_hop(const fw_receipt_facts *f) {
    const json_t *g = f->generation;
    const char *why = get(g, "gate_ns") && get(g, "decision") ? NULL : "the gate has not decided yet";
    json_t *facts = SOME(g, "decision", "reason");
    if (f->decision) json_object_set(facts, "test", (json_t *)(uintptr_t)f->decision);
    return make(FW_RECEIPT_GATE, &(hop){.why = why, .time_ns = get(g, "gate_ns"), .core_ms = get(g, "gate_core_ms"),
                                        .bytes = get(g, "gate_bytes"), .sha256 = text(g, "gate_sha256"),
                                        .facts = facts});
}

static json_t *signature_hop(const fw_receipt_facts *f) {
    const char *why = NULL;
    if (!is(f->generation, "decision", "promoted")) why = "no model was promoted";
    else if (!get(f->model, "statement_sha256")) why = "the model has no signed statement";
    return make(FW_RECEIPT_SIGNATURE,
                &(hop){.why = why, .time_ns = get(f->model, "signed_ns"), .bytes = get(f->model, "statement_bytes"),
                       .sha256 = text(f->model, "statement_sha256"),
                       .facts = SOME(f->model, "keyid", "release_counter", "lineage_sha256")});
}

static json_t *rollout_hop(const fw_receipt_facts *f) {
    const json_t *r = f->rollout;
    const char *why = NULL;
    if (!r) why = "no rollout has begun";
    else if (!is(r, "state", "done")) why = "the rollout has not reached all units";
    return make(FW_RECEIPT_ROLLOUT,
                &(hop){.why = why, .time_ns = get(r, "done_ns"), .sha256 = text(r, "reports_sha256"),
                       .facts = SOME(r, "n", "state", "reason", "rings", "units", "active", "created_ns",
                                     "first_active_ns", "reports")});
}

static json_t *replay_hop(const fw_receipt_facts *f) {
    const char *why = f->proof ? NULL : f->not_driven ? f->not_driven : "no model yet that could drive it";
    json_t *time_ns = json_integer(f->proof_ns), *core_ms = json_integer(f->proof_core_ms);
    json_t *facts = SOME(f->proof, "drives", "cpu_class");
    if (f->proof) json_object_set_new(facts, "outcome", json_string(fw_receipt_outcome(f->proof)));
    json_t *made = make(FW_RECEIPT_REPLAY,
                        &(hop){.why = why, .time_ns = time_ns, .core_ms = core_ms,
                               .sha256 = text(json_array_get(get(f->proof, "drives"), 1), "model"), .facts = facts});
    json_decref(time_ns);
    json_decref(core_ms);
    return made;
}

const char *fw_receipt_outcome(const json_t *proof) {
    const json_t *drives = get(proof, "drives");
    if (json_array_size(drives) != 2) return "open";
    if (!json_is_true(get(json_array_get(drives, 1), "passed"))) return "not fixed";
    return json_is_true(get(json_array_get(drives, 0), "passed")) ? "not reproduced" : "fixed";
}

json_t *fw_receipt_hop_make(fw_receipt_hop which, const fw_receipt_facts *facts) {
    json_t *(*const makers[FW_RECEIPT_HOP_COUNT])(const fw_receipt_facts *) = {
        [FW_RECEIPT_EVENT] = event_hop,         [FW_RECEIPT_RECORDING] = recording_hop,
        [FW_RECEIPT_SCENARIO] = scenario_hop,   [FW_RECEIPT_DATASET] = dataset_hop,
        [FW_RECEIPT_RUN] = run_hop,             [FW_RECEIPT_GATE] = gate_hop,
        [FW_RECEIPT_SIGNATURE] = signature_hop, [FW_RECEIPT_ROLLOUT] = rollout_hop,
        [FW_RECEIPT_REPLAY] = replay_hop};
    return makers[which](facts);
}
