#include "factory/generations/replays.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "factory/generations/generation_row.h"

static void kept_path(const fw_generations *g, int64_t generation, char out[FW_PATH_MAX]) {
    int used = snprintf(out, FW_PATH_MAX, "%s/replays/generation-%lld.json", g->data_folder, (long long)generation);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX);
}

void fw_replays_keep(const fw_generations *g, int64_t generation) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX], folder[FW_PATH_MAX];
    struct stat found;
    fw_error error;
    fw_generation_file(g, generation, "replays.json", from);
    if (stat(from, &found) != 0) return;
    fw_path_join(folder, sizeof folder, g->data_folder, "replays");
    kept_path(g, generation, to);
    if (found.st_size > FW_REPLAYS_MAX_BYTES) {
        fw_log_warn("generation %lld: its replays are too big to keep (%lld bytes)", (long long)generation,
                    (long long)found.st_size);
    } else if (fw_folder_make(folder, 0755, &error) != FW_OK) {
        fw_log_warn("no replays of generation %lld: %s", (long long)generation, error.text);
    } else if (rename(from, to) != 0) {
        fw_log_warn("no replays of generation %lld: cannot rename %s", (long long)generation, from);
    }
    kept_path(g, generation - FW_REPLAYS_KEPT, to);
    unlink(to); /* usually not there */
}

fw_status fw_replays_json(const fw_generations *g, int64_t generation, char **json, fw_error *error) {
    char path[FW_PATH_MAX];
    size_t size_bytes;
    kept_path(g, generation, path);
    fw_status status = fw_file_read(path, FW_REPLAYS_MAX_BYTES, json, &size_bytes, error);
    if (status != FW_NOT_FOUND) return status;
    return fw_fail(error, FW_NOT_FOUND, "no replays of generation %lld are kept", (long long)generation);
}
