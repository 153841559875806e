/* experiment_drill.h - what the gate does when something is wrong, on a finished experiment's first seed.
 *
 *   snapshot of loop's last generation --copy--> factory --something wrong--> POST /v1/generations
 *                                                    --> training, gate --> decision, and two sealed exams
 *
 *   stale    nothing new came in: the generation trains on the data set of the one before
 *   poison   as many falsified windows as there are real ones to train on: every road user is mirrored to the other
 *            side of the car, red lights are green and green ones red (held-out units stay honest)
 *
 * Held: the gate refused, or what it let through is not worse in the sealed city than the champion by more than
 * 5 points. Otherwise the drill says that it was not held, and the command ends with status 1.
 */
#ifndef FW_CLI_EXPERIMENT_DRILL_H
#define FW_CLI_EXPERIMENT_DRILL_H

#include "cli/experiment.h"
#include "lines/driving/learn/recording.h"

/* Runs one; *out: {"drill", "decision", "reason", "falsified", "new_recordings", "champion_clean",
 * "candidate_clean", "held"}, owned by the caller. FW_NOT_FOUND: the experiment is not finished. FW_INVALID: no
 * such drill. */
fw_status fw_experiment_drill(const fw_experiment *e, const char *name, json_t **out, fw_error *error) FW_MUST;

/* A recording with its content falsified as above, as a file in memory; *bytes is malloc'd, the caller frees
 * it. */
fw_status fw_experiment_falsify(const fw_drive_recording *recording, char **bytes, size_t *size_bytes,
                                fw_error *error) FW_MUST;

#endif
