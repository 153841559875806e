/* experiment_scenes.h - the sealed scenes of people: a suite's drives by one model, by slice.
 *
 * --suite FILE is a suite that training has not seen (docs/formats/suite.md: heldout.json). The model drives
 * every start of every scene alone in reactive traffic; clean is clean goal (docs/metrics.md). Slices: "scenes"
 * (all of them), and in detail "scenes SITE" and "scenes MANOEUVRE". A cluster is an overlap group; groups stand
 * where an exam has its simulation runs.
 */
#ifndef FW_CLI_EXPERIMENT_SCENES_H
#define FW_CLI_EXPERIMENT_SCENES_H

#include "cli/experiment.h"

/* Appends {"slice", "detail", "clean", "per_run": {"drives", "clean"}} of each slice to `list`. */
fw_status fw_experiment_scenes(const fw_experiment *e, const char *model_path, json_t *list,
                               fw_error *error) FW_MUST;

#endif
