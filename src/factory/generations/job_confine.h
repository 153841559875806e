/* job_confine.h - what a job can open: what its input names, and nothing else of the factory's.
 *
 *   serve (Landlock: the data folder) --fork--> job --reads its input--> fw_job_confine --> the work
 *
 *     write   DIR/jobs/generation-N                 read   the champion, the recordings that the input lists,
 *                                                          and the system's folders (libraries, /proc)
 *     all else, the held-out recordings of the sealed suite among it: EACCES, for root as well
 *     the network, the factory's own address among it: no socket, EACCES
 *
 * So training cannot look at what its candidate will be judged on, whatever its code does. It cannot be undone, and it
 * comes before the first recording is opened and before the first thread.
 */
#ifndef FW_FACTORY_JOB_CONFINE_H
#define FW_FACTORY_JOB_CONFINE_H

#include <stdint.h>

#include "base/status.h"

typedef struct fw_job_reach {
    const char *folder; /* the job's own: read and write */
    const char *champion, *candidate; /* files; candidate NULL: lies in the folder */
    const char *const *recordings; /* (recording_count) files */
    uint32_t recording_count;
} fw_job_reach;

/* FW_UNSUPPORTED where the kernel has no Landlock or no seccomp filters, or the factory's folder lies in
 * a system's: then the job is not sealed. */
fw_status fw_job_confine(const fw_job_reach *reach, fw_error *error) FW_MUST;

#endif
