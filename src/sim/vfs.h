/* vfs.h - SQLite on a simulated machine's disk: a thin layer over SQLite's own unix VFS.
 *
 *   SQLite --> "fw-sim" --> unix VFS --> files
 *                  '--> disk.h: every write is noted, every xSync makes durable, a dead disk fails
 *
 * Also random numbers and the date come from the simulation. Installed as the process's default VFS,
 * since the catalogue is opened without naming one; files outside the disk's folder pass through.
 */
#ifndef FW_SIM_VFS_H
#define FW_SIM_VFS_H

#include "base/env.h"
#include "sim/disk.h"

/* env: the machine's. Both outlive fw_sim_vfs_remove. */
fw_status fw_sim_vfs_install(fw_sim_disk *disk, const fw_env *env, fw_error *error) FW_MUST;
/* SQLite's own VFS is the default again. */
void fw_sim_vfs_remove(void);

#endif
