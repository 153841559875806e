/* experiment_place.c - see experiment_place.h */
#include "cli/experiment_place.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/experiment_files.h"

enum { DISK_CAP_BYTES = 2000 << 20, FOLDER_MODE = 0700 };

static fw_status make_folders(const fw_experiment *e, const char *name, const char *snapshot, fw_demo *demo,
                              fw_error *error) {
    char to[FW_PATH_MAX];
    /* a folder of its own: what a killed run left may still be ending */
    snprintf(demo->base, sizeof demo->base, "%.300s/running/%s.%ld", e->root, name, (long)getpid());
    FW_TRY(fw_folder_remove(demo->base, error));
    FW_TRY(fw_folder_make(demo->base, FOLDER_MODE, error));
    fw_path_join(demo->logs, sizeof demo->logs, demo->base, "logs");
    fw_path_join(demo->models, sizeof demo->models, demo->base, "models");
    FW_TRY(fw_folder_make(demo->logs, FOLDER_MODE, error));
    FW_TRY(fw_folder_make(demo->models, FOLDER_MODE, error));
    snprintf(demo->bus, sizeof demo->bus, "/tmp/flywheel-%u-%ld.sock", getuid(), (long)getpid());
    fw_path_join(to, sizeof to, demo->base, "factory");
    return snapshot ? fw_experiment_copy(snapshot, to, error) : FW_OK;
}

fw_status fw_experiment_place_open(const fw_experiment *e, const char *name, const char *snapshot, uint64_t seed,
                                   const char *conditions, fw_experiment_place *place, fw_error *error) {
    static const char *const unit_words[] = {"--record", "campaigns", NULL};
    const fw_experiment_settings *s = &e->set;
    fw_demo *demo = &place->demo;
    uint16_t port = 0;
    FW_TRY(fw_experiment_port(&port, error));
    snprintf(place->listen, sizeof place->listen, "127.0.0.1:%u", port);
    snprintf(place->conditions, sizeof place->conditions, "%s", conditions);
    if (conditions[0]) place->world_words[0] = "--conditions", place->world_words[1] = place->conditions;
    place->options = (fw_demo_options){.data = e->root, .listen = place->listen, .seed = seed, .cars = s->cars,
                                       .ticks = s->ticks, .agent_steps = s->agent_steps,
                                       .disk_cap_bytes = DISK_CAP_BYTES, .headless = true, .parked = true,
                                       .unit_words = unit_words, .world_words = place->world_words,
                                       .no_examiner = true, .factory_threads = e->jobs > 1 ? 1 : 2};
    demo->options = &place->options;
    snprintf(demo->factory.base_url, sizeof demo->factory.base_url, "http://%s", place->listen);
    snprintf(demo->serve_program, sizeof demo->serve_program, "%s", e->program);
    snprintf(demo->unit_program, sizeof demo->unit_program, "%s", e->unit_program);
    snprintf(demo->world_program, sizeof demo->world_program, "%s", e->world_program);
    demo->veto_by_model = json_object();
    demo->truth = json_object();
    FW_TRY(make_folders(e, name, snapshot, demo, error));
    return fw_http_client_curl(&demo->factory.http, error);
}

void fw_experiment_place_close(fw_experiment_place *place) {
    fw_demo *demo = &place->demo;
    fw_demo_stop_all(demo);
    if (demo->bus[0]) unlink(demo->bus);
    if (demo->factory.http.free) demo->factory.http.free(demo->factory.http.self);
    json_decref(demo->veto_by_model);
    json_decref(demo->truth);
    json_decref(demo->paused);
}

fw_status fw_experiment_model_file(fw_experiment_place *place, const fw_hash *hash, char path[FW_PATH_MAX],
                                   fw_error *error) {
    char name[FW_HASH_HEX + 16];
    snprintf(name, sizeof name, "%s.safetensors", hash->hex);
    fw_path_join(path, FW_PATH_MAX, place->demo.models, name);
    return fw_demo_factory_fetch(&place->demo.factory, hash->hex, path, error);
}
