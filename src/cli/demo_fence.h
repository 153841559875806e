/* demo_fence.h - keeps a process and all its children out of one folder.
 *
 * The examiner's store has mode 0700, but the factory runs as the same user. So the conductor
 * starts the factory behind a Landlock ruleset (Linux 5.19): everything in the file system stays
 * open to it except the fenced folder.
 *
 *     /            every entry but `home` is allowed
 *     /home        every entry but `me`
 *     /home/me     every entry but `data`
 *     /home/me/data           every entry but `exam`     <- fenced: /home/me/data/exam
 *
 * Landlock knows only "allow this tree", so an entry that appears later on the way to the fenced
 * folder (here: beside `exam`) is closed as well; all folders the factory needs exist before it.
 *
 * Invariant: after FW_OK no open, list, create, rename or remove under the folder succeeds in this
 * process or any child, and this cannot be undone.
 */
#ifndef FW_CLI_DEMO_FENCE_H
#define FW_CLI_DEMO_FENCE_H

#include <stdbool.h>

#include "base/status.h"

bool fw_fence_available(void);
/* For the calling process. `path` is an existing folder. FW_UNSUPPORTED without Landlock. */
fw_status fw_fence_off(const char *path, fw_error *error) FW_MUST;

#endif
