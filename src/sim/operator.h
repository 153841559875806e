/* operator.h - the people at the simulated factory: they release models and roll them out, and change their minds.
 *
 *   first     a rule becomes the champion: what every unit starts with
 *   then      every quarter of an hour or so another model is uploaded, registered, rolled out in two rings;
 *             some are good, some are networks nobody trained, some are no models at all
 *   at times  a rollout is halted, resumed or rolled back; a model is uploaded that nobody ever releases
 *
 * Everything goes through the factory's HTTP handlers. What was ever released is remembered here: no unit may
 * run anything else.
 */
#ifndef FW_SIM_OPERATOR_H
#define FW_SIM_OPERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/random.h"

struct fw_sim_world;
enum { FW_SIM_MODELS_MAX = 4096 };

typedef struct fw_sim_operator {
    fw_random random;
    int64_t due_ns;
    uint32_t made;
    fw_hash *released; /* (released_count) */
    uint32_t released_count;
    fw_hash never;     /* uploaded, never released; empty: not yet */
    int64_t rollout;   /* the last one begun; 0 none */
    char *group;       /* JSON: the names of the honest units */
} fw_sim_operator;

void fw_sim_operator_open(struct fw_sim_world *world);
void fw_sim_operator_close(struct fw_sim_world *world);
void fw_sim_operator_step(struct fw_sim_world *world);
/* No more units were told of the open rollout than its ring reaches. */
void fw_sim_operator_check(struct fw_sim_world *world);
bool fw_sim_operator_released(const fw_sim_operator *op, const fw_hash *model);

#endif
