/* models.c - model files and slots (models.h). */
#include "unit/courier/models.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "unit/courier/crc.h"

static void model_path(const fw_unit_models *m, const fw_hash *hash, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%.64s.safetensors", m->folder, hash->hex);
}

static fw_status read_current(const fw_unit_models *m, fw_hash *out, fw_error *error) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    fw_path_join(path, sizeof path, m->folder, "current");
    FW_TRY(fw_file_read(path, 256, &text, &size, error));
    text[strcspn(text, "\n")] = '\0';
    fw_status status = fw_hash_parse(text, out, error);
    free(text);
    return status;
}

fw_status fw_unit_models_find(const fw_unit_models *m, const fw_hash *hash, char **bytes,
                              size_t *size_bytes, fw_error *error) {
    char path[FW_PATH_MAX], *found = NULL;
    size_t size = 0;
    model_path(m, hash, path);
    FW_TRY(fw_file_read(path, FW_UNIT_MODEL_FILE_MAX, &found, &size, error));
    fw_hash has;
    fw_status status = fw_hash_bytes_try(found, size, &has, error);
    if (status == FW_OK && strcmp(has.hex, hash->hex) != 0)
        status = fw_fail(error, FW_MISMATCH, "%s does not have its hash", path);
    if (status != FW_OK) {
        free(found);
        return status;
    }
    *bytes = found;
    *size_bytes = size;
    return FW_OK;
}

/* The model into its slot: announced, written, staged (shared.h, invariant 3). */
static fw_status fill_slot(fw_unit_models *m, const fw_hash *hash, const void *bytes,
                           size_t size_bytes, fw_error *error) {
    fw_unit_shared *shared = m->shared;
    size_t loaded_bytes = 0;
    void *loaded = calloc(1, FW_UNIT_MODEL_MAX);
    if (!loaded) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for a model");
    fw_status status = m->load(bytes, size_bytes, loaded, FW_UNIT_MODEL_MAX, &loaded_bytes, error);
    if (status == FW_OK) {
        FW_ASSERT(loaded_bytes <= FW_UNIT_MODEL_MAX);
        uint64_t last = atomic_load(&shared->model_writing);
        uint64_t sequence = last + 1;
        atomic_store(&shared->model_writing, sequence);
        atomic_thread_fence(memory_order_release); /* announced before a byte of it changes */
        fw_unit_slot *slot = &shared->slots[sequence & 1];
        atomic_store(&slot->size_bytes, (uint32_t)loaded_bytes);
        atomic_store(&slot->crc, fw_unit_crc32(loaded, loaded_bytes));
        fw_unit_slot_put(slot->bytes, loaded, loaded_bytes);
        shared->model_names[sequence % FW_UNIT_MODELS_NAMED] = *hash;
        atomic_store_explicit(&shared->model_staged, sequence, memory_order_release);
        m->staged = *hash;
    }
    free(loaded);
    return status;
}

/* Files in the making of a courier that died. */
static void drop_temporaries(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char file[FW_PATH_MAX];
        size_t length = strlen(entry->d_name);
        if (length < 4 || length > 120 || strcmp(entry->d_name + length - 4, ".tmp") != 0) continue;
        snprintf(file, sizeof file, "%s/%.120s", path, entry->d_name);
        unlink(file);
    }
    closedir(folder);
}

/* Only the staged model and the one before it stay. */
static void prune(const fw_unit_models *m, const fw_hash *keep, const fw_hash *before) {
    DIR *folder = opendir(m->folder);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *name = entry->d_name;
        size_t length = strlen(name);
        if (length < 12 || strcmp(name + length - 12, ".safetensors") != 0) continue;
        if (strncmp(name, keep->hex, FW_HASH_HEX) == 0) continue;
        if (before->hex[0] && strncmp(name, before->hex, FW_HASH_HEX) == 0) continue;
        char path[FW_PATH_MAX];
        snprintf(path, sizeof path, "%s/%.100s", m->folder, name);
        unlink(path);
    }
    closedir(folder);
}

fw_status fw_unit_models_stage(fw_unit_models *m, const fw_hash *hash, const void *bytes,
                               size_t size_bytes, fw_error *error) {
    char path[FW_PATH_MAX], line[FW_HASH_HEX + 2];
    fw_hash before = m->staged, has;
    FW_TRY(fw_hash_bytes_try(bytes, size_bytes, &has, error));
    if (strcmp(has.hex, hash->hex) != 0)
        return fw_fail(error, FW_MISMATCH, "the model's bytes do not have the hash %.12s",
                       hash->hex);
    model_path(m, hash, path);
    if (!fw_file_exists(path))
        FW_TRY(fw_file_write_durable(m->env, path, bytes, size_bytes, error));
    fw_status status = fill_slot(m, hash, bytes, size_bytes, error);
    if (status != FW_OK) {
        unlink(path);
        return status;
    }
    fw_path_join(path, sizeof path, m->folder, "current");
    snprintf(line, sizeof line, "%.64s\n", hash->hex);
    status = fw_file_write_durable(m->env, path, line, strlen(line), error);
    if (status != FW_OK) fw_log_warn("unit: the model drives but is not remembered: %s", error->text);
    prune(m, hash, &before);
    return FW_OK;
}

fw_status fw_unit_models_open(fw_unit_models *m, const fw_unit_courier_config *config,
                              fw_unit_shared *shared, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    fw_hash current;
    fw_error why;
    *m = (fw_unit_models){.env = config->env, .shared = shared, .load = config->load};
    snprintf(m->folder, sizeof m->folder, "%s/models", config->data_folder);
    FW_TRY(fw_folder_make(m->folder, 0755, error));
    drop_temporaries(m->folder);
    drop_temporaries(config->data_folder);
    uint64_t staged = atomic_load(&shared->model_staged);
    if (staged != 0 && staged == atomic_load(&shared->model_writing)) { /* replaces one that died */
        m->staged = shared->model_names[staged % FW_UNIT_MODELS_NAMED];
        return FW_OK;
    }
    if (read_current(m, &current, &why) != FW_OK) return FW_OK;
    fw_status status = fw_unit_models_find(m, &current, &bytes, &size, &why);
    if (status == FW_OK) status = fill_slot(m, &current, bytes, size, &why);
    if (status != FW_OK)
        fw_log_warn("unit %u: the last model cannot be used: %s", config->unit, why.text);
    free(bytes);
    return FW_OK;
}

fw_hash fw_unit_models_name(const fw_unit_models *m, uint64_t sequence) {
    if (sequence == 0) return (fw_hash){{0}};
    return m->shared->model_names[sequence % FW_UNIT_MODELS_NAMED];
}
