/* demo.h - `flywheel demo`, the thin conductor: it starts everything, keeps it alive, and joins the
 * reports. It decides nothing about learning.
 *
 *    DIR/exam/        the examiner's store, shared by all runs (results are cached by hash)
 *    DIR/demo.json    format of this folder, seed, cars
 *    DIR/factory/     the factory's data         DIR/headless/  the same three for a headless run,
 *    DIR/units/<n>/   each unit's spool                         made new each time
 *    DIR/logs/        one log a child
 *    DIR/models/      model files handed to the examiner
 *
 * One phase of the loop in lockstep:
 *
 *    run T ticks -> all closed recordings acked -> POST /v1/generations -> curate, train, gate
 *       ^                                                                        |
 *       +--- done <- ring by ring: its units have staged it -> "go" -> a look  <---+  (if promoted; rollout.h)
 *
 * Invariants: (1) children never outlive the conductor; (2) one that dies is started again, until
 * FW_DEMO_DEATHS_MAX; (3) the world's truth and the exams go into the report and nowhere else;
 * (4) a phase ends only when every recording closed in it is durable in the factory.
 */
#ifndef FW_CLI_DEMO_H
#define FW_CLI_DEMO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/demo_exam.h"
#include "cli/demo_factory.h"
#include "cli/demo_lines.h"

enum {
    FW_DEMO_UNITS_MIN = 4, /* unit 3 is the first held-out one: number % 4 == 3 */
    FW_DEMO_UNITS_MAX = 64,
    FW_DEMO_FORMAT = 2, /* 2: models of features version 2 */
    FW_DEMO_DEATHS_MAX = 20, /* of one child, in one run of the conductor */
    FW_DEMO_ROLLOUT_TICKS = 10, /* in which all that are to swap do */
    FW_DEMO_RING_TICKS = 60,    /* and then live with the new model, before the next ring */
};

typedef struct fw_demo_options {
    const char *data, *report, *listen, *exam_store;
    uint64_t seed, cars, generations, exam_drives, ticks, agent_steps, disk_cap_bytes;
    bool headless, realtime, no_browser;
    /* Of an experiment (experiment.h); a demonstration leaves them 0. */
    const char *network;                        /* NULL: acosta */
    const char *const *world_words, *const *unit_words; /* more arguments, NULL-terminated, or NULL */
    uint64_t factory_threads;                   /* 0: as many as there are cores */
    bool no_examiner;                           /* nobody looks at its page */
    bool parked; /* no tick passes while a model rolls out: units swap between two ticks anyway */
} fw_demo_options;

typedef struct fw_demo {
    const fw_demo_options *options;
    char base[FW_PATH_MAX];  /* DIR, or DIR/headless */
    char store[FW_PATH_MAX]; /* the examiner's */
    char bus[FW_PATH_MAX];
    char logs[FW_PATH_MAX], models[FW_PATH_MAX];
    char serve_program[FW_PATH_MAX], unit_program[FW_PATH_MAX], world_program[FW_PATH_MAX];
    char exam_listen[80];
    fw_demo_factory factory, examiner; /* both as HTTP clients, one connection each */
    fw_child serve, door, world, unit[FW_DEMO_UNITS_MAX];
    uint32_t deaths_serve, deaths_door, deaths_world, deaths_unit[FW_DEMO_UNITS_MAX];
    fw_demo_lines lines;      /* of the world */
    bool world_ready;
    uint32_t first_phase;     /* generations done before this start */
    /* recordings closed and arrived since this start, and the unit's own count when last seen */
    uint64_t expected[FW_DEMO_UNITS_MAX], arrived[FW_DEMO_UNITS_MAX], counted[FW_DEMO_UNITS_MAX];
    uint64_t lost_bytes[FW_DEMO_UNITS_MAX]; /* of each unit, when last seen */
    json_int_t sequence; /* of the newest recording seen in the catalogue */
    json_t *paused;           /* the world's last "paused" line; owned */
    /* faults: restarts of children and of SUMO, units cut off by the world, spools that
     * overflowed, waits given up. 0 means
     * that no wall clock had a say, so that equal seeds give equal figures in lockstep. */
    uint32_t sumo_restarts, faults;
    /* vetoes and ticks by the model that drove: summed for the report */
    json_t *veto_by_model;    /* {hash: [vetoes, ticks]}; owned */
    json_t *truth;            /* sums of the world's "drives"; owned */
    uint64_t ticks_total, misses; /* misses: realtime, answers after their tick */
    fw_demo_exams *background; /* exams that go on beside the loop, or NULL */
    bool baselines_queued;     /* among them, once a start */
} fw_demo;

/* A person or a service asked to stop. */
bool fw_demo_stopping(void);
void fw_demo_catch_signals(void);

/* demo_fleet.c: the children. */
fw_status fw_demo_start_factory(fw_demo *demo, fw_error *error) FW_MUST;
fw_status fw_demo_start_door(fw_demo *demo, fw_error *error) FW_MUST;
/* World and units; returns when the world has every unit on its bus. */
fw_status fw_demo_start_fleet(fw_demo *demo, fw_error *error) FW_MUST;
/* Starts again whatever died. FW_IO when one died too often; FW_INTERRUPTED on a wish to stop. */
fw_status fw_demo_supervise(fw_demo *demo, fw_error *error) FW_MUST;
/* Lets the world run; *demo->paused is its answer. `close`: recordings are closed at the end. */
fw_status fw_demo_run(fw_demo *demo, uint32_t ticks, bool close, fw_error *error) FW_MUST;
void fw_demo_stop_fleet(fw_demo *demo);
void fw_demo_stop_all(fw_demo *demo);

/* demo_loop.c: the phases. */
/* Registers the generation-0 model unless a champion is there. *hash: the fleet's model. Notes what
 * the catalogue already holds. */
fw_status fw_demo_first_model(fw_demo *demo, fw_hash *hash, fw_error *error) FW_MUST;
/* Seed of phase `index` for training: below 2^31, so that every reader of JSON keeps it exact. */
uint64_t fw_demo_phase_seed(uint64_t seed, uint32_t index);
fw_status fw_demo_wait_staged(fw_demo *demo, const char *model, fw_error *error) FW_MUST;
/* Drives options->ticks ticks; returns when every recording closed in them is durable in the factory. */
fw_status fw_demo_live(fw_demo *demo, fw_error *error) FW_MUST;
/* Curate, train, gate, rollout; *generation is the factory's row of it; owned by the caller. */
fw_status fw_demo_learn(fw_demo *demo, uint64_t seed, json_t **generation, fw_error *error) FW_MUST;
/* Both; *generation has "loop_s" and "drive_s" added; owned by the caller. */
fw_status fw_demo_phase(fw_demo *demo, uint64_t seed, json_t **generation,
                        fw_error *error) FW_MUST;

/* demo_report.c: evidence. */
/* Adds the exams of one policy on both networks: alone, and guarded if asked; `late`: after all
 * that are not. */
void fw_demo_add_exams(fw_demo_exams *exams, const char *policy, const char *label, bool guarded,
                       bool late);
/* {"eval": [...], "eval_guarded": [...]} of a policy, from finished exams; owned by the caller. */
json_t *fw_demo_evals(const fw_demo_exams *exams, const char *policy);
/* "vetoes per tick" of all models, or of one (hash); 0 without ticks. */
double fw_demo_veto_share(const fw_demo *demo, const char *model);
/* The table of a report, its loops, and one line for each claim, computed from its intervals. */
void fw_demo_print_table(FILE *out, const json_t *report);

#endif
