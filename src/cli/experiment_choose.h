/* experiment_choose.h - what leaves a unit: each arm's campaigns.
 *
 *   loop     one campaign a unit: its triggers, first come, a count of windows that no unit exceeds
 *   random   one campaign for all: a draw every second of driving, without looking at what happens
 *   first    as random, for --share-percent of the time driven, and one window of each held-out unit
 *   frozen   none
 *
 * Counts and draws are decided on the unit, by what it lives through alone: so the same cell gives the
 * same captures. (A budget of bytes would end a campaign when they have arrived, which depends on the
 * clock.) A cell begins with units of empty folders, so that nothing of an earlier campaign is left.
 */
#ifndef FW_CLI_EXPERIMENT_CHOOSE_H
#define FW_CLI_EXPERIMENT_CHOOSE_H

#include "cli/demo.h"
#include "cli/experiment.h"

/* Windows that unit `index` may capture in a generation of the loop arm: the fleet's share of the time
 * driven, in equal parts; what does not go round is drawn by (seed, generation). At least one unit that
 * is held out has one. */
uint32_t fw_experiment_windows(const fw_experiment *e, const fw_experiment_cell *cell, uint32_t index);
/* Share of the seconds driven that begin a window in arms first and random, 0 .. 1. */
fw_status fw_experiment_draw_share(const fw_experiment *e, const fw_experiment_cell *cell, double *out,
                                   fw_error *error) FW_MUST;
/* Ends the campaigns of earlier cells and launches this cell's. wanted[i]: unit i has one. */
fw_status fw_experiment_launch(const fw_experiment *e, const fw_experiment_cell *cell,
                               fw_demo *demo, bool wanted[FW_DEMO_UNITS_MAX], fw_error *error) FW_MUST;
/* Waits until every unit that has a campaign has it on disk, and so in force from its next tick on. */
fw_status fw_experiment_wait_launched(fw_demo *demo, const bool wanted[FW_DEMO_UNITS_MAX],
                                      fw_error *error) FW_MUST;

#endif
