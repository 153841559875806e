/* net.h - the city's map, read from SUMO's net file: lanes, links, who yields to whom.
 *
 *   edge A  ==lane==>| via lane |==lane==> edge B         one way through a junction is a LINK:
 *                    \__ via2 __/                          from lane, its internal lanes, to lane
 *
 * A link's number inside its junction is its place in the junction's intLanes; the <request> of
 * that number has two strings whose RIGHTMOST character is link 0: `response` (we yield to it)
 * and `foes` (our ways meet). A link that may wait inside the junction (cont) has two internal
 * lanes; intLanes names the last one. Its `response` is empty: whom it yields to stands in the
 * INTERNAL JUNCTION named as its second lane, in the middle of the junction, where it waits:
 *
 *   --------->|====via====>|====via2====>|---->        stop line: its light, its response
 *        stop line    waiting place                    waiting place: the internal junction's
 *                                                      intLanes, and incLanes after the first
 *
 * Invariants: (1) indices are in file order; (2) every lane has at least two shape points;
 * (3) positions on a lane are SUMO's (0 .. length_m) and scale to the shape's own length.
 */
#ifndef FW_WORLDS_SUMO_NET_H
#define FW_WORLDS_SUMO_NET_H

#include <stdbool.h>

#include "base/status.h"
#include "worlds/sumo/names.h"

#define FW_NET_NONE UINT32_MAX

typedef struct fw_net_point {
    double x_m, y_m;
    double d_m; /* way from the line's start */
} fw_net_point;

typedef struct fw_net_lane {
    uint32_t edge, index; /* index within the edge, 0 at the right */
    double length_m, speed_mps, width_m;
    double shape_m; /* length of the shape */
    bool passenger; /* open to passenger cars */
    uint32_t point_first, point_count;
    uint32_t link_first, link_count; /* links that start here: net->lane_links[...] */
    uint32_t inside_link; /* internal lanes: the link they are part of, else FW_NET_NONE */
} fw_net_lane;

typedef struct fw_net_edge {
    uint32_t lane_first, lane_count;
    bool internal;
} fw_net_edge;

typedef struct fw_net_link {
    uint32_t from_lane, to_lane;
    uint32_t via, via2;          /* internal lanes, FW_NET_NONE where absent */
    uint32_t junction, index;    /* junction FW_NET_NONE: unknown */
    uint32_t light, light_index; /* traffic light, FW_NET_NONE: none */
} fw_net_link;

typedef struct fw_net_junction {
    double x_low_m, x_high_m, y_low_m, y_high_m; /* box around its shape */
    uint32_t count;                              /* n links */
    uint32_t *links;                             /* (n), FW_NET_NONE where unknown */
    uint8_t *response;                           /* (n, n) [us][foe]: 1 we yield */
    uint8_t *foes;                               /* (n, n) */
    uint8_t *waits; /* (n, n) [us][foe]: 1 we yield at our waiting place, whatever our light */
} fw_net_junction;

typedef struct fw_net {
    fw_net_lane *lanes;
    fw_net_edge *edges;
    fw_net_link *links;
    fw_net_junction *junctions;
    fw_net_point *points;
    uint32_t *lane_links; /* links ordered by their from lane */
    char **light_ids;
    uint32_t lane_count, edge_count, link_count, junction_count, point_count, light_count;
    fw_names lane_names, edge_names, junction_names, light_names;
} fw_net;

enum { FW_NET_FILE_MAX = 64 << 20, FW_NET_REQUESTS_MAX = 256 };

fw_status fw_net_load(const char *path, fw_net **out, fw_error *error) FW_MUST;
fw_status fw_net_parse(const char *xml, size_t size_bytes, const char *name, fw_net **out,
                       fw_error *error) FW_MUST;
void fw_net_free(fw_net *net);

/* Point of a lane's centre line at a share of its length (0..1, clamped). */
void fw_net_lane_at(const fw_net *net, uint32_t lane, double share, double *x_m, double *y_m);
/* Distance of a point from a lane's centre line. */
double fw_net_lane_distance(const fw_net *net, uint32_t lane, double x_m, double y_m);
/* True when link a of a junction and link b meet there. */
bool fw_net_links_meet(const fw_net *net, uint32_t a, uint32_t b);
/* True when link a must yield to link b by right of way. */
bool fw_net_link_yields(const fw_net *net, uint32_t a, uint32_t b);
/* True when link a must yield to link b at its waiting place inside the junction. */
bool fw_net_link_waits(const fw_net *net, uint32_t a, uint32_t b);
/* Way from a link's start to the place where it waits: 0, the stop line, unless it may wait inside. */
double fw_net_link_wait_m(const fw_net *net, uint32_t link);

#endif
