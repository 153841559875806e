/* demo_exam.h - the conductor's exams: a list of them, carried out by examiner processes.
 *
 * The conductor hands model files to `flywheel-world exam` and takes its JSON results; cached
 * results come back at once. An exam asked for twice is carried out once.
 */
#ifndef FW_CLI_DEMO_EXAM_H
#define FW_CLI_DEMO_EXAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/demo_process.h"

enum { FW_DEMO_EXAMS_MAX = 512, FW_DEMO_EXAM_WORKERS_MAX = 4, FW_DEMO_EXAM_TRIES = 2,
       FW_DEMO_EXAM_RUNS_MAX = 10 };

typedef struct fw_demo_exam {
    char policy[FW_PATH_MAX]; /* a model file, or "sumo" */
    char label[40];
    const char *network; /* static text */
    char conditions[120];  /* of the city (worlds/sumo/conditions.h); "": as measured */
    bool guard;
    bool late; /* due when nothing else is */
    int tries;
    json_t *result; /* owned; NULL until it is done */
} fw_demo_exam;

typedef struct fw_demo_exams {
    /* set by the caller */
    char program[FW_PATH_MAX], store[FW_PATH_MAX], logs[FW_PATH_MAX];
    uint32_t drives, drives_per_run, workers;
    bool low_priority;
    /* its own */
    uint32_t count, done;
    fw_demo_exam list[FW_DEMO_EXAMS_MAX];
    fw_child child[FW_DEMO_EXAM_WORKERS_MAX];
    uint32_t of_child[FW_DEMO_EXAM_WORKERS_MAX]; /* index into list */
} fw_demo_exams;

/* Adds one (or finds the same one, which takes the label if it has none); its index stays valid until
 * fw_demo_exams_clear. label may be NULL. */
uint32_t fw_demo_exams_add(fw_demo_exams *exams, const char *policy, const char *label,
                           const char *network, bool guard);
/* The same in a city under `conditions`. */
uint32_t fw_demo_exams_add_under(fw_demo_exams *exams, const char *policy, const char *label,
                                 const char *network, bool guard, const char *conditions);
/* Collects what is finished and starts what is due; *all_done when nothing is left. Fails when an
 * exam failed FW_DEMO_EXAM_TRIES times. Never waits. */
fw_status fw_demo_exams_pump(fw_demo_exams *exams, bool *all_done, fw_error *error) FW_MUST;
/* Nothing in hand and nothing due: all done, or given up. */
bool fw_demo_exams_idle(const fw_demo_exams *exams);
/* The same, of those that are not late. */
bool fw_demo_exams_only_late(const fw_demo_exams *exams);
void fw_demo_exams_stop(fw_demo_exams *exams);
/* Forgets all exams; none may be in hand. */
void fw_demo_exams_clear(fw_demo_exams *exams);

#endif
