#include "import/import.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import/log.h"

static const struct {
    const char *name;
    fw_import_run *run;
} formats[] = {
#define X(name, summary) {#name, fw_import_##name},
    FW_IMPORT_FORMATS(X)
#undef X
};

static fw_import_run *find(const char *format) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, format) == 0) return formats[i].run;
    return NULL;
}

fw_status fw_import(const char *format, const fw_import_request *request, fw_import_result *out,
                    fw_error *error) {
    fw_import_run *run = find(format);
    fw_import_log *log = NULL;
    *out = (fw_import_result){0};
    if (!run)
        return fw_fail(error, FW_NOT_FOUND, "no importer for '%s'; see flywheel import --help",
                       format);
    FW_TRY(fw_import_log_open(request, &log, error));
    fw_status status = run(request, log, error);
    if (status == FW_OK) status = fw_import_log_end(log, out, error);
    fw_import_log_close(log); /* removes what an unfinished import made */
    return status;
}

void fw_import_result_clear(fw_import_result *result) {
    free(result->files);
    *result = (fw_import_result){0};
}
