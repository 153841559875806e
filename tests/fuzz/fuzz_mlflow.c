/* links: fw_factory */
/* A search in MLflow's language: read, and asked about rows that have everything and nothing. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "factory/registry/mlflow_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static const char *all(const void *self, fw_mlflow_field field, fw_mlflow_text key) {
    (void)self, (void)key;
    return field == FW_MLFLOW_VERSION || field == FW_MLFLOW_CREATED ? "17" : "a text with % and _";
}

static const char *none(const void *self, fw_mlflow_field field, fw_mlflow_text key) {
    (void)self, (void)field, (void)key;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_mlflow_filter filter;
    fw_mlflow_field field;
    bool down;
    fw_error error;
    char *text = malloc(size_bytes + 1);
    if (!text) return 0;
    memcpy(text, bytes, size_bytes);
    text[size_bytes] = '\0';
    if (fw_mlflow_filter_read(text, &filter, &error) == FW_OK) {
        (void)fw_mlflow_filter_match(&filter, &(fw_mlflow_row){NULL, all});
        if (filter.count > 0 && fw_mlflow_filter_match(&filter, &(fw_mlflow_row){NULL, none})) abort();
    }
    (void)!fw_mlflow_order_read(text, &field, &down, &error);
    free(text);
    return 0;
}
