#include "factory/generations/job_confine.h"

#include <stdlib.h>

#include "base/confine.h"

fw_status fw_job_confine(const fw_job_reach *reach, fw_error *error) {
    const char *const writes[] = {reach->folder, "/dev/null", NULL};
    const char **reads = calloc((size_t)reach->recording_count + 3, sizeof *reads);
    size_t count = 0;
    if (!reads) return fw_fail(error, FW_NO_MEMORY, "no memory for the job's files");
    reads[count++] = reach->champion;
    if (reach->candidate) reads[count++] = reach->candidate;
    for (uint32_t i = 0; i < reach->recording_count; i++) reads[count++] = reach->recordings[i];
    fw_status status = fw_confine_files(writes, reads, error);
    free(reads);
    return status;
}
