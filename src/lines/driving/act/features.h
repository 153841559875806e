/* features.h - a scene as the network sees it: FW_FEATURES numbers of order one, and what its answers mean.
 *
 *   +-------------- ego 48 --------------+------- users (12, 16) -------+- mask 12 -+
 *   | own 8 | route 17 | room 8 |        | one row a road user:         | 1: there  |
 *   | leaders 9 | light 6                | its box, its way, its claim  | 0: zeros  |
 *   +------------------------------------+------------------------------+-----------+
 *
 *   row of a user, relative to us:
 *     0 forward, 1 left (centre to centre, tens of metres, bounded)   2, 3 cosine and sine of its heading
 *     4, 5 its velocity along and across ours, less ours              6, 7 length, width
 *     8 1 / (1 + distance)    9 gap to its box along OUR path         10 its offset from OUR path
 *     its most urgent conflict with us, zeros when there is none:
 *     11 we must yield  12 it must yield  13 our way to the zone  14, 15 time between it and us, if we go
 *     first, if it goes first
 *
 * The users are a SET: the rows' order says nothing, and a network must not read one from it (network.h takes
 * a maximum over them). Those in the rows are the nearest, and whoever has a conflict with us.
 *
 * A pure function, shared by the unit and by training. Changing it changes what every stored network means:
 * raise FW_FEATURES_VERSION, which stands in each model file's metadata.
 */
#ifndef FW_LINES_DRIVING_FEATURES_H
#define FW_LINES_DRIVING_FEATURES_H

#include "lines/driving/act/view.h"

enum { FW_FEATURES_VERSION = 2 };
enum {
    FW_FEATURES_EGO = 8 + 17 + 8 + 9 + 6,
    FW_FEATURE_USERS = 12,
    FW_FEATURE_EACH = 16,
    FW_FEATURES_USERS_AT = FW_FEATURES_EGO,
    FW_FEATURES_MASK_AT = FW_FEATURES_USERS_AT + FW_FEATURE_USERS * FW_FEATURE_EACH,
    FW_FEATURES = FW_FEATURES_MASK_AT + FW_FEATURE_USERS,
};

/* The network's outputs: scores of FW_ACCELS accelerations, scores of FW_STEERS sideways shifts of the point
 * that pure pursuit steers at, and FW_VALUES estimates of the state's worth, whose spread is the uncertainty
 * (bootstrapped heads: Osband et al., Deep Exploration via Bootstrapped DQN, 2016). */
enum {
    FW_ACCELS = 9,
    FW_STEERS = 5,
    FW_VALUES = 3,
    FW_VALUE_AT = FW_ACCELS + FW_STEERS,
    FW_OUTPUTS = FW_VALUE_AT + FW_VALUES
};
extern const float fw_drive_accels_mps2[FW_ACCELS]; /* ascending; 0 is one of them */
extern const float fw_drive_steers_m[FW_STEERS];    /* ascending, the middle one is 0; left positive */

void fw_drive_features(const fw_drive_scene *scene, const fw_drive_view *view, float out[FW_FEATURES]);

/* Comfort is part of what a choice means: acceleration changes by at most FW_DRIVE_GENTLE_MPS3, but for
 * braking at FW_DRIVE_FIRM_MPS2 and harder, which comes at once. */
#define FW_DRIVE_GENTLE_MPS3 7.0f
#define FW_DRIVE_FIRM_MPS2 -3.0f

/* The action that stands for a pair of choices: training draws them. */
fw_drive_action fw_drive_choice(const fw_drive_view *view, uint32_t accel, uint32_t steer);
/* The action that driving takes from the scores: of the best choice and its two neighbours the mean,
 * weighted by their probabilities, for acceleration and shift each. Smooth where the best one alternates. */
fw_drive_action fw_drive_blend(const fw_drive_view *view, const float accel[FW_ACCELS],
                               const float steer[FW_STEERS]);

#endif
