/* campaign.h - what the factory asks units to capture: a condition over channels, seconds before and
 * after it, a budget, an expiry. Written by people as JSON, checked and compiled once by whoever
 * takes it (factory and unit alike), then run every tick without a heap.
 *
 *   JSON --fw_campaign_parse--> fw_campaign (const, no pointers: fits a slot of shared memory)
 *                                  |  + fw_campaign_state (changes, one per campaign and unit)
 *   signals of a tick (T) --fw_campaign_step--> triggered?
 *
 *   {"id": "hard-brakes", "line": "driving", "when": "rising(/action.accel_mps2 < -4)",
 *    "before_s": 10, "after_s": 5, "sample": 1, "priority": 50, "cooldown_s": 0,
 *    "budget_bytes": 10485760, "budget_count": 100, "expires_ns": 0, "units": ["0", "7"]}
 *
 * Only id and when are needed; page: docs/formats/campaign.md, schema: campaign.schema.json there. The
 * condition:
 *
 *   condition  = or ;  or = and { "or" and } ;  and = not { "and" not } ;  not = [ "not" ] test
 *   test       = sum ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum
 *              | "rising(" condition ")"        true in the tick in which it becomes true
 *              | "held(" condition "," s ")"    true while it has been true for at least s seconds
 *              | "(" condition ")"  | signal    a signal alone: it is there and not 0
 *   sum        = number-expression { ( "+" | "-" ) number-expression }
 *   number-expression = number | signal | "rate(" signal ")" (change per second) | "abs(" sum ")"
 *              | "-" number-expression | "(" sum ")"
 *   signal     = "/topic.field" as the line lists them (fw_drive_signals for driving)
 *
 * A signal that is absent in a tick is NaN, and so is what is computed from it: every comparison with
 * it is false ("!=" too). In the first tick of a drive, and in the first one after a gap (over
 * FW_CAMPAIGN_GAP_MS, or a clock that stood or went back), there is no tick before: rate() is NaN,
 * rising() is false, held() begins anew.
 *
 * When it triggers: in every tick in which the condition is true, less what the rest takes away.
 * Ticks in a row are one trigger (its window grows with it); with a cooldown a trigger is one tick,
 * and the next comes when the cooldown is over. "sample" throws its dice once a trigger. Expiry
 * and the budget of bytes also end a trigger that goes on; the budget of captures lets it finish.
 *
 *    condition   ___/^^^^\______/^\____    cooldown 0: 2 triggers, of 5 and 2 ticks
 *    step              ^^^^^      ^^
 *
 * Invariants: (1) a compiled campaign never fails: sizes, stack depth and indexes were checked;
 * (2) step allocates nothing and takes at most FW_CAMPAIGN_OPS_MAX operations; (3) the same signals
 * give the same triggers: sampling is by hash of (id, unit, count of triggers), not by a clock;
 * (4) the memories follow the condition in every step, whatever budgets, cooldown and expiry say.
 *
 * Files: parse.c (JSON), compile.c (condition -> operations, ops.h), run.c (step).
 */
#ifndef FW_CAMPAIGN_CAMPAIGN_H
#define FW_CAMPAIGN_CAMPAIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    FW_CAMPAIGN_ID_MAX = 64,      /* with its end: a-z A-Z 0-9, then also . _ - */
    FW_CAMPAIGN_JSON_MAX = 16384, /* bytes of its JSON */
    FW_CAMPAIGN_WHEN_MAX = 2048,  /* bytes of its condition */
    FW_CAMPAIGN_OPS_MAX = 64,
    FW_CAMPAIGN_STACK_MAX = 16,
    FW_CAMPAIGN_MEMORIES_MAX = 16, /* rising, held and rate in one condition */
    FW_CAMPAIGN_SIGNALS_MAX = 64,  /* of a line */
    FW_CAMPAIGN_UNITS_MAX = 64,
    FW_CAMPAIGN_UNIT_MAX = 32, /* a unit's name with its end: a-z A-Z 0-9 . _ - */
    FW_CAMPAIGN_BEFORE_MAX_S = 60,
    FW_CAMPAIGN_AFTER_MAX_S = 60,
    FW_CAMPAIGN_HELD_MAX_S = 3600,
    FW_CAMPAIGN_COOLDOWN_MAX_S = 86400,
    FW_CAMPAIGN_PRIORITY_MAX = 100,
    FW_CAMPAIGN_GAP_MS = 1000, /* ticks further apart have nothing between them */
    FW_CAMPAIGNS_MAX = 16, /* at once on a unit */
};

/* What a line offers to conditions: names by index. */
typedef struct fw_campaign_signals {
    const char *line;         /* "driving"; a campaign of another line is refused */
    const char *const *names; /* (count) "/ego.speed_mps" ... */
    uint32_t count;
} fw_campaign_signals;

typedef struct fw_campaign_op {
    uint16_t kind;  /* ops.h */
    uint16_t index; /* of the signal or the memory */
    float number;
} fw_campaign_op;

/* Compiled; no pointers. */
typedef struct fw_campaign {
    char id[FW_CAMPAIGN_ID_MAX];
    float before_s, after_s;
    float sample;       /* share of triggers captured, (0, 1] */
    float cooldown_s;   /* no new trigger within it after one */
    uint32_t priority;  /* 0 to 100: order of upload, and what outlives what in the spool */
    uint64_t budget_bytes, budget_count; /* a unit's; 0: none */
    int64_t expires_ns;                  /* wall clock; 0: never */
    uint32_t op_count, memory_count;
    fw_campaign_op ops[FW_CAMPAIGN_OPS_MAX];
} fw_campaign;

/* Zero it when a unit takes the campaign. The caller counts captures (when it opens a file for a
 * trigger) and captured_bytes (as it writes it); step only compares them with the budgets. */
typedef struct fw_campaign_state {
    uint64_t captures, captured_bytes; /* the caller's; since the unit started with it */
    uint64_t triggers;                 /* step's: also those not sampled */
    int64_t last_trigger_ns;           /* of the newest trigger's newest tick */
    bool primed; /* memories hold the tick before */
    bool going;  /* the tick before was one of the newest trigger */
    bool chosen; /* the newest trigger's dice */
    int64_t time_ns;
    double memories[FW_CAMPAIGN_MEMORIES_MAX];
} fw_campaign_state;

/* Parses, checks and compiles. FW_INVALID with a line that names the field, or the condition's column
 * (bytes from 1). unit NULL: for any; else *wanted (may be NULL) says whether this unit is among
 * "units". *out and *wanted stay untouched on failure. */
fw_status fw_campaign_parse(const char *json, size_t size_bytes,
                            const fw_campaign_signals *signals, const char *unit,
                            fw_campaign *out, bool *wanted, fw_error *error) FW_MUST;

/* Forgets the tick before: at the start of a drive. Counts stay. */
void fw_campaign_restart(fw_campaign_state *state);
/* One tick: true when it triggers (sample, cooldown, budgets and expiry already applied). signals:
 * (count) values in the line's order, NaN where absent. time_ns: the line's time (simulated in
 * lockstep); wall_ns only for the expiry. */
/* unit: its name, for the dice. */
bool fw_campaign_step(const fw_campaign *campaign, fw_campaign_state *state, const char *unit,
                      const double *signals, int64_t time_ns, int64_t wall_ns);

#endif
