/* bench_driving.c - how many agent-steps a second the simulator makes on one core, and what they cost where.
 *
 *     bench_driving [--smoke] [--seconds S] [--repeats N] [--traffic NAME] [--csv FILE] [--suite FILE] [SCENARIO.mcap ...]
 *
 * One agent-step: a driven car's look at the world (fw_sim_observe: view and features) and its tick
 * (fw_sim_step: its bicycle, its box against others', the area, the goal, the reward, the others' cars). The
 * driver here costs nothing to speak of: pure pursuit, and an acceleration that keeps the log's speed.
 * Scenarios that are named, or listed by a suite, are driven again and again, every start in turn (self-play: all cars that have a
 * route, from the scenario's begin); without any, a street of 48 cars in three lanes made by arithmetic, and a
 * unit's recording made likewise. CPU time; the best and the median of the repeats.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../tests/lines/street.h"
#include "../tests/lines/synthetic.h"
#include "lines/driving/learn/scenario/suite.h"
#include "lines/driving/learn/sim/sim.h"

enum { SCENARIOS_MAX = 256, REPEATS_MAX = 32 };

typedef struct world {
    fw_sim *sim;
    fw_scenario *const *scenarios;
    uint32_t scenario_count;
    uint32_t scenario, start; /* next to drive */
    fw_sim_traffic traffic;
} world;

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Begins the next drive that can begin. */
static void begin_next(world *w) {
    for (;;) {
        const fw_scenario *s = w->scenarios[w->scenario];
        uint32_t tracks[FW_SIM_AGENTS_MAX], count = 0;
        fw_sim_start start = {.scenario = s, .traffic = w->traffic, .tracks = tracks};
        if (w->traffic == FW_SIM_SELF_PLAY) {
            for (uint32_t k = 0; k < s->track_count && count < FW_SIM_AGENTS_MAX; k++)
                if (s->tracks[k].route != FW_SCENARIO_NONE) tracks[count++] = k;
            w->start = s->start_count;
        } else {
            start.tick = s->starts[w->start].tick;
            tracks[count++] = s->starts[w->start++].track;
        }
        start.track_count = count;
        if (w->start >= s->start_count) w->start = 0, w->scenario = (w->scenario + 1) % w->scenario_count;
        if (fw_sim_begin(w->sim, &start, NULL) == FW_OK) return;
    }
}

typedef struct figures {
    uint64_t agent_steps, world_steps, begins;
    double users; /* sum of users seen */
} figures;

/* Drives for about `seconds`; agents' steps, and what they took. */
static double drive(world *w, bool observe, double seconds, figures *f) {
    static float features[FW_SIM_AGENTS_MAX * FW_FEATURES];
    static fw_drive_view views[FW_SIM_AGENTS_MAX];
    fw_drive_action actions[FW_SIM_AGENTS_MAX];
    fw_sim_outcome outcomes[FW_SIM_AGENTS_MAX];
    double began = cpu_s(), now = began;
    *f = (figures){0};
    begin_next(w);
    do {
        for (int i = 0; i < 200; i++) {
            if (fw_sim_over(w->sim)) begin_next(w), f->begins++;
            if (observe) fw_sim_observe(w->sim, features, views);
            uint32_t agents = fw_sim_agents(w->sim);
            for (uint32_t a = 0; a < agents; a++) {
                if (!fw_sim_running(w->sim, a)) continue;
                float bend = observe ? views[a].pursuit_pm : 0;
                float gap = observe ? views[a].leader.gap_m : 100;
                actions[a] = (fw_drive_action){gap < 12 ? -2.0f : 0.3f, bend};
                f->agent_steps++;
                f->users += observe ? (double)views[a].user_count : 0;
            }
            fw_sim_step(w->sim, actions, outcomes);
            f->world_steps++;
        }
        now = cpu_s();
    } while (now - began < seconds);
    return now - began;
}

static int ascending(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

typedef struct options {
    double seconds;
    int repeats;
    const char *traffic; /* NULL: all */
    const char *suite;   /* NULL: scenarios by name, or made */
    FILE *csv;
} options;

static void row(const options *o, const char *what, world *w, bool observe) {
    double rates[REPEATS_MAX];
    figures f = {0};
    for (int i = 0; i < o->repeats; i++) {
        double took = drive(w, observe, o->seconds, &f);
        rates[i] = (double)f.agent_steps / took;
    }
    qsort(rates, (size_t)o->repeats, sizeof *rates, ascending);
    double best = rates[o->repeats - 1], median = rates[o->repeats / 2];
    double agents = (double)f.agent_steps / (double)f.world_steps;
    const char *name = fw_sim_traffic_name(w->traffic), *step = observe ? "step + observation" : "step";
    printf("%-10s %-10s %-19s %9.0f k/s best, %9.0f k/s median; %5.1f agents a world, %4.1f users seen, %u begins\n", what,
           name, step, best / 1e3, median / 1e3, agents, f.users / (double)f.agent_steps, (unsigned)f.begins);
    if (o->csv)
        fprintf(o->csv, "%s,%s,%s,%.0f,%.0f,%.2f,%.2f\n", what, name, step, best, median, agents,
                f.users / (double)f.agent_steps);
}

static int rows(const options *o, const char *what, fw_scenario *const *scenarios, uint32_t count, bool scene) {
    world w = {.scenarios = scenarios, .scenario_count = count};
    fw_error error;
    if (fw_sim_new(1, &w.sim, &error) != FW_OK) {
        fprintf(stderr, "bench_driving: %s\n", error.text);
        return 1;
    }
    for (int traffic = FW_SIM_SELF_PLAY; traffic >= 0; traffic--) {
        if (!scene && traffic == FW_SIM_SELF_PLAY) continue; /* a unit's recording has one route */
        w.traffic = (fw_sim_traffic)traffic;
        if (o->traffic && strcmp(o->traffic, fw_sim_traffic_name(w.traffic)) != 0) continue;
        w.scenario = w.start = 0;
        row(o, what, &w, false);
        row(o, what, &w, true);
    }
    fw_sim_free(w.sim);
    return 0;
}

/* A street of cars in three lanes, about 12 m from rear to rear, all as fast as each other. */
static fw_scenario *made_street(void) {
    enum { CARS = 48 };
    street_car cars[CARS];
    for (uint32_t k = 0; k < CARS; k++)
        cars[k] = (street_car){.x_m = 12 * (float)(k / 3) + 1e-3f * (float)(k * k), .y_m = 4 * (float)(k % 3) - 4, .speed_mps = 10};
    return street(cars, CARS, 160);
}

static fw_scenario *made_unit(void) {
    fw_drive_recording *recording = synthetic_recording(300, 10);
    fw_scenario *scenario = NULL;
    fw_error error;
    if (fw_scenario_of_unit(recording, fw_vehicles_builtin(), &scenario, &error) != FW_OK)
        fprintf(stderr, "bench_driving: %s\n", error.text);
    fw_drive_recording_free(recording);
    return scenario;
}

static int run_made(const options *o) {
    fw_scenario *s = made_street(), *unit = made_unit();
    int rc = unit ? rows(o, "made", &s, 1, true) || rows(o, "unit", &unit, 1, false) : 1;
    fw_scenario_free(s);
    fw_scenario_free(unit);
    return rc;
}

static int run_files(const options *o, char **files, int count) {
    static fw_scenario *scenes[SCENARIOS_MAX], *units[SCENARIOS_MAX];
    uint32_t scene_count = 0, unit_count = 0;
    fw_error error;
    for (int i = 0; i < count; i++) {
        fw_scenario *s;
        if (fw_scenario_read(files[i], fw_vehicles_builtin(), &s, &error) != FW_OK || s->start_count == 0) {
            fprintf(stderr, "bench_driving: %s passed over: %s\n", files[i], error.text);
            continue;
        }
        if (s->scene && scene_count < SCENARIOS_MAX) scenes[scene_count++] = s;
        else if (!s->scene && unit_count < SCENARIOS_MAX) units[unit_count++] = s;
        else fw_scenario_free(s);
    }
    int rc = scene_count + unit_count == 0;
    if (scene_count) rc |= rows(o, "scenes", scenes, scene_count, true);
    if (unit_count) rc |= rows(o, "units", units, unit_count, false);
    for (uint32_t i = 0; i < scene_count; i++) fw_scenario_free(scenes[i]);
    for (uint32_t i = 0; i < unit_count; i++) fw_scenario_free(units[i]);
    return rc;
}

/* The files of a suite. */
static int run_suite(const options *o) {
    static char paths[SCENARIOS_MAX][FW_PATH_MAX], *files[SCENARIOS_MAX];
    fw_suite suite;
    fw_error error;
    fw_status status = fw_suite_read(o->suite, &suite, &error);
    int count = 0;
    if (status == FW_OK) {
        for (uint32_t i = 0; status == FW_OK && i < suite.count && i < SCENARIOS_MAX; i++, count++) {
            status = fw_suite_path(o->suite, &suite.items[i], paths[i], &error);
            files[i] = paths[i];
        }
        fw_suite_clear(&suite);
    }
    if (status == FW_OK) return run_files(o, files, count);
    fprintf(stderr, "bench_driving: %s\n", error.text);
    return 1;
}

int main(int argc, char **argv) {
    options o = {.seconds = 1, .repeats = 5};
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        bool more = at + 1 < argc;
        if (strcmp(argv[at], "--smoke") == 0) o.seconds = 0.01, o.repeats = 1;
        else if (strcmp(argv[at], "--seconds") == 0 && more) o.seconds = atof(argv[++at]);
        else if (strcmp(argv[at], "--repeats") == 0 && more) o.repeats = atoi(argv[++at]);
        else if (strcmp(argv[at], "--traffic") == 0 && more) o.traffic = argv[++at];
        else if (strcmp(argv[at], "--suite") == 0 && more) o.suite = argv[++at];
        else if (strcmp(argv[at], "--csv") == 0 && more) {
            o.csv = fopen(argv[++at], "w");
            if (!o.csv) return perror(argv[at]), 1;
        }
        else break;
    }
    if ((at < argc && argv[at][0] == '-') || o.repeats < 1 || o.repeats > REPEATS_MAX) {
        fprintf(stderr, "usage: bench_driving [--smoke] [--seconds S] [--repeats N] [--traffic NAME] [--csv FILE] [--suite FILE] [SCENARIO.mcap ...]\n");
        return 2;
    }
    if (o.csv) fprintf(o.csv, "scenarios,traffic,what,best_per_s,median_per_s,agents,users\n");
    int rc = o.suite ? run_suite(&o) : at < argc ? run_files(&o, argv + at, argc - at) : run_made(&o);
    if (o.csv && fclose(o.csv) != 0) rc = 1;
    return rc;
}
