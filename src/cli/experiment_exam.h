/* experiment_exam.h - the sealed evaluation of one model: what a cell is worth.
 *
 * City: `flywheel-world exam` on acosta (streets of the training, hours that no training reaches) and
 * pasubio (never trained on), the policy alone; and acosta under each shift of the
 * settings, also before it comes. In the store DIR/exam: a model that was examined already costs
 * nothing. Scenes of people, with --suite: experiment_scenes.h.
 */
#ifndef FW_CLI_EXPERIMENT_EXAM_H
#define FW_CLI_EXPERIMENT_EXAM_H

#include "cli/experiment.h"

/* *out: array of {"slice", and what the exam says}; owned by the caller. `logs`: a folder for files. */
fw_status fw_experiment_examine(const fw_experiment *e, const char *model_path, const char *logs,
                                json_t **out, fw_error *error) FW_MUST;

#endif
