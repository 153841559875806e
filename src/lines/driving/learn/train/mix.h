/* mix.h - what is driven next: the recipe's mix of scenarios, traffics, vehicles and disturbances.
 *
 *   a tile's rows   | self-play: worlds of up to 16 agents       | single drives: one row each           |
 *   scenes          | the agents nearest to one drawn, at once    | reactive 60 %, replayed 40 %          |
 *   units'          | -                                           | reactive, manners drawn               |
 *
 * A scene is drawn by its overlap group first: many scenes of the same minutes show the same people. Of single
 * drives a quarter are those that failed not long ago, drawn again beside their log: what goes wrong is rare
 * after a while (a turn, a merge), and is not learned from drives that go well.
 *
 * Why a mix: partners in self-play yield as the policy does, recorded humans do not; a policy that met only
 * one of them fails among the others. Half of the drives in a unit's recording begin a few seconds before
 * something the unit flagged. A share of drives is in another kind of vehicle than the log's.
 */
#ifndef FW_LINES_DRIVING_LEARN_MIX_H
#define FW_LINES_DRIVING_LEARN_MIX_H

#include "lines/driving/learn/sim/sim.h"
#include "lines/driving/learn/train/set.h"

enum { FW_LEARN_WORLD_AGENTS = 16 }; /* driven at once in self-play */

typedef enum fw_learn_mode {
    FW_LEARN_REINFORCE,
    FW_LEARN_IMITATE, /* scenes alone, replayed traffic, single drives */
} fw_learn_mode;

typedef struct fw_learn_mix {
    const fw_learn_set *set;
    fw_learn_mode mode;
    uint32_t self_play_rows; /* of a tile; the first ones */
    float single_scene_share; /* of single drives */
} fw_learn_mix;

/* rows: of a tile. Imitation needs a scene in the set (FW_INVALID). */
fw_status fw_learn_mix_of(const fw_learn_set *set, fw_learn_mode mode, uint32_t rows, fw_learn_mix *out,
                          fw_error *error) FW_MUST;

/* A drive, and room for whom it drives. */
typedef struct fw_learn_drive {
    fw_sim_start start; /* its tracks are those below */
    bool again;         /* one that failed before: it is not counted, nor noted as a failure once more */
    uint32_t tracks[FW_LEARN_WORLD_AGENTS];
} fw_learn_drive;

/* Drives that failed, the latest of them; one for each tile. */
enum { FW_LEARN_FAILURES = 64 };
typedef struct fw_learn_failures {
    uint32_t count, next;
    struct {
        const fw_scenario *scenario;
        uint32_t track, tick;
    } items[FW_LEARN_FAILURES]; /* (count), a ring */
} fw_learn_failures;
/* Notes a drive of `track` that began at `tick`. */
void fw_learn_note_failure(fw_learn_failures *failures, const fw_scenario *scenario, uint32_t track,
                           uint32_t tick);

/* Draws a world for self-play of at most `room` agents, or a single drive. The simulator may refuse what is
 * drawn (fw_sim_begin); then another is. */
void fw_learn_draw_self_play(const fw_learn_mix *mix, fw_random *random, uint32_t room, fw_learn_drive *out);
void fw_learn_draw_single(const fw_learn_mix *mix, const fw_learn_failures *failures, fw_random *random,
                          fw_learn_drive *out);

#endif
