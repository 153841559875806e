/* curve.h - the curve of a generation's training, kept as finely as a picture needs it.
 *
 *   budget in agent-steps   |----|----|----|-- ... --|----|   FW_CURVE_PARTS equal parts
 *   updates of the job       . . . . . . . . . . . . . . .    the last of each part is kept
 *
 * The job says a point after each update; the ticking thread notes it here and once a second writes
 * what is new into the catalogue, where a part has one row.
 *
 * Invariants: (1) at most FW_CURVE_PARTS + 1 points a generation, at most FW_CURVE_COARSE_PARTS + 1
 * once FW_CURVE_FINE newer ones were trained; (2) agent_steps grows from point to point: a job that
 * starts again, from its first update or from a checkpoint, takes the place of what it said before
 * from there on; (3) which points are kept depends on what the job said, never on when.
 */
#ifndef FW_FACTORY_CURVE_H
#define FW_FACTORY_CURVE_H

#include <jansson.h>

#include "factory/catalogue/catalogue.h"

enum {
    FW_CURVE_PARTS = 300,
    FW_CURVE_FINE = 100, /* generations with all their parts; of older ones stays every tenth */
    FW_CURVE_COARSE = 10,
    FW_CURVE_COARSE_PARTS = FW_CURVE_PARTS / FW_CURVE_COARSE
};

typedef struct fw_curve_point {
    int64_t part, agent_steps;
    double loss, value_loss, entropy, gradient_norm, clean_share; /* NaN: not known */
} fw_curve_point;

/* What the job said and the catalogue does not have yet, ascending. */
typedef struct fw_curve {
    int64_t generation;
    fw_curve_point points[FW_CURVE_PARTS + 1];
    int count;
    int64_t flushed_ns; /* monotonic */
} fw_curve;

/* A job of this generation begins; what the catalogue has of an earlier try stays until it is
 * overtaken. */
void fw_curve_start(fw_curve *curve, int64_t generation);
/* A job's {"agent_steps", "loss", ...}; what is no point is passed over. */
void fw_curve_note(fw_curve *curve, const json_t *point, int64_t agent_steps_wanted);
/* Writes what is new; on failure it is still new. */
fw_status fw_curve_flush(fw_curve *curve, fw_catalogue *catalogue, fw_error *error) FW_MUST;
/* Inside a transaction, when generation was trained: thins the one that now is old. */
fw_status fw_curve_thin(sqlite3 *db, int64_t generation, fw_error *error) FW_MUST;
/* GET /v1/generations/{n}/curve: JSON text, malloc'd. */
fw_status fw_curve_json(fw_catalogue *catalogue, int64_t generation, char **json,
                        fw_error *error) FW_MUST;

#endif
