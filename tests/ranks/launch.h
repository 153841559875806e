/* launch.h - for tests that start programs under mpirun, on one machine and as anybody. */
#ifndef FW_TESTS_RANKS_LAUNCH_H
#define FW_TESTS_RANKS_LAUNCH_H

#include <stdlib.h>

/* A container's root may; more ranks than cores may; nothing goes over a network. What a library's
 * own start leaves behind is not our leak. */
static inline void launch_prepare(void) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
    setenv("OMPI_MCA_btl", "self,vader", 1);
    setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 1);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
}

#endif
