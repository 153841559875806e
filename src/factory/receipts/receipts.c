/* receipts.c - facts become a proved, signed, kept receipt (receipts.h). */
#include "factory/receipts/receipts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "factory/receipts/facts.h"
#include "factory/receipts/receipt.h"
#include "factory/receipts/receipt_hops.h"
#include "trust/canonical.h"

/* One receipt is made at a time: a page that asks for many must not take every thread and all memory. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* ---- driving again ---- */

typedef struct proof {
    json_t *json;  /* NULL: not driven */
    char why[300]; /* then */
    int64_t core_ms;
} proof;

static int64_t thread_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static const char *text(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

/* Which model drove when it happened: the recording says it; else the generation's parent. */
static const char *old_model(const json_t *facts, const json_t *generation) {
    const char *model = text(json_object_get(facts, "recording"), "model");
    return fw_hash_valid(model) ? model : text(generation, "parent");
}

static fw_status drive_try(const fw_receipts *r, const json_t *facts, const json_t *try, proof *out, json_t **pictures,
                           fw_error *error) {
    const json_t *event = json_object_get(facts, "event"), *generation = json_object_get(try, "generation");
    const char *names[] = {text(event, "recording"), old_model(facts, generation), text(generation, "candidate")};
    char paths[3][FW_PATH_MAX];
    *out = (proof){0};
    for (int i = 0; i < 3; i++) {
        if (!fw_hash_valid(names[i])) return fw_fail(error, FW_NOT_FOUND, "no model yet that could drive it");
        fw_objects_path(r->objects, names[i], paths[i]);
        if (!fw_file_exists(paths[i]))
            return fw_fail(error, FW_NOT_FOUND, "%s %.12s is no longer kept", i == 0 ? "recording" : "model", names[i]);
    }
    if (!r->line->drive_again) return fw_fail(error, FW_NOT_FOUND, "line %s drives no events again", r->line->name);
    const fw_line_moment moment = {.recording = paths[0], .kind = text(event, "kind"),
                                   .time_ns = json_integer_value(json_object_get(event, "time_ns"))};
    int64_t before_ms = thread_ms();
    FW_TRY(r->line->drive_again(&moment, (const char *const[]){paths[1], paths[2]}, &out->json, pictures, error));
    out->core_ms = thread_ms() - before_ms;
    return FW_OK;
}

static bool passes(const proof *p) {
    const char *outcome = fw_receipt_outcome(p->json);
    return strcmp(outcome, "fixed") == 0 || strcmp(outcome, "not reproduced") == 0;
}

/* A try that cannot be driven is no failure of ours, but the reason is told; no memory is. */
static fw_status look_at(const fw_receipts *r, const json_t *facts, const json_t *try, proof *p, fw_error *error) {
    fw_error why;
    fw_status status = drive_try(r, facts, try, p, NULL, &why);
    if (status == FW_OK) return FW_OK;
    if (status == FW_NO_MEMORY) return fw_fail(error, status, "%s", why.text);
    snprintf(p->why, sizeof p->why, "%.299s", why.text);
    return FW_OK;
}

/* The first try whose model passes, else the first; NULL when there is none. A try that was not promoted is not
 * driven: its model drives nobody. */
static fw_status choose(const fw_receipts *r, const json_t *facts, const json_t **chosen, proof *out, fw_error *error) {
    const json_t *tries = json_object_get(facts, "tries"), *try = NULL;
    size_t i;
    *chosen = json_array_get(tries, 0);
    json_array_foreach((json_t *)(uintptr_t)tries, i, try) {
        const char *decision = text(json_object_get(try, "generation"), "decision");
        proof p = {0};
        if (!decision || strcmp(decision, "promoted") != 0) continue;
        FW_TRY(look_at(r, facts, try, &p, error));
        bool good = p.json && passes(&p);
        if (i == 0 || good) {
            json_decref(out->json);
            *out = p;
            *chosen = try;
        } else {
            json_decref(p.json);
        }
        if (good) return FW_OK;
    }
    return FW_OK;
}

/* ---- making one ---- */

static const json_t *part(const json_t *try, const char *name) {
    const json_t *value = json_object_get(try, name);
    return json_is_null(value) ? NULL : value;
}

static fw_status build(const fw_receipts *r, const json_t *facts, json_t **statement, json_int_t *generation,
                       fw_error *error) {
    const json_t *try = NULL;
    proof p = {0};
    fw_status status = choose(r, facts, &try, &p, error);
    int64_t now_ns = fw_env_wall_ns(r->env);
    const fw_receipt_facts f = {.event = json_object_get(facts, "event"),
                                .recording = json_object_get(facts, "recording"),
                                .generation = part(try, "generation"), .entry = part(try, "entry"),
                                .decision = part(try, "decision"), .model = part(try, "model"),
                                .rollout = part(try, "rollout"), .proof = p.json, .proof_ns = now_ns,
                                .proof_core_ms = p.core_ms, .not_driven = p.why[0] ? p.why : NULL};
    *generation = f.generation ? json_integer_value(json_object_get(f.generation, "n")) : -1;
    if (status == FW_OK) status = fw_receipt_build(&f, now_ns, statement, error);
    json_decref(p.json);
    return status;
}

static fw_status sign(const fw_receipts *r, const json_t *statement, char **envelope, fw_error *error) {
    char *bytes = NULL;
    size_t size_bytes = 0;
    if (!r->trust) return fw_fail(error, FW_UNSUPPORTED, "this factory has no key to sign receipts with");
    FW_TRY(fw_canonical_write(statement, &bytes, &size_bytes, error));
    fw_status status = fw_trust_sign_statement(r->trust, bytes, size_bytes, envelope, error);
    free(bytes);
    return status;
}

static fw_status keep(const fw_receipts *r, const json_t *facts, const fw_hash *facts_hash, const json_t *statement,
                      int64_t generation, const char *envelope, fw_error *error) {
    const json_t *event = json_object_get(facts, "event");
    fw_receipt_view view;
    FW_TRY(fw_receipt_check(statement, &view, error));
    sqlite3 *db = fw_catalogue_begin(r->catalogue, error);
    if (!db) return FW_IO;
    char owner[32] = "";
    if (generation >= 0) snprintf(owner, sizeof owner, "%lld", (long long)generation);
    char fixed[32] = "";
    if (view.failure_to_fixed_ns >= 0) snprintf(fixed, sizeof fixed, "%lld", (long long)view.failure_to_fixed_ns);
    fw_status status = fw_db_run(
        db, error,
        "INSERT OR REPLACE INTO receipts(recording,time_ns,kind,event,facts,complete,outcome,generation,event_ns,"
        "fixed_ns,envelope,made_ns) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
        "titititti" "tti", text(event, "recording"), (int64_t)json_integer_value(json_object_get(event, "time_ns")),
        text(event, "kind"), view.event, facts_hash->hex, (int64_t)view.complete, view.outcome,
        owner[0] ? owner : NULL, fw_receipt_event_ns(event), fixed[0] ? fixed : NULL, envelope,
        fw_env_wall_ns(r->env));
    return fw_catalogue_end(r->catalogue, status, error);
}

static fw_status make(const fw_receipts *r, const json_t *facts, const fw_hash *facts_hash, char **envelope,
                      fw_error *error) {
    json_t *statement = NULL;
    json_int_t generation = -1;
    char *signed_text = NULL;
    FW_TRY(build(r, facts, &statement, &generation, error));
    fw_status status = sign(r, statement, &signed_text, error);
    if (status == FW_OK) status = keep(r, facts, facts_hash, statement, generation, signed_text, error);
    json_decref(statement);
    if (status == FW_OK) *envelope = signed_text;
    else free(signed_text);
    return status;
}

/* ---- the one that is kept ---- */

static fw_status find_kept(const fw_receipts *r, const json_t *event, const fw_hash *facts_hash, char **envelope,
                           fw_error *error) {
    sqlite3 *db = fw_catalogue_read(r->catalogue);
    fw_status status =
        fw_db_text(db, error, envelope,
                   "SELECT envelope FROM receipts WHERE recording=? AND time_ns=? AND kind=? AND facts=?", "titt",
                   text(event, "recording"), (int64_t)json_integer_value(json_object_get(event, "time_ns")),
                   text(event, "kind"), facts_hash->hex);
    fw_catalogue_read_end(r->catalogue);
    return status;
}

static fw_status kept_or_made(const fw_receipts *r, const json_t *facts, char **envelope, fw_error *error) {
    fw_hash hash;
    FW_TRY(fw_receipt_hash(facts, &hash, error));
    fw_status status = find_kept(r, json_object_get(facts, "event"), &hash, envelope, error);
    return status == FW_NOT_FOUND ? make(r, facts, &hash, envelope, error) : status;
}

fw_status fw_receipts_of(const fw_receipts *r, int64_t event, char **envelope, fw_error *error) {
    json_t *facts = NULL;
    FW_TRY(fw_receipt_facts_read(r, event, &facts, error));
    pthread_mutex_lock(&making);
    fw_status status = kept_or_made(r, facts, envelope, error);
    pthread_mutex_unlock(&making);
    json_decref(facts);
    return status;
}

/* ---- its pictures ---- */

/* JSON null without one. */
static json_t *or_null(json_t *value) {
    return value ? json_incref(value) : json_null();
}

static fw_status draw(const fw_receipts *r, const json_t *facts, char **json, fw_error *error) {
    const json_t *try = NULL;
    proof p = {0}, again = {0};
    json_t *picture = NULL, *pictures = json_array();
    fw_status status = choose(r, facts, &try, &p, error);
    if (status == FW_OK && p.json) status = drive_try(r, facts, try, &again, &picture, error);
    if (picture) json_array_append_new(pictures, picture);
    json_t *why = p.json ? json_null() : json_string(p.why[0] ? p.why : "no model yet that could drive it");
    json_t *all = json_pack("{s:o, s:o, s:o}", "proof", or_null(again.json), "replays", pictures, "why", why);
    char *out = status == FW_OK && all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    json_decref(again.json);
    json_decref(p.json);
    if (status == FW_OK && !out) return fw_fail(error, FW_NO_MEMORY, "no memory for a replay");
    if (status == FW_OK) *json = out;
    return status;
}

fw_status fw_receipts_replay(const fw_receipts *r, int64_t event, char **json, fw_error *error) {
    json_t *facts = NULL;
    FW_TRY(fw_receipt_facts_read(r, event, &facts, error));
    pthread_mutex_lock(&making);
    fw_status status = draw(r, facts, json, error);
    pthread_mutex_unlock(&making);
    json_decref(facts);
    return status;
}
