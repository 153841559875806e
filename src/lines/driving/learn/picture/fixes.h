/* fixes.h - what a candidate does better, for people to see: drives that the champion failed and it passed.
 *
 *   an evaluation of both --fw_replay_find--> a few drives --replay.h--> traces --> JSON file (docs/formats/replay.md)
 *
 * Pictures alone: no decision reads them. Long drives are cut to the last FW_FIXES_TICKS_MAX moments before
 * the champion's failure and a little more, so that the file stays small.
 */
#ifndef FW_LINES_DRIVING_FIXES_H
#define FW_LINES_DRIVING_FIXES_H

#include "lines/driving/learn/picture/replay.h"

enum { FW_FIXES_MOST = 3, FW_FIXES_TICKS_MAX = 150, FW_FIXES_AFTER_TICKS = 40 };

/* drivers[0] is the champion, drivers[1] the candidate; `config` is what the evaluation was, `table` what
 * came of it. Written durably, with an empty list when there is no such drive. */
fw_status fw_fixes_write(const char *path, const fw_score_config *config, fw_sim_traffic traffic,
                         const fw_score_table *table, fw_error *error) FW_MUST;

#endif
