#include "factory/gate/ledger.h"

#include <stdlib.h>
#include <string.h>

/* ---- the next decision ---- */

/* Where the book stands. */
typedef struct page {
    bool found;
    int64_t epoch, place, since, newest;
} page;

static bool take_page(void *self, sqlite3_stmt *row) {
    page *p = self;
    *p = (page){.found = true,
                .epoch = sqlite3_column_int64(row, 0),
                .place = sqlite3_column_int64(row, 1),
                .since = sqlite3_column_int64(row, 2),
                .newest = sqlite3_column_int64(row, 3)};
    return false;
}

static fw_status last_page(sqlite3 *db, page *out, fw_error *error) {
    return fw_db_each(db, error, take_page, out,
                      "SELECT epoch,place,json_extract(record,'$.ledger.since'),json_extract(record,'$.ledger.newest') "
                      "FROM gate_decisions ORDER BY n DESC LIMIT 1",
                      "");
}

static fw_status sequence_of(sqlite3 *db, const char *sha256, int64_t *out, fw_error *error) {
    return fw_db_int(db, error, out, "SELECT sequence FROM objects WHERE sha256=?", "t", sha256);
}

typedef struct arrivals {
    int64_t newest, behind; /* the last one's number; how many came behind `newest` of the epoch's first decision */
} arrivals;

static fw_status look_at(sqlite3 *db, const json_t *held_out, int64_t than, arrivals *out, fw_error *error) {
    const json_t *hash = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)held_out, i, hash) {
        int64_t sequence = 0;
        FW_TRY(sequence_of(db, json_string_value(hash), &sequence, error));
        if (sequence > out->newest) out->newest = sequence;
        out->behind += sequence > than;
    }
    return FW_OK;
}

/* Leaves those that came behind `since`. */
static fw_status take_out(sqlite3 *db, json_t *held_out, int64_t since, fw_error *error) {
    for (size_t i = json_array_size(held_out); i > 0; i--) {
        int64_t sequence = 0;
        FW_TRY(sequence_of(db, json_string_value(json_array_get(held_out, i - 1)), &sequence, error));
        if (sequence <= since) json_array_remove(held_out, i - 1);
    }
    return FW_OK;
}

static fw_status name_suite(const json_t *held_out, fw_gate_plan *plan, fw_error *error) {
    const size_t count = json_array_size(held_out);
    const char **hashes = calloc(count + 1, sizeof *hashes);
    if (!hashes) return fw_fail(error, FW_NO_MEMORY, "no memory for a suite");
    for (size_t i = 0; i < count; i++) hashes[i] = json_string_value(json_array_get(held_out, i));
    memcpy(plan->suite, fw_gate_suite(hashes, count).hex, sizeof plan->suite);
    free(hashes);
    return FW_OK;
}

fw_status fw_gate_turn_next(sqlite3 *db, json_t *held_out, fw_gate_turn *out, fw_error *error) {
    page last = {0};
    arrivals a = {0};
    int64_t promotions = 0;
    FW_TRY(last_page(db, &last, error));
    FW_TRY(look_at(db, held_out, last.newest, &a, error));
    const bool renewed = last.found && a.behind >= FW_GATE_FRESH;
    fw_gate_turn turn = {.plan = fw_gate_usual, .since = 0, .newest = a.newest};
    if (renewed) turn.plan.epoch = (uint32_t)last.epoch + 1, turn.since = last.newest;
    else if (last.found) {
        turn.plan.epoch = (uint32_t)last.epoch, turn.plan.place = (uint32_t)last.place + 1;
        turn.since = last.since, turn.newest = last.newest;
        FW_TRY(fw_db_int(db, error, &promotions, "SELECT count(*) FROM gate_decisions WHERE epoch=? AND promoted", "i",
                         last.epoch));
    }
    turn.plan.promotions = (uint32_t)promotions;
    FW_TRY(take_out(db, held_out, turn.since, error));
    FW_TRY(name_suite(held_out, &turn.plan, error));
    *out = turn;
    return FW_OK;
}

/* ---- a turn as JSON ---- */

json_t *fw_gate_turn_json(const fw_gate_turn *t) {
    return json_pack("{s:s,s:i,s:i,s:i,s:I,s:I}", "suite", t->plan.suite, "epoch", (int)t->plan.epoch, "place",
                     (int)t->plan.place, "promotions", (int)t->plan.promotions, "since", (json_int_t)t->since, "newest",
                     (json_int_t)t->newest);
}

fw_status fw_gate_turn_read(const json_t *json, fw_gate_turn *out, fw_error *error) {
    fw_gate_turn turn = {.plan = fw_gate_usual};
    const char *suite = json_string_value(json_object_get(json, "suite"));
    const json_int_t epoch = json_integer_value(json_object_get(json, "epoch"));
    const json_int_t place = json_integer_value(json_object_get(json, "place"));
    const json_int_t promotions = json_integer_value(json_object_get(json, "promotions"));
    if (!suite || !fw_hash_valid(suite) || epoch < 1 || epoch > INT32_MAX || place < 1 || place > INT32_MAX ||
        promotions < 0 || promotions > place)
        return fw_fail(error, FW_CORRUPT, "the gate's input names no suite, epoch and place");
    memcpy(turn.plan.suite, suite, sizeof turn.plan.suite);
    turn.plan.epoch = (uint32_t)epoch, turn.plan.place = (uint32_t)place, turn.plan.promotions = (uint32_t)promotions;
    turn.since = json_integer_value(json_object_get(json, "since"));
    turn.newest = json_integer_value(json_object_get(json, "newest"));
    *out = turn;
    return FW_OK;
}

/* ---- what was decided ---- */

static double number_in(const json_t *object, const char *group, const char *name) {
    return json_number_value(json_object_get(json_object_get(object, group), name));
}

static fw_status insert(sqlite3 *db, const fw_gate_decision *d, const fw_gate_turn *turn, const char *text,
                        fw_error *error) {
    const json_t *r = d->record;
    return fw_db_run(db, error,
                     "INSERT INTO gate_decisions(generation,champion,candidate,suite,epoch,place,alpha,beta,log_e,promoted,"
                     "reason,record,time_ns) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
                     "itttiiddditti", d->generation, d->champion, d->candidate, turn->plan.suite,
                     (int64_t)turn->plan.epoch, (int64_t)turn->plan.place, number_in(r, "hypotheses", "alpha_t"),
                     number_in(r, "hypotheses", "beta"), number_in(r, "primary", "log_e"),
                     (int64_t)json_is_true(json_object_get(r, "promote")),
                     json_string_value(json_object_get(r, "reason")), text, d->time_ns);
}

fw_status fw_gate_ledger_add(sqlite3 *db, const fw_gate_decision *d, fw_error *error) {
    fw_gate_turn turn;
    FW_TRY(fw_gate_turn_read(d->turn, &turn, error));
    if (!json_string_value(json_object_get(d->record, "reason")) || !json_is_object(json_object_get(d->record, "primary")))
        return fw_fail(error, FW_CORRUPT, "the gate's record is not whole");
    json_t *whole = json_copy((json_t *)(uintptr_t)d->record);
    if (whole) json_object_set(whole, "ledger", (json_t *)(uintptr_t)d->turn);
    char *text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
    json_decref(whole);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for the gate's record");
    fw_status status = insert(db, d, &turn, text, error);
    free(text);
    return status;
}

#define DECISION_SQL                                                                                              \
    "'n',n,'generation',generation,'champion',champion,'candidate',candidate,'suite',suite,'epoch',epoch,'place',place," \
    "'alpha',alpha,'beta',beta,'log_e',log_e,'promoted',json(iif(promoted,'true','false')),'reason',reason,"      \
    "'time_ns',time_ns"

fw_status fw_gate_ledger_json(fw_catalogue *catalogue, char **json, fw_error *error) {
    return fw_catalogue_json(catalogue, json, error,
                             "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object(" DECISION_SQL
                             ") j FROM gate_decisions ORDER BY n DESC LIMIT 1000)");
}

fw_status fw_gate_ledger_json_of(fw_catalogue *catalogue, int64_t n, char **json, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_text(db, error, json,
                                  "SELECT json_object(" DECISION_SQL ",'record',json(record)) FROM gate_decisions WHERE n=?",
                                  "i", n);
    fw_catalogue_read_end(catalogue);
    return status == FW_NOT_FOUND ? fw_fail(error, status, "no decision %lld", (long long)n) : status;
}
