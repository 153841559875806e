/* features.h - an observation as the network sees it: FW_FEATURES numbers of order one.
 *
 *   ego 8 | route 17 | leaders 9 | light 6 | meetings 4 x 9 | neighbours 6 x 5
 *
 * A pure function, shared by the unit and by training. Changing it changes what every stored
 * network means: raise FW_FEATURES_VERSION, which stands in each model file's metadata.
 */
#ifndef FW_LINES_DRIVING_FEATURES_H
#define FW_LINES_DRIVING_FEATURES_H

#include "lines/driving/act/view.h"

enum { FW_FEATURES_VERSION = 1, FW_FEATURES = 8 + 17 + 9 + 6 + 4 * 9 + 6 * 5 };

/* The network's outputs: scores of FW_ACCELS accelerations, of FW_STEERS corrections to pure
 * pursuit's curvature, and one value estimate (training only). */
enum { FW_ACCELS = 9, FW_STEERS = 3, FW_VALUE_AT = FW_ACCELS + FW_STEERS,
       FW_OUTPUTS = FW_VALUE_AT + 1 };

void fw_drive_features(const fw_drive_obs *obs, const fw_drive_view *view,
                       float out[FW_FEATURES]);
/* The action that stands for a pair of choices. */
fw_drive_action fw_drive_choice(const fw_drive_view *view, uint32_t accel, uint32_t steer);

#endif
