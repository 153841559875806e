/* experiment.h - `flywheel experiment`: is the loop the cause? Three arms live through the same worlds.
 *
 *   seed S   first ---> frozen 2 ---> frozen 3 ---> ...   drives the first model for ever
 *            (random    random 2 ---> random 3 ---> ...   recordings chosen at random on the unit
 *             choice)   loop   2 ---> loop   3 ---> ...   recordings that the unit's triggers chose
 *                            '--bytes--> random 2         random may upload what loop uploaded, no more
 *
 *   a cell = (seed, arm, generation):
 *     world of (seed, generation), the same for all arms --> drive, scored by the world's own truth
 *        --> captures (the arm's choice) --> factory: data set, training, gate --> model
 *        --> sealed evaluation of the model --> cells/seed-S/ARM/gen-G.json, snapshots/seed-S/ARM/gen-G/
 *
 *    DIR/experiment.json   what results depend on; another start must say the same
 *    DIR/cells/            one result a cell, written at its end and never again
 *    DIR/snapshots/        the factory's data as each cell left it: the next cell begins with a copy
 *    DIR/running/          cells in hand; nothing in it is needed again
 *    DIR/exam/             the examiner's store         DIR/logs/   one log a cell
 *    DIR/report.json, report.md, report.svg
 *
 * Arms. Generation 1 is shared: the fleet drives the rule `constant`, windows chosen at random are
 * uploaded, and the first model is trained from nothing. From generation 2 on, loop and random train on
 * what they uploaded so far and start from their champion, with equal agent-steps; frozen trains
 * nothing. Nothing but the chosen windows leaves a unit (--record campaigns). Units with number % 4 == 3
 * are held out for the gate in every arm.
 *
 * Equal bytes. random's share of moments is set so that its uploads since generation 2 come to what
 * loop's came to by the end of the same generation; single generations differ by a window or two
 * (windows are whole), and what is missing or too much is made up for in the next. Both sums are reported.
 *
 * Invariants: (1) a cell's result depends on the settings alone, not on the time, the machine's load, the
 * other cells in hand or how often the run was killed; (2) a cell is done when its JSON is there; (3) the
 * sealed evaluation never reaches a factory; (4) the living phase of a generation is scored before
 * anything of it is learned from; (5) a cell whose processes died on the way is done again, and one that
 * keeps failing fails the experiment: no result rests on a fault.
 *
 * Files (all experiment_*.c): plan which cells there are and what each waits for; shifts what changes on the way;
 * run cells as child processes, side by side; cell one cell; place its folder and processes; choose what leaves
 * the unit; exam and scenes the sealed evaluation; fix windows driven again; figures, fixes and report cells into
 * figures; table, words and draw figures for people; drill, falsify and copycat what the gate must stop.
 */
#ifndef FW_CLI_EXPERIMENT_H
#define FW_CLI_EXPERIMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/file.h"
#include "base/status.h"

enum {
    FW_EXPERIMENT_FORMAT = 1,
    FW_EXPERIMENT_SEEDS_MAX = 32,
    FW_EXPERIMENT_GENERATIONS_MAX = 32,
    FW_EXPERIMENT_JOBS_MAX = 16,
    FW_EXPERIMENT_RUNS_MAX = 64,
    FW_EXPERIMENT_TRIES = 3, /* of one cell */
    FW_EXPERIMENT_NAME_MAX = 64,
};

/* A window: seconds before and after what triggered it. */
#define FW_EXPERIMENT_BEFORE_S 8
#define FW_EXPERIMENT_AFTER_S 4

typedef enum fw_experiment_arm {
    FW_EXPERIMENT_FIRST, /* generation 1 of every arm */
    FW_EXPERIMENT_FROZEN,
    FW_EXPERIMENT_LOOP,
    FW_EXPERIMENT_RANDOM,
    FW_EXPERIMENT_ARMS
} fw_experiment_arm;
extern const char *const fw_experiment_arm_names[FW_EXPERIMENT_ARMS];

/* Everything that a result depends on, beside the programs. */
typedef struct fw_experiment_settings {
    uint64_t seed, seeds, generations, cars, ticks, agent_steps, exam_drives, exam_runs, share_percent;
    bool short_form; /* a smoke test: claims nothing */
    char shifts[200]; /* "" or "3:demand 2; 4:kind van:0.3": what changes, from which generation on */
    char suite[FW_PATH_MAX]; /* of sealed scenes (a file of `flywheel suite`), or "" */
} fw_experiment_settings;

typedef struct fw_experiment {
    fw_experiment_settings set;
    uint64_t jobs;
    char root[FW_PATH_MAX]; /* DIR, absolute */
    char program[FW_PATH_MAX], unit_program[FW_PATH_MAX], world_program[FW_PATH_MAX];
} fw_experiment;

typedef struct fw_experiment_cell {
    uint64_t seed, generation; /* from 1 */
    fw_experiment_arm arm;
} fw_experiment_cell;

/* ---- experiment_plan.c ---- */

/* Cells in the order of work. */
uint32_t fw_experiment_cells(const fw_experiment *e);
fw_experiment_cell fw_experiment_cell_at(const fw_experiment *e, uint32_t index);
/* "seed-1/loop/gen-3", and back. FW_INVALID: no cell of this experiment. */
void fw_experiment_cell_name(const fw_experiment_cell *cell, char out[FW_EXPERIMENT_NAME_MAX]);
fw_status fw_experiment_cell_parse(const fw_experiment *e, const char *name, fw_experiment_cell *out,
                                   fw_error *error) FW_MUST;
/* The cell whose factory this one goes on with; false: it begins with an empty one. */
bool fw_experiment_parent(const fw_experiment_cell *cell, fw_experiment_cell *out);
bool fw_experiment_done(const fw_experiment *e, const fw_experiment_cell *cell);
/* Everything it needs is done. */
bool fw_experiment_ready(const fw_experiment *e, const fw_experiment_cell *cell);
void fw_experiment_result_path(const fw_experiment *e, const fw_experiment_cell *cell, char out[FW_PATH_MAX]);
void fw_experiment_snapshot_path(const fw_experiment *e, const fw_experiment_cell *cell,
                                 char out[FW_PATH_MAX]);
/* A done cell's result; owned by the caller. */
fw_status fw_experiment_result(const fw_experiment *e, const fw_experiment_cell *cell, json_t **out,
                               fw_error *error) FW_MUST;

/* ---- experiment_shifts.c ---- */

/* A change of the city that stays: conditions as worlds/sumo/conditions.h has them. */
typedef struct fw_experiment_shift {
    uint64_t generation; /* its living phase is the first */
    char conditions[60];
} fw_experiment_shift;
enum { FW_EXPERIMENT_SHIFTS_MAX = 8 };
/* The settings' shifts, by generation. FW_INVALID with what would be right. */
fw_status fw_experiment_shifts(const fw_experiment_settings *s, fw_experiment_shift out[FW_EXPERIMENT_SHIFTS_MAX],
                               uint32_t *count, fw_error *error) FW_MUST;
/* The city of a generation: all shifts so far, as --conditions takes them; "" as measured. */
void fw_experiment_conditions(const fw_experiment_settings *s, uint64_t generation, char out[200]);

/* ---- experiment_run.c ---- */

/* Works until every cell is done. FW_INTERRUPTED on Ctrl-C: cells in hand are given up, and done again by
 * the next start. */
fw_status fw_experiment_run(const fw_experiment *e, fw_error *error) FW_MUST;

/* ---- experiment_cell.c ---- */

/* Does one cell, in this process; its result is durable when this returns FW_OK. */
fw_status fw_experiment_cell_run(const fw_experiment *e, const fw_experiment_cell *cell,
                                 fw_error *error) FW_MUST;

/* ---- experiment_report.c ---- */

/* The figures of all cells that are done; owned by the caller. Same cells, same report. */
fw_status fw_experiment_report(const fw_experiment *e, json_t **out, fw_error *error) FW_MUST;
/* experiment_table.c: as tables, led by experiment_words.c: as sentences; experiment_draw.c: as a picture (SVG). */
void fw_experiment_print(const json_t *report, FILE *out);
void fw_experiment_say(const json_t *report, FILE *out);
void fw_experiment_draw(const json_t *report, FILE *out);

#endif
