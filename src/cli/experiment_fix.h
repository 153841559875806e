/* experiment_fix.h - from a failure to a fleet that passes it.
 *
 *   window --scenario--> driven by the model that drove then --not clean--> a failure, found in generation g
 *                    \-> driven by the model that came out of g, g + 1, ... --clean--> fixed after h - g + 1
 *                                                                                      generations
 *
 * Windows are those that an arm captured, training and held out alike. A window's scenario is driven from
 * every start it has, in reactive traffic, with the guard, as the fleet drives. Clean: every start is. This looks back on
 * recorded moments and promises nothing about new ones: that is the sealed evaluation's part.
 */
#ifndef FW_CLI_EXPERIMENT_FIX_H
#define FW_CLI_EXPERIMENT_FIX_H

#include "cli/demo.h"
#include "cli/experiment.h"

/* Drives the windows of the cell's factory. *out: [{"sha256", "generation", "before": clean by the model that
 * drove (windows of this generation), "after": clean by the model that came out}], by hash; owned by the
 * caller. `folder` takes files. */
fw_status fw_experiment_drive_windows(const fw_experiment_cell *cell, fw_demo *demo, const char *before_path,
                                      const char *after_path, const char *folder, json_t **out,
                                      fw_error *error) FW_MUST;

/* From all done cells of an arm: {"arm", "windows" driven, "failures", "fixed", "median_generations": 1 is by
 * the very next model; null where half of the failures were never fixed}; owned by the caller. */
fw_status fw_experiment_fixes(const fw_experiment *e, fw_experiment_arm arm, json_t **out,
                              fw_error *error) FW_MUST;

#endif
