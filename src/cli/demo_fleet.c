/* demo_fleet.c - the conductor's children; see demo.h */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "cli/demo.h"

enum { STOP_MS = 10000, POLL_MS = 50, SILENCE_MS = 180000, FACTORY_UP_MS = 30000,
       READY_MS = 180000 };

static volatile sig_atomic_t stop_asked;

static void ask_stop(int sig) {
    (void)sig;
    stop_asked = 1;
}

bool fw_demo_stopping(void) { return stop_asked != 0; }

void fw_demo_catch_signals(void) {
    struct sigaction action = {.sa_handler = ask_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void log_path(const fw_demo *demo, const char *name, char path[FW_PATH_MAX]) {
    char file[64];
    snprintf(file, sizeof file, "%s.log", name);
    fw_path_join(path, FW_PATH_MAX, demo->logs, file);
}

/* "name ended: its last words", for the person who has to do something. */
static fw_status fail_child(const fw_demo *demo, const char *name, fw_error *error) {
    char path[FW_PATH_MAX], words[240];
    log_path(demo, name, path);
    fw_child_last_words(path, words, sizeof words);
    return fw_fail(error, FW_IO, "the %s did not stay up: %s", name, words);
}

static fw_status start_child(fw_demo *demo, fw_child_spec spec, fw_child *child, fw_error *error) {
    char log[FW_PATH_MAX];
    log_path(demo, spec.name, log);
    spec.log_path = log;
    return fw_child_start(&spec, child, error);
}

/* Adds words to an argument list that ends with NULL. */
static void add_words(const char **argv, size_t room, const char *const *words) {
    size_t n = 0;
    while (argv[n]) n++;
    for (size_t i = 0; words && words[i]; i++) {
        FW_ASSERT(n + 1 < room);
        argv[n++] = words[i];
    }
    argv[n] = NULL;
}

static fw_status spawn_factory(fw_demo *demo, fw_error *error) {
    char data[FW_PATH_MAX], cap[32], threads[16];
    fw_path_join(data, sizeof data, demo->base, "factory");
    snprintf(cap, sizeof cap, "%" PRIu64, demo->options->disk_cap_bytes / 4 * 3);
    const char *argv[FW_CHILD_ARGS_MAX] = {demo->serve_program, "serve", "--data", data, "--listen",
                                           demo->options->listen, "--disk-cap-bytes", cap};
    snprintf(threads, sizeof threads, "%" PRIu64, demo->options->factory_threads);
    const char *const more[] = {"--threads", threads, NULL};
    if (demo->options->factory_threads) add_words(argv, FW_CHILD_ARGS_MAX, more);
    FW_TRY(fw_folder_make(data, 0700, error));
    return start_child(demo, (fw_child_spec){.name = "factory", .argv = argv}, &demo->serve,
                       error);
}

/* Waits until a child that serves HTTP answers at `path`. */
static fw_status wait_answer(fw_demo *demo, fw_child *child, fw_demo_factory *at, const char *path,
                             fw_error *error) {
    const fw_env *env = fw_env_real();
    int64_t deadline = fw_env_mono_ns(env) + FACTORY_UP_MS * INT64_C(1000000);
    for (;;) {
        json_t *answer = NULL;
        bool running = fw_child_running(child);
        if (running && fw_demo_factory_get(at, path, &answer, error) == FW_OK) {
            json_decref(answer);
            return FW_OK;
        }
        if (fw_demo_stopping()) return fw_fail(error, FW_INTERRUPTED, "stopped");
        if (!running || fw_env_mono_ns(env) > deadline) return fail_child(demo, child->name, error);
        fw_env_sleep_ns(env, POLL_MS * INT64_C(1000000));
    }
}

/* Whoever answers before our child has started is somebody else's program. */
static fw_status refuse_taken(fw_demo_factory *at, const char *path, fw_error *error) {
    json_t *answer = NULL;
    fw_error ignored;
    fw_status status = fw_demo_factory_get(at, path, &answer, &ignored);
    json_decref(answer);
    if (status == FW_BUSY) return FW_OK;
    return fw_fail(error, FW_BUSY, "another program answers at %s: stop it, or choose another "
                   "--listen ADDRESS:PORT (the next port is used as well)", at->base_url);
}

fw_status fw_demo_start_factory(fw_demo *demo, fw_error *error) {
    FW_TRY(refuse_taken(&demo->factory, "/v1/status", error));
    if (!demo->options->no_examiner) FW_TRY(refuse_taken(&demo->examiner, "/exams.json", error));
    FW_TRY(spawn_factory(demo, error));
    return wait_answer(demo, &demo->serve, &demo->factory, "/v1/status", error);
}

static fw_status spawn_door(fw_demo *demo, fw_error *error) {
    const char *const argv[] = {demo->world_program, "exam-serve", "--store", demo->store,
                                "--listen", demo->exam_listen, NULL};
    return start_child(demo, (fw_child_spec){.name = "examiner", .argv = argv}, &demo->door, error);
}

fw_status fw_demo_start_door(fw_demo *demo, fw_error *error) {
    FW_TRY(spawn_door(demo, error));
    return wait_answer(demo, &demo->door, &demo->examiner, "/exams.json", error);
}

static fw_status spawn_unit(fw_demo *demo, uint32_t index, fw_error *error) {
    char name[32], number[16], spool[32], folder[FW_PATH_MAX], root[FW_PATH_MAX];
    fw_path_join(root, sizeof root, demo->base, "factory/trust/root.json"); /* the owner's word, not the network's */
    snprintf(spool, sizeof spool, "%" PRIu64,
             demo->options->disk_cap_bytes / 8 / demo->options->cars); /* an eighth for all spools */
    snprintf(number, sizeof number, "%u", index);
    snprintf(name, sizeof name, "unit-%u", index);
    int size = snprintf(folder, sizeof folder, "%s/units/%u", demo->base, index);
    if (size < 0 || (size_t)size >= sizeof folder)
        return fw_fail(error, FW_TOO_BIG, "%s: too long a path", demo->base);
    FW_TRY(fw_folder_make(folder, 0700, error));
    const char *argv[FW_CHILD_ARGS_MAX] = {demo->unit_program, "--unit", number, "--bus", demo->bus,
                                           "--data", folder, "--factory", demo->factory.base_url,
                                           "--spool-max-bytes", spool, "--root", root};
    add_words(argv, FW_CHILD_ARGS_MAX, demo->options->unit_words);
    return start_child(demo, (fw_child_spec){.name = name, .argv = argv},
                       &demo->unit[index], error);
}

/* The seed of a world: one for a whole run; another for a start that goes on, or after a death. */
static uint64_t world_seed(const fw_demo *demo) {
    char name[64] = "world";
    if (demo->first_phase || demo->deaths_world)
        snprintf(name, sizeof name, "world/%u/%u", demo->first_phase, demo->deaths_world);
    return fw_seed_mix(demo->options->seed, name) & (UINT64_MAX >> 1);
}

static fw_status spawn_world(fw_demo *demo, fw_error *error) {
    char seed[32], cars[16];
    const char *network = demo->options->network ? demo->options->network : "acosta";
    const char *argv[FW_CHILD_ARGS_MAX] = {demo->world_program, "sumo", "--network", network, "--seed",
                                           seed, "--cars", cars, "--bus", demo->bus, "--mode",
                                           "drive-results"};
    const char *const realtime[] = {"--realtime", NULL};
    snprintf(seed, sizeof seed, "%" PRIu64, world_seed(demo));
    snprintf(cars, sizeof cars, "%" PRIu64, demo->options->cars);
    if (demo->options->realtime) add_words(argv, FW_CHILD_ARGS_MAX, realtime);
    add_words(argv, FW_CHILD_ARGS_MAX, demo->options->world_words);
    demo->world_ready = false;
    memset(&demo->lines, 0, sizeof demo->lines);
    return start_child(demo, (fw_child_spec){.name = "world", .argv = argv, .lines = true},
                       &demo->world, error);
}

static fw_status revive(fw_demo *demo, fw_child *child, uint32_t *deaths, const char *name,
                        fw_error *error) {
    if (fw_demo_stopping()) return fw_fail(error, FW_INTERRUPTED, "stopped");
    demo->faults++;
    if (++*deaths > FW_DEMO_DEATHS_MAX) return fail_child(demo, name, error);
    fw_log_warn("%s ended (wait status %d); starting it again", name, child->wait_status);
    return FW_OK;
}

/* Exams beside the loop are a view of it: a failed one is said and forgotten. */
static void pump_background(fw_demo *demo) {
    bool all_done = false;
    fw_error why;
    if (demo->background && fw_demo_exams_pump(demo->background, &all_done, &why) != FW_OK)
        fw_log_warn("%s", why.text);
}

fw_status fw_demo_supervise(fw_demo *demo, fw_error *error) {
    if (fw_demo_stopping()) return fw_fail(error, FW_INTERRUPTED, "stopped");
    pump_background(demo);
    if (!fw_child_running(&demo->serve)) {
        FW_TRY(revive(demo, &demo->serve, &demo->deaths_serve, "factory", error));
        FW_TRY(spawn_factory(demo, error));
    }
    if (demo->door.name[0] && !fw_child_running(&demo->door)) {
        FW_TRY(revive(demo, &demo->door, &demo->deaths_door, "examiner", error));
        FW_TRY(spawn_door(demo, error));
    }
    for (uint32_t i = 0; i < demo->options->cars; i++) {
        if (demo->unit[i].name[0] == 0 || fw_child_running(&demo->unit[i])) continue;
        FW_TRY(revive(demo, &demo->unit[i], &demo->deaths_unit[i], demo->unit[i].name, error));
        FW_TRY(spawn_unit(demo, i, error));
    }
    return FW_OK;
}

static void add_counts(json_t *sums, const json_t *counts) {
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)counts, name, value) {
        json_int_t sum = json_integer_value(json_object_get(sums, name));
        json_object_set_new(sums, name, json_integer(sum + json_integer_value(value)));
    }
}

/* Counts on: a unit that started anew counts from 0 again. */
static void note_recordings(fw_demo *demo, const json_t *unit) {
    uint64_t index = (uint64_t)json_integer_value(json_object_get(unit, "unit"));
    uint64_t now = (uint64_t)json_integer_value(json_object_get(unit, "recordings"));
    if (index >= FW_DEMO_UNITS_MAX) return;
    if (now < demo->counted[index]) demo->counted[index] = 0;
    demo->expected[index] += now - demo->counted[index];
    demo->counted[index] = now;
    uint64_t lost = (uint64_t)json_integer_value(json_object_get(unit, "lost_bytes"));
    demo->faults += lost > demo->lost_bytes[index];
    demo->lost_bytes[index] = lost;
}

static void note_paused(fw_demo *demo, json_t *event) {
    json_t *unit = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(event, "units"), i, unit) {
        note_recordings(demo, unit);
        const char *model = json_string_value(json_object_get(unit, "model"));
        demo->misses += (uint64_t)json_integer_value(json_object_get(unit, "misses"));
        demo->faults += (uint32_t)json_integer_value(json_object_get(unit, "cuts"));
        if (model == NULL || model[0] == 0) continue;
        json_t *sums = json_object_get(demo->veto_by_model, model);
        if (sums == NULL)
            json_object_set_new(demo->veto_by_model, model, sums = json_pack("{s:i}", "ticks", 0));
        json_t *part = json_pack("{s:O?, s:O?}", "ticks", json_object_get(unit, "ticks"), "vetoes",
                                 json_object_get(unit, "vetoes"));
        add_counts(sums, part);
        json_decref(part);
    }
    add_counts(demo->truth, json_object_get(event, "drives"));
    json_decref(demo->paused);
    demo->paused = json_incref(event);
}

/* One event of the world. *paused is set by "paused". */
static void take_event(fw_demo *demo, json_t *event, bool *paused) {
    const char *name = json_string_value(json_object_get(event, "event"));
    if (name == NULL) return;
    if (strcmp(name, "ready") == 0) demo->world_ready = true;
    const bool planned = json_is_true(json_object_get(event, "planned"));
    if (strcmp(name, "restarted") == 0 && !planned) {
        demo->sumo_restarts++;
        demo->faults++;
        fw_log_warn("SUMO was gone; the world started a new one");
    }
    if (strcmp(name, "error") == 0)
        fw_log_warn("world: %s", json_string_value(json_object_get(event, "error")));
    if (strcmp(name, "paused") == 0) {
        note_paused(demo, event);
        *paused = true;
    }
}

/* Listens to the world until it is ready (want_ready) or paused. FW_CLOSED when it died. */
static fw_status listen_world(fw_demo *demo, bool want_ready, int silence_ms, fw_error *error) {
    bool paused = false;
    int silent_ms = 0;
    while (want_ready ? !demo->world_ready : !paused) {
        json_t *event = NULL;
        FW_TRY(fw_demo_supervise(demo, error));
        fw_status status = fw_demo_lines_next(&demo->lines, demo->world.out_fd, POLL_MS, &event,
                                              error);
        if (status == FW_OK) {
            silent_ms = 0;
            take_event(demo, event, &paused);
            json_decref(event);
        } else if (status == FW_TIMEOUT) {
            silent_ms += POLL_MS;
        }
        if (status == FW_CLOSED || status == FW_CORRUPT || silent_ms > silence_ms) {
            fw_child_stop(&demo->world, SIGTERM, 1000);
            return fw_fail(error, FW_CLOSED, "the world fell silent; see %s/world.log", demo->logs);
        }
    }
    return FW_OK;
}

fw_status fw_demo_start_fleet(fw_demo *demo, fw_error *error) {
    FW_TRY(spawn_world(demo, error));
    for (uint32_t i = 0; i < demo->options->cars; i++) FW_TRY(spawn_unit(demo, i, error));
    fw_status status = listen_world(demo, true, READY_MS, error);
    return status == FW_CLOSED ? fail_child(demo, "world", error) : status;
}

static fw_status revive_world(fw_demo *demo, fw_error *error) {
    fw_status status = FW_CLOSED;
    while (status == FW_CLOSED) {
        FW_TRY(revive(demo, &demo->world, &demo->deaths_world, "world", error));
        FW_TRY(spawn_world(demo, error));
        status = listen_world(demo, true, READY_MS, error);
    }
    return status;
}

fw_status fw_demo_run(fw_demo *demo, uint32_t ticks, bool close, fw_error *error) {
    char line[64];
    snprintf(line, sizeof line, "%s %u", close ? "run" : "go", ticks);
    for (;;) {
        fw_status status = FW_CLOSED;
        if (fw_child_running(&demo->world)) status = fw_demo_lines_tell(demo->world.in_fd, line, error);
        if (status == FW_OK) status = listen_world(demo, false, SILENCE_MS, error);
        if (status == FW_OK) demo->ticks_total += ticks;
        if (status != FW_CLOSED) return status;
        FW_TRY(revive_world(demo, error));
    }
}

void fw_demo_stop_fleet(fw_demo *demo) {
    if (fw_child_running(&demo->world)) (void)!fw_demo_lines_tell(demo->world.in_fd, "quit", NULL);
    fw_child_stop(&demo->world, 0, STOP_MS / 2);
    for (uint32_t i = 0; i < FW_DEMO_UNITS_MAX; i++)
        if (demo->unit[i].pid) kill(demo->unit[i].pid, SIGTERM);
    for (uint32_t i = 0; i < FW_DEMO_UNITS_MAX; i++) {
        fw_child_stop(&demo->unit[i], SIGTERM, STOP_MS);
        demo->unit[i].name[0] = 0;
    }
}

void fw_demo_stop_all(fw_demo *demo) {
    fw_demo_stop_fleet(demo);
    fw_child_stop(&demo->serve, SIGTERM, STOP_MS);
    fw_child_stop(&demo->door, SIGTERM, STOP_MS);
}
