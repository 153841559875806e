/* clock.h - when a recording was made, on the server's clock: the header Flywheel-Clock.
 *
 *   Flywheel-Clock: boot=ID; start-mono=NS; start-wall=NS; sent-mono=NS; sent-wall=NS
 *
 *   unit   mono   start-mono ----- age ----- sent-mono           a clock that only goes forward
 *          wall   start-wall ................ sent-wall           a clock that may be wrong
 *   server wall   recorded_ns <---- age ----- now                 the clock that all share
 *
 * With both monotonic readings the age is exact whatever the unit's wall clock says. Without
 * sent-mono (the unit was started again since: its monotonic clock began anew) the wall clock's
 * error is taken to be what it is now: recorded_ns = start-wall + (now - sent-wall). Both leave out
 * the time on the wire, so recorded_ns is late by it. moved_ns says how far the recording was moved
 * from what the unit's clock said: recorded_ns - start-wall.
 *
 * recorded_ns lies in 0 .. now: nothing was recorded later than it came.
 *
 * Keys come once each, in any order; unknown ones are passed over. Needed: boot, start-wall, and
 * start-mono with sent-mono or sent-wall. A sent-mono before start-mono is of another boot.
 */
#ifndef FW_FACTORY_CLOCK_H
#define FW_FACTORY_CLOCK_H

#include "factory/catalogue/recordings.h"

enum { FW_CLOCK_BOOT_MAX = 36 }; /* 1 to 36 of 0-9 a-z A-Z - */

bool fw_clock_boot_valid(const char *boot);
/* text NULL: no header; *out is zero then. FW_INVALID with the reason. */
fw_status fw_clock_parse(const char *text, int64_t now_ns, fw_recording_clock *out,
                         fw_error *error) FW_MUST;

#endif
