/* confine.h - a process that gives up every file but those it names (Landlock, Linux 5.13).
 *
 * The factory and its jobs must not be able to open the examiner's store, whoever they run as; so
 * `flywheel serve` confines itself before it starts a thread, and its children inherit that.
 *
 *     allowed read and write: the given folder           allowed read and run: /usr /lib /bin /etc
 *     everything else: EACCES, for root as well           /proc, the program's folder, a few
 * devices
 *
 * Open descriptors stay open. The network is not touched, but by fw_confine_offline. Nothing here can be undone.
 */
#ifndef FW_BASE_CONFINE_H
#define FW_BASE_CONFINE_H

#include <stdbool.h>

#include "base/status.h"

/* Version of Landlock in this kernel; 0: none. */
int fw_confine_version(void);
/* The calling thread and every thread and process it starts from now on. write_folders and
 * read_folders are NULL-terminated; those that do not exist are passed over. FW_UNSUPPORTED without
 * Landlock: nothing is changed then. */
fw_status fw_confine(const char *const *write_folders, const char *const *read_folders,
                     fw_error *error) FW_MUST;
/* The same, with the system's folders to read as well. */
fw_status fw_confine_files(const char *const *writes, const char *const *reads, fw_error *error) FW_MUST;
/* The usual case: one data folder to write, the system's folders and the program's own to read. */
fw_status fw_confine_to(const char *data_folder, const char *program_folder,
                        fw_error *error) FW_MUST;
/* No more sockets (seccomp): socket() and io_uring_setup() give EACCES. FW_UNSUPPORTED where the kernel cannot. */
fw_status fw_confine_offline(fw_error *error) FW_MUST;
/* Would a process confined like that still be let into `path`? True for what lies in one of its
 * folders, links followed. Fails when `path` is not there. */
fw_status fw_confine_reaches(const char *data_folder, const char *program_folder, const char *path,
                             bool *out, fw_error *error) FW_MUST;

#endif
