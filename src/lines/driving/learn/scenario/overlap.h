/* overlap.h - which scenes show the same people, whatever frame and hour each of them is in.
 *
 *   scene 3   ... 1.213 1.198 1.174 1.180 ...          steps of a car, in mm: the same numbers in a row,
 *   scene 8            1.213 1.198 1.174 1.180 ...     the same car; 19 ticks later here
 *
 * Data is split by group so that nobody is judged on people it has learned from. A data set's own groups are
 * not enough: scenes cut from the same minutes are each in a frame of their own and begin at ticks of their
 * own, and no position in them is equal. The way that a car makes in a tick is.
 *
 * Two scenes overlap when at least FW_OVERLAP_CARS cars, by the size of their boxes and WINDOW steps in a
 * row, are in both at one difference in time: one car alone may be chance, for logs have patterns of their
 * measurement. Cars that stand say nothing.
 *
 * Invariants: (1) overlap is followed through: whom scene 1 shares with 2 and 2 with 3 joins all three;
 * (2) the order of scenes decides names alone.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_OVERLAP_H
#define FW_LINES_DRIVING_SCENARIO_OVERLAP_H

#include "lines/driving/learn/scenario/scene.h"

enum { FW_OVERLAP_CARS = 2 };

typedef struct fw_overlap fw_overlap;

/* The caller frees it. */
fw_status fw_overlap_new(fw_overlap **out, fw_error *error) FW_MUST;
void fw_overlap_free(fw_overlap *overlap); /* NULL: nothing */
/* Takes down who is in a scene; scenes are numbered as they are added. FW_TOO_BIG beyond what it keeps. */
fw_status fw_overlap_add(fw_overlap *overlap, const fw_scene *scene, fw_error *error) FW_MUST;
/* first: (scenes added). In: the first scene that each belongs with in any case, itself at the latest. Out:
 * the first scene that it belongs with because of that or of the people in both. */
fw_status fw_overlap_join(fw_overlap *overlap, uint32_t *first, fw_error *error) FW_MUST;

#endif
