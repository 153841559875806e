/* repositories.h - a factory's two signed repositories for tests of the whole program: FOLDER/image, FOLDER/director
 * (of one unit), FOLDER/root.json for the unit's owner; served as /v1/tuf/image/F and /v1/tuf/director/UNIT/F. */
#ifndef FW_TESTS_UNIT_REPOSITORIES_H
#define FW_TESTS_UNIT_REPOSITORIES_H

#include "http/server.h"
#include "trust/repository.h"
#include "trust/uptane.h"

typedef struct repositories {
    char folder[64], root_path[96], unit[16];
    fw_repository *image, *director;
    char path[128]; /* what the director names */
    int64_t counter;
} repositories;

static inline fw_repository *repositories_open(const char *folder, const char *name, const char *unit) {
    char path[128], keys[128];
    fw_repository *made = NULL;
    fw_error error;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(keys, sizeof keys, "%s/%s-keys", folder, name);
    fw_repository_config config = {.env = fw_env_real(), .folder = path, .keys = keys, .unit = unit};
    if (fw_repository_open(&config, &made, &error) != FW_OK) fail_msg("%s", error.text);
    return made;
}

static inline void repositories_make(repositories *r, uint32_t unit) {
    char *image = NULL, *director = NULL, *bundle = NULL;
    size_t image_bytes = 0, director_bytes = 0;
    fw_error error;
    *r = (repositories){.counter = 0};
    make_folder(r->folder);
    snprintf(r->unit, sizeof r->unit, "%u", unit);
    snprintf(r->root_path, sizeof r->root_path, "%s/root.json", r->folder);
    r->image = repositories_open(r->folder, "image", NULL);
    r->director = repositories_open(r->folder, "director", r->unit);
    assert_int_equal(fw_repository_publish(r->image, &error), FW_OK);
    assert_int_equal(fw_repository_publish(r->director, &error), FW_OK);
    assert_int_equal(fw_repository_root(r->image, &image, &image_bytes, &error), FW_OK);
    assert_int_equal(fw_repository_root(r->director, &director, &director_bytes, &error), FW_OK);
    int size = asprintf(&bundle, "{\"image\":%.*s,\"director\":%.*s}", (int)image_bytes, image, (int)director_bytes,
                        director);
    assert_true(size > 0);
    assert_int_equal(fw_file_write_durable(fw_env_real(), r->root_path, bundle, (size_t)size, &error), FW_OK);
    free(image), free(director), free(bundle);
}

static inline void repositories_drop(repositories *r) {
    fw_repository_close(r->image);
    fw_repository_close(r->director);
    drop_folder(r->folder);
}

/* Released, and what the unit is to run. */
static inline void repositories_assign(repositories *r, const fw_hash *sha256, size_t length_bytes) {
    fw_error error;
    char path[128];
    json_t *custom = json_pack("{s:[s],s:I}", "hardware_ids", "flywheel-unit", "release_counter",
                               (json_int_t)++r->counter);
    snprintf(path, sizeof path, "driving/%.64s.safetensors", sha256->hex);
    assert_int_equal(fw_repository_set(r->image, path, length_bytes, sha256, custom, &error), FW_OK);
    assert_int_equal(fw_repository_publish(r->image, &error), FW_OK);
    json_object_set_new(custom, "unit", json_string(r->unit));
    if (r->path[0] && strcmp(r->path, path) != 0)
        assert_int_equal(fw_repository_remove(r->director, r->path, &error), FW_OK);
    assert_int_equal(fw_repository_set(r->director, path, length_bytes, sha256, custom, &error), FW_OK);
    assert_int_equal(fw_repository_publish(r->director, &error), FW_OK);
    snprintf(r->path, sizeof r->path, "%s", path);
    json_decref(custom);
}

/* Answers what is asked below /v1/tuf/. */
static inline void repositories_serve(const repositories *r, const char *asked, fw_http_response *response) {
    char path[300], *bytes = NULL;
    size_t size = 0;
    const char *file = strrchr(asked, '/') + 1;
    bool image = strncmp(asked, "/v1/tuf/image/", 14) == 0;
    snprintf(path, sizeof path, "%s/%s/%s", r->folder, image ? "image" : "director", file);
    if (fw_file_read(path, FW_REPOSITORY_METADATA_MAX, &bytes, &size, NULL) != FW_OK) {
        fw_http_respond_error(response, 404, "not here");
        return;
    }
    response->status = 200;
    response->content_type = "application/json";
    response->body = bytes;
    response->body_bytes = size;
}

#endif
