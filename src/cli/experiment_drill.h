/* experiment_drill.h - what the gate does when something is wrong, on a finished experiment's first seed.
 *
 *   snapshot of loop's last generation --copy--> factory --something wrong--> POST /v1/generations
 *      |                                             --> training, gate --> decision; what came through is examined
 *      '--held-out recordings, champion--> gate <-- a candidate made to look good
 *
 *   stale         nothing new came in: the generation trains on the data set of the one before
 *   poison        as many falsified windows as there are real ones to train on: every road user is mirrored to the
 *                 other side of the car, red lights are green and green ones red (held-out units stay honest)
 *   offline-good  the copycat: a network that keeps the acceleration it has, and the lane. A log's ticks follow one
 *                 another, so that nothing is nearer to what was logged next (de Haan et al., Causal Confusion in
 *                 Imitation Learning, 2019); driving, it never begins to brake. Made by hand, the same each time,
 *                 and handed to fw_driving_gate beside the champion
 *
 * Held: the gate refused, or what it let through is not worse in the sealed cities than the champion by more than
 * 5 points (only then is a sealed exam taken; the champion's is in its cell; without the exam it is not judged). offline-good: refused, though at least as
 * near to the log as the champion. Otherwise the drill says that it was not held, and the command ends with status 1.
 */
#ifndef FW_CLI_EXPERIMENT_DRILL_H
#define FW_CLI_EXPERIMENT_DRILL_H

#include "cli/experiment.h"
#include "lines/driving/learn/recording.h"

/* Runs one; *out: {"drill", "decision", "reason", "champion_clean", "candidate_clean", "held"} and, for stale and
 * poison, {"falsified", "new_recordings"}: clean shares of sealed drives, null where none was driven; for offline-good
 * {"offline_ticks", "champion_offline_mps2", "candidate_offline_mps2", "offline_good", "gate_drives"}: clean shares of
 * the gate's drives. held is null where what was let through is not examined. The caller owns it. FW_NOT_FOUND: the experiment is not finished. FW_INVALID: no such drill. */
fw_status fw_experiment_drill(const fw_experiment *e, const char *name, bool examine, json_t **out,
                              fw_error *error) FW_MUST;
void fw_experiment_drill_print(const json_t *result, FILE *out);

/* ---- experiment_falsify.c ---- */

/* A unit sees a window of its route, a recording keeps the whole of it: puts the window into a recorded tick. */
void fw_experiment_give_path(const fw_drive_recording *recording, fw_drive_obs *obs);

/* A recording with its content falsified as above, as a file in memory; *bytes is malloc'd, the caller frees
 * it. */
fw_status fw_experiment_falsify(const fw_drive_recording *recording, char **bytes, size_t *size_bytes,
                                fw_error *error) FW_MUST;

/* ---- experiment_copycat.c ---- */

/* Writes the copycat as a model file. Same bytes each time. */
fw_status fw_experiment_copycat(const char *path, fw_error *error) FW_MUST;

typedef struct fw_experiment_offline {
    uint64_t ticks;
    double error_mps2; /* mean distance between a model's acceleration and the one that was decided then */
} fw_experiment_offline;
/* A model on what was observed, without driving; the log's policy as the label, before any guard. FW_INVALID: there
 * is no tick. */
fw_status fw_experiment_offline_of(const char *model_path, const char *const *recordings, uint32_t count,
                                   fw_experiment_offline *out, fw_error *error) FW_MUST;

#endif
