/* ledger.h - the gate's book: which suite a decision is made on, what it may spend, and what was decided.
 *
 *   gate_decisions   n | generation champion candidate | suite epoch place | alpha beta log_e | promoted reason record
 *
 *   held-out recordings, by the order they came (objects.sequence)
 *   ... o o o o o | o o o o o o o o o o o o o o o o ...
 *        old ones  `since     epoch's first decision ^`newest       more than FW_GATE_FRESH behind newest:
 *                   the suite of a decision: those of its data set behind `since`      the next epoch, since := newest
 *
 * Places, levels and why an epoch ends: gate/alpha.h. A decision is written in the transaction that moves its
 * generation, so that no decision is forgotten and none is counted twice.
 *
 * Invariants: (1) place grows by one within an epoch; (2) no recording of a suite came before its epoch's `since`;
 * (3) a row is never changed.
 */
#ifndef FW_FACTORY_GATE_LEDGER_H
#define FW_FACTORY_GATE_LEDGER_H

#include <jansson.h>

#include "factory/catalogue/catalogue.h"
#include "factory/catalogue/db.h"
#include "gate/gate.h"

/* A decision about to be made. */
typedef struct fw_gate_turn {
    fw_gate_plan plan;
    int64_t since, newest; /* sequence numbers, see above */
} fw_gate_turn;

/* held_out: JSON array of the data set's held-out recordings' hashes; those that are not of the suite are taken out. */
fw_status fw_gate_turn_next(sqlite3 *db, json_t *held_out, fw_gate_turn *out, fw_error *error) FW_MUST;
/* As the job reads it, and back; FW_CORRUPT. */
json_t *fw_gate_turn_json(const fw_gate_turn *turn);
fw_status fw_gate_turn_read(const json_t *json, fw_gate_turn *out, fw_error *error) FW_MUST;

typedef struct fw_gate_decision {
    int64_t generation, time_ns;
    const char *champion, *candidate;
    const json_t *turn, *record; /* of the job's result */
} fw_gate_decision;
/* Inside a transaction. A record without the fields is FW_CORRUPT. */
fw_status fw_gate_ledger_add(sqlite3 *db, const fw_gate_decision *decision, fw_error *error) FW_MUST;

/* All rows without their records, newest first, or one with its record (FW_NOT_FOUND): JSON text, malloc'd. */
fw_status fw_gate_ledger_json(fw_catalogue *catalogue, char **json, fw_error *error) FW_MUST;
fw_status fw_gate_ledger_json_of(fw_catalogue *catalogue, int64_t n, char **json, fw_error *error) FW_MUST;

#endif
