/* driver.h - who drives in an evaluation: a row of its tables.
 *
 *   "log"         what the track itself did: the floor of every metric, in replayed traffic
 *   "constant"    straight on at the speed it had
 *   "pursuit"     along the route at the policy "constant"'s speed (act/policy.h)
 *   "idm"         IDM + pure pursuit: the bar
 *   model file    any policy; each of them also with the guard on top ("idm+guard")
 *
 *   scene --fw_driver_act--> action      log: none, the simulator moves it (fw_sim_step_logged)
 *
 * A driver is const while it drives and shared by all threads; a seat holds what changes, one for each car.
 */
#ifndef FW_LINES_DRIVING_SCORE_DRIVER_H
#define FW_LINES_DRIVING_SCORE_DRIVER_H

#include "base/file.h"
#include "lines/driving/act/guard.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/act/scene.h"

typedef enum fw_driver_kind { FW_DRIVER_LOG, FW_DRIVER_STRAIGHT, FW_DRIVER_POLICY } fw_driver_kind;

enum { FW_DRIVER_NAME_MAX = 48 };

typedef struct fw_driver {
    char name[FW_DRIVER_NAME_MAX];
    fw_driver_kind kind;
    bool guard;
    bool weighed; /* without the guard: it says what it would have done, and the policy has its way */
    fw_policy policy; /* FW_DRIVER_POLICY; owned */
    /* What making the model cost, where its card or its file says so; NaN otherwise. */
    double training_core_s, training_agent_steps;
} fw_driver;

typedef struct fw_driver_seat {
    fw_policy_session session; /* FW_DRIVER_POLICY; owned */
} fw_driver_seat;

/* "log", "constant", "pursuit" or "idm"; FW_INVALID naming the choice otherwise. The caller clears it. */
fw_status fw_driver_baseline(const char *name, fw_driver *out, fw_error *error) FW_MUST;
/* A model file; its name is the file's without folder and ending. */
fw_status fw_driver_model(const char *path, fw_driver *out, fw_error *error) FW_MUST;
/* Where the card of a model file lies: its name with the ending .json. Written by `flywheel train`; read where
 * it names the model's hash. FW_TOO_BIG: no room for the path. */
fw_status fw_driver_card_path(const char *model_path, char out[FW_PATH_MAX], fw_error *error) FW_MUST;
void fw_driver_clear(fw_driver *driver);

/* The driver outlives the seat. */
fw_status fw_driver_sit(const fw_driver *driver, fw_driver_seat *out, fw_error *error) FW_MUST;
void fw_driver_rise(fw_driver_seat *seat);
/* Decides; not for the log. Returns the guard's veto, FW_GUARD_NONE without one. */
fw_guard_veto fw_driver_act(const fw_driver *driver, fw_driver_seat *seat, const fw_drive_scene *scene,
                            fw_drive_action *action);

#endif
