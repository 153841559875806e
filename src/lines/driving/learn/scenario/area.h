/* area.h - private: how far it is to the edge of the road: the union of all lanelets as a distance field.
 *
 *       o=========o=========o      === an edge that counts: nothing drivable lies beyond it
 *       |  lane a ¦  lane b |      ¦   between neighbours: no edge
 *       o---------o---------o      gaps and overlaps up to FW_AREA_GAP_M between neighbours are closed
 *
 * 1. Each edge of each lanelet's polygon is cut where another lanelet begins or ends within FW_AREA_GAP_M outside
 *    of it (bisection to FW_AREA_CUT_M); what remains is the outer edge, exact, not a raster's staircase.
 * 2. Distances from the grid's corners to it, up to FW_SCENARIO_AREA_FAR_M.
 * 3. The sign: inside is what lies in a polygon (even-odd, by scanlines) or in a closed gap.
 *
 * Between corners the distance is bilinear: off by some centimetres, more only at the very corners of the road
 * (tests/lines/test_scenario_scene.c measures it against the polygons).
 *
 * Where the map ends, the road does not: a lane that nothing follows and that ends together with those beside it
 * is drawn on straight for FW_AREA_BEYOND_M, at both ends of the map. A lane that ends while its neighbour goes on
 * (a merge) is not.
 *
 * Memory: the box of the lanelets, cut to FW_AREA_AROUND_M around the tracks, at most FW_AREA_CELLS_MAX corners;
 * cells grow beyond FW_AREA_CELL_M where that would not do.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_AREA_H
#define FW_LINES_DRIVING_SCENARIO_AREA_H

#include "lines/driving/learn/scenario/map.h"

#define FW_AREA_CELL_M 0.25
#define FW_AREA_GAP_M 0.3
#define FW_AREA_CUT_M 0.01
#define FW_AREA_BEYOND_M 40.0
#define FW_AREA_AROUND_M 60.0
#define FW_AREA_EDGES_MAX_M 5e5 /* of all lanelets together; more is FW_TOO_BIG */
enum { FW_AREA_CELLS_MAX = 4 << 20 };

/* A box of places that matter: what lies outside of it is not drawn. */
typedef struct fw_area_box {
    double low_x_m, low_y_m, high_x_m, high_y_m;
} fw_area_box;

/* The caller frees out->distance_m. A map without lanes gives no area: rows and columns 0. */
fw_status fw_area_make(const fw_map *map, fw_area_box box, fw_scenario_area *out, fw_error *error) FW_MUST;

#endif
