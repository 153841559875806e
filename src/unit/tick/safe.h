/* safe.h - what drives when no model is left: a stop in the own lane.
 *
 * Braking with FW_UNIT_SAFE_BRAKE_MPS2 to a standstill, steering along the route (pure pursuit), under the guard,
 * which may brake harder; standing until a model is there. It is what UN Regulation 157 calls a minimum risk
 * manoeuvre: in the lane, at most 4 m/s2. Not the IDM rule, which would drive on for hours: two models in a row
 * have failed on this unit, so what is broken may be what they were given, and a standing car needs
 * least of it to be right. A fixed rule: no parameter of it comes over the network.
 */
#ifndef FW_UNIT_SAFE_H
#define FW_UNIT_SAFE_H

#include "lines/driving/act/view.h"

#define FW_UNIT_SAFE_BRAKE_MPS2 2.0f

/* The action before the guard; always finite. */
void fw_unit_safe_act(const fw_drive_view *view, fw_drive_action *action);

#endif
