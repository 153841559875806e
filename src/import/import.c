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

fw_status fw_import_label_parse(const char *text, char *key, const char **value, fw_error *error) {
    const char *equals = strchr(text, '=');
    size_t size = equals ? (size_t)(equals - text) : 0, rest = equals ? strlen(equals + 1) : 0;
    bool fine = size >= 1 && size <= FW_IMPORT_LABEL_MAX && rest >= 1 && rest <= FW_IMPORT_LABEL_MAX;
    for (size_t i = 0; fine && i < size; i++)
        fine = strchr("abcdefghijklmnopqrstuvwxyz0123456789_", text[i]) != NULL;
    for (size_t i = 0; fine && i < rest; i++) fine = equals[1 + i] >= ' ' && equals[1 + i] <= '~';
    if (!fine)
        return fw_fail(error, FW_INVALID, "'%.60s' is no KEY=VALUE: a key is a-z 0-9 _, both have 1 to %d bytes", text,
                       FW_IMPORT_LABEL_MAX);
    memcpy(key, text, size);
    key[size] = '\0';
    *value = equals + 1;
    return FW_OK;
}
