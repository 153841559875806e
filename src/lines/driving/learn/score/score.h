/* score.h - an evaluation: every driver drives everything there is to drive, in each kind of traffic.
 *
 *              scenario 0      scenario 1 ...
 *              case case case  case ...          a case: a track, from a tick of its log on
 *   log        [  ] [  ] [  ]  [  ]
 *   idm        [  ] [  ] [  ]  [  ]              a cell: what that drive came to (fw_sim_drive)
 *   model A    [  ] [  ] [  ]  [  ]
 *
 * One such table for each traffic. In replayed and reactive traffic a case is one start of its scenario and
 * one car is driven. In self-play a scenario is driven once from its first tick, every car that has a route
 * by the row's driver: a case is a car (of more than FW_SIM_AGENTS_MAX cars so many at a time, the others
 * reactive). The log's row is replayed traffic in all three: people drove among people.
 *
 * Invariants: (1) a case counts in a table only where it could begin in every row, so that rows stand on the
 * same drives and may be paired; the others are counted in left_out; who stands within 3 m of its goal from the
 * start has nothing to drive, is no case, and in self-play is traffic; (2) a cell depends on its scenario, its
 * case and its driver alone: not on the number of threads, nor on the other rows; the same seed of traffic for
 * all rows.
 */
#ifndef FW_LINES_DRIVING_SCORE_SCORE_H
#define FW_LINES_DRIVING_SCORE_SCORE_H

#include "lines/driving/learn/score/driver.h"
#include "lines/driving/learn/sim/sim.h"

enum {
    FW_SCORE_DRIVERS_MAX = 16,
    FW_SCORE_BINS = 256, /* of decision times: a sixteenth of a doubling each, from 0.1 us on */
};

/* What kind of way a case asks for (docs/metrics.md). */
typedef enum fw_score_manoeuvre {
    FW_SCORE_STRAIGHT,
    FW_SCORE_LANE_CHANGE,
    FW_SCORE_TURN_LEFT,
    FW_SCORE_TURN_RIGHT,
    FW_SCORE_MANOEUVRES
} fw_score_manoeuvre;
const char *fw_score_manoeuvre_name(fw_score_manoeuvre manoeuvre);
/* Of the route's shape between two path lengths. */
fw_score_manoeuvre fw_score_manoeuvre_of(const fw_scenario_route *route, float from_s_m, float to_s_m);

typedef struct fw_score_case {
    uint32_t scenario; /* index into the config's */
    uint32_t track, tick;
    uint32_t cluster;  /* scenarios of one site's group are one cluster: 0 .. cluster_count - 1 */
    fw_score_manoeuvre manoeuvre;
} fw_score_case;

/* CPU time of decisions: look, features, network, guard. */
typedef struct fw_score_cost {
    uint32_t bins[FW_SCORE_BINS];
} fw_score_cost;
/* The time that `share` of the decisions stay below, us, to a sixteenth of a doubling; NaN without any. */
double fw_score_cost_us(const fw_score_cost *cost, double share);

/* What was seen of a driver in a drive beside what came of it. */
typedef struct fw_score_seen {
    uint32_t vetoes;     /* of the guard, begun: ticks in a row are one; 0 where no guard looks on (driver.h) */
    uint32_t no_numbers; /* decisions that are none; the car brakes then */
} fw_score_seen;

typedef struct fw_score_table {
    uint32_t case_count, left_out;
    fw_score_case *cases;                      /* (case_count) in order of scenario, track, tick */
    fw_sim_drive *drives[FW_SCORE_DRIVERS_MAX]; /* (case_count) for each driver */
    fw_score_seen *seen[FW_SCORE_DRIVERS_MAX];  /* (case_count) for each driver */
    fw_score_cost costs[FW_SCORE_DRIVERS_MAX];
} fw_score_table;

typedef struct fw_score {
    uint32_t driver_count, cluster_count;
    fw_score_table traffic[FW_SIM_TRAFFIC_COUNT]; /* case_count 0: not asked for */
} fw_score;

typedef struct fw_score_progress {
    void *self;
    /* Now and then, from any thread, one at a time: drives done of all. False stops (FW_INTERRUPTED). */
    bool (*report)(void *self, uint64_t done, uint64_t total);
} fw_score_progress;

typedef struct fw_score_config {
    const fw_scenario *const *scenarios; /* (scenario_count) */
    uint32_t scenario_count;
    const fw_driver *drivers; /* (driver_count), 1 .. FW_SCORE_DRIVERS_MAX */
    uint32_t driver_count;
    bool traffic[FW_SIM_TRAFFIC_COUNT];
    uint32_t per_group;  /* at most so many cases of a group, spread evenly over it; 0: all. Not in self-play,
                            where all of them drive at once anyway */
    uint32_t every;      /* units' recordings: starts at multiples of so many ticks alone; 0: all */
    uint32_t ticks_max;  /* a drive is looked at for so long; 0: to its end */
    uint32_t threads;    /* 1 .. 16 */
    uint64_t seed;       /* of the traffic's manners and lights */
    fw_score_progress progress; /* report NULL: nobody listens */
} fw_score_config;

/* The caller clears it. FW_INVALID when there is nothing to drive. */
fw_status fw_score_run(const fw_score_config *config, fw_score *out, fw_error *error) FW_MUST;
void fw_score_clear(fw_score *score);

/* Scenarios of files, read in `threads` threads. Of `refused` files none was made. The caller clears the
 * set. FW_INVALID when no file makes one, with the first one's reason. */
typedef struct fw_score_read_config {
    const char *const *paths; /* (count) */
    uint32_t count, threads;
    fw_score_progress progress; /* files */
} fw_score_read_config;
typedef struct fw_score_set {
    fw_scenario **items; /* (count), in the order of the paths */
    uint32_t *path_of;   /* (count): which path each was made of */
    uint32_t count, refused;
    fw_error why; /* of the first that was refused */
} fw_score_set;
fw_status fw_score_read(const fw_score_read_config *config, fw_score_set *out, fw_error *error) FW_MUST;
void fw_score_set_clear(fw_score_set *set);

#endif
