#include "factory/generations/job_confine.h"

#include <stdlib.h>

#include "base/confine.h"

/* What lies in a system's folder (a data folder below /usr) stays readable: the champion lies where the recordings do. */
static fw_status check_place(const fw_job_reach *reach, fw_error *error) {
    bool open = false;
    fw_error ignored;
    if (fw_confine_reaches(reach->folder, reach->folder, reach->champion, &open, &ignored) != FW_OK || !open) return FW_OK;
    return fw_fail(error, FW_UNSUPPORTED, "%s lies in a folder of the system's that every program may read; move the data folder",
                   reach->champion);
}

fw_status fw_job_confine(const fw_job_reach *reach, fw_error *error) {
    const char *const writes[] = {reach->folder, "/dev/null", NULL};
    const char **reads = calloc((size_t)reach->recording_count + 3, sizeof *reads);
    size_t count = 0;
    if (!reads) return fw_fail(error, FW_NO_MEMORY, "no memory for the job's files");
    reads[count++] = reach->champion;
    if (reach->candidate) reads[count++] = reach->candidate;
    for (uint32_t i = 0; i < reach->recording_count; i++) reads[count++] = reach->recordings[i];
    fw_status place = check_place(reach, error);
    fw_status status = fw_confine_files(writes, reads, error);
    free(reads);
    if (status == FW_OK) status = fw_confine_offline(error);
    return status == FW_OK ? place : status;
}
