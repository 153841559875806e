/* evaluate.h - private to `flywheel evaluate`: what is asked for, what came of it, and how it is shown.
 *
 *   words --cmd_evaluate.c--> fw_evaluation --evaluate_run.c--> score --+--evaluate_table.c--> stdout, for people
 *                    files and suites --evaluate_files.c-->'            +--evaluate_json.c---> stdout, --json
 *                                                                       +--evaluate_csv.c----> a line for each drive
 */
#ifndef FW_CLI_EVALUATE_H
#define FW_CLI_EVALUATE_H

#include "lines/driving/learn/score/figures.h"

enum { FW_EVALUATE_SOURCES_MAX = 4096, FW_EVALUATE_NONE = -1 };

typedef struct fw_evaluation {
    /* asked for */
    const char *sources[FW_EVALUATE_SOURCES_MAX]; /* suite files, recordings, folders */
    int source_count;
    const char *models[FW_SCORE_DRIVERS_MAX];
    int model_count;
    const char *baselines, *traffics, *against, *csv; /* against NULL: idm, where there is one */
    uint64_t threads, per_group, seed;
    bool guard, slices, json, help;
    /* what came of it */
    fw_driver drivers[FW_SCORE_DRIVERS_MAX];
    uint32_t driver_count;
    int against_row; /* FW_EVALUATE_NONE: no pairs */
    bool traffic[FW_SIM_TRAFFIC_COUNT];
    fw_score_set set;
    fw_score score;
} fw_evaluation;

/* Takes every --model FILE out of the words, for it may be given again and again. */
fw_status fw_evaluate_take_models(int *argc, char **argv, fw_evaluation *e, fw_error *error) FW_MUST;
/* Reads what the sources name into e->set; what a suite says of its files stands in their tags. */
fw_status fw_evaluate_read(fw_evaluation *e, uint32_t threads, fw_score_progress progress, fw_error *error) FW_MUST;
/* Understands the lists among the words: traffics and baselines. FW_INVALID: wrong usage. */
fw_status fw_evaluate_words(fw_evaluation *e, fw_error *error) FW_MUST;
/* Loads the models, reads the scenarios, and drives. */
fw_status fw_evaluate_run(fw_evaluation *e, fw_error *error) FW_MUST;
void fw_evaluate_clear(fw_evaluation *e);

fw_status fw_evaluate_print_tables(const fw_evaluation *e, fw_error *error) FW_MUST;
fw_status fw_evaluate_print_json(const fw_evaluation *e, fw_error *error) FW_MUST;
/* A line for each drive; written durably. */
fw_status fw_evaluate_write_csv(const fw_evaluation *e, fw_error *error) FW_MUST;

/* ---- slices ---- */

typedef struct fw_evaluate_slice {
    const char *kind, *value; /* "site", "US101" */
    fw_figure_slice which;
} fw_evaluate_slice;
enum { FW_EVALUATE_SLICES_MAX = 64 };
/* Those that hold a drive of this traffic, in order of kind, then value; a kind with one value alone has none. */
uint32_t fw_evaluate_slices(const fw_evaluation *e, fw_sim_traffic traffic, fw_evaluate_slice *out);
fw_figures fw_evaluate_figures(const fw_evaluation *e, fw_sim_traffic traffic, const fw_figure_slice *slice);

#endif
