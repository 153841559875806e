/* flywheel train: a driving candidate out of recordings, without a factory. */
#include "cli/cmd_train.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/env.h"
#include "base/file.h"
#include "base/pace.h"
#include "cli/cli.h"
#include "cli/train_sources.h"
#include "lines/driving/learn/learn.h"
#include "lines/driving/learn/score/driver.h"
#include "nn/train/checkpoint.h"
#include "nn/train/cpu/dnnl.h"

enum { THREADS_MAX = 16, SAY_EVERY_MS = 5000, SHOW_EVERY_MS = 250 };

const char *const fw_train_help =
    "usage: flywheel train --recordings FILE|FOLDER... --out MODEL [OPTIONS]\n"
    "       flywheel train --suite FILE... --out MODEL [OPTIONS]\n"
    "       mpirun -n N flywheel train ...\n\n"
    "Trains a driving model on recordings, without a factory. Same recordings, seed, version and CPU\n"
    "class: same model, bit for bit, whatever the threads and ranks.\n\n"
    "  --recordings FILE   a recording, or a folder whose *.mcap are taken; more may follow\n"
    "  --suite FILE        the files a suite lists; one with sealed items is refused; may come again\n"
    "  --leave-sealed      takes such suites' other items\n"
    "  --out MODEL         what is written, when all is done\n"
    "  --base MODEL        goes on from this model (default: from scratch)\n"
    "  --imitation-steps N first, so many decisions beside the people in recorded scenes (default 0)\n"
    "  --agent-steps N     how long: decisions of simulated cars (default 2000000); 0: imitation is all\n"
    "  --seed N            of everything random (default 1)\n"
    "  --threads N         of each process (default: the processors, shared out)\n"
    "  --ranks N           1, 2, 4 or 8 processes over MPI (default 1)\n"
    "  --curve FILE.csv    a line for each update: losses, entropy, share of clean drives\n"
    "  --json              the result as JSON\n";

/* Out of argv: --suite may come again, and all of them count. */
static fw_status take_suites(int *argc, char **argv, fw_train_words *w, fw_error *error) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--suite") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *value = ++i < *argc ? argv[i] : "";
        if (!*value || strncmp(value, "--", 2) == 0 || strlen(value) >= FW_PATH_MAX)
            return fw_fail(error, FW_INVALID, "--suite needs a file's path");
        if (w->suite_count == FW_TRAIN_SUITES_MAX)
            return fw_fail(error, FW_INVALID, "--suite: at most %d", FW_TRAIN_SUITES_MAX);
        w->suites[w->suite_count++] = value;
    }
    *argc = kept;
    return FW_OK;
}

fw_status fw_train_read(int argc, char **argv, fw_train_words *w, fw_error *error) {
    static const char *const flags[] = {"--json", "--help", "--leave-sealed", NULL};
    const char *first = NULL;
    *w = (fw_train_words){.agent_steps = 2000000, .seed = 1};
    const fw_arg table[] = {{"--recordings", FW_ARG_TEXT, &first, 1, FW_PATH_MAX - 1},
                            {"--out", FW_ARG_TEXT, &w->out, 1, FW_PATH_MAX - 1},
                            {"--base", FW_ARG_TEXT, &w->base, 1, FW_PATH_MAX - 1},
                            {"--curve", FW_ARG_TEXT, &w->curve, 1, FW_PATH_MAX - 1},
                            {"--leave-sealed", FW_ARG_FLAG, &w->leave_sealed, 0, 0},
                            {"--imitation-steps", FW_ARG_U64, &w->imitation_steps, 0, 1ull << 40},
                            {"--agent-steps", FW_ARG_U64, &w->agent_steps, 0, 1ull << 40},
                            {"--seed", FW_ARG_U64, &w->seed, 0, INT64_MAX},
                            {"--threads", FW_ARG_U64, &w->threads, 1, THREADS_MAX},
                            {"--ranks", FW_ARG_U64, &w->ranks, 1, 8},
                            {"--json", FW_ARG_FLAG, &w->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &w->help, 0, 0}};
    FW_TRY(take_suites(&argc, argv, w, error));
    FW_TRY(fw_cli_words(&argc, argv, flags, w->sources, FW_TRAIN_SOURCES_MAX, &w->source_count,
                        error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (w->help) return FW_OK;
    if (first) w->sources[w->source_count++] = first;
    if (w->source_count + w->suite_count == 0)
        return fw_fail(error, FW_INVALID, "say --recordings FILE or FOLDER, or --suite FILE");
    if (w->imitation_steps + w->agent_steps == 0)
        return fw_fail(error, FW_INVALID, "say --agent-steps or --imitation-steps above 0");
    if (!w->out) return fw_fail(error, FW_INVALID, "say --out MODEL");
    if ((w->ranks & (w->ranks - 1)) != 0) return fw_fail(error, FW_INVALID, "--ranks is 1, 2, 4 or 8");
    return FW_OK;
}

/* ---- which recordings ---- */

static fw_status stopped(const fw_train_words *w, fw_error *error) {
    return fw_fail(error, FW_INTERRUPTED, "stopped; %s was not written", w->out);
}

static fw_status find_recordings(const fw_train_words *w, fw_train_sources *s, fw_error *error) {
    fw_status status = FW_OK;
    for (int i = 0; i < w->source_count && status == FW_OK; i++)
        status = fw_train_sources_add(s, w->sources[i], error);
    for (int i = 0; i < w->suite_count && status == FW_OK; i++)
        status = fw_train_sources_add_suite(s, w->suites[i], w->leave_sealed, error);
    if (status == FW_INTERRUPTED) return stopped(w, error);
    return status == FW_OK ? fw_train_sources_sort(s, error) : status;
}

/* ---- while it goes ---- */

typedef struct talk {
    bool talks, terminal, shown;
    const char *phase; /* of the last report */
    fw_pace pace;
    int64_t start_ns, said_ns;
    FILE *curve; /* NULL: nobody wants it */
} talk;

static bool report(void *self, const char *phase, uint64_t done, uint64_t total, double clean) {
    talk *t = self;
    char words[96] = "";
    int64_t now_ns = fw_env_mono_ns(fw_env_real());
    if (!t->phase || strcmp(t->phase, phase) != 0)
        fw_pace_start(&t->pace, now_ns, (double)done); /* what was read before is no pace */
    t->phase = phase;
    fw_pace_note(&t->pace, now_ns, (double)done);
    int64_t every_ms = t->terminal ? SHOW_EVERY_MS : SAY_EVERY_MS;
    if (t->talks && now_ns - t->said_ns >= every_ms * 1000000) {
        t->said_ns = now_ns;
        t->shown = true;
        fw_pace_words(fw_pace_per_s(&t->pace), fw_pace_left_s(&t->pace, (double)total), "agent-steps",
                      words, sizeof words);
        fprintf(stderr, "%s%s: %3.0f%%, clean %.3f%s%s%s", t->terminal ? "\r\033[K" : "", phase,
                100.0 * (double)done / (double)total, clean, *words ? ", " : "", words,
                t->terminal ? "" : "\n");
        fflush(stderr);
    }
    return !fw_nn_stop_wanted();
}

static void point(void *self, const fw_driving_point *p) {
    talk *t = self;
    if (!t->curve) return;
    fprintf(t->curve, "%" PRIu64 ",%.9g,%.9g,%.9g,%.9g,%.9g,", p->agent_steps, p->loss, p->value_loss,
            p->entropy, p->gradient_norm, p->vacant_share);
    if (isnan(p->clean_share)) fputs(",,\n", t->curve); /* no drive ended */
    else fprintf(t->curve, "%.9g,%.9g,%.9g\n", p->clean_share, p->collision_share, p->off_road_share);
}

/* ---- what came of it ---- */

static double steps_per_s(const fw_driving_train_result *r, double wall_s) {
    return wall_s > 0 ? (double)r->agent_steps / wall_s : 0;
}

/* The caller owns it; NULL without memory. */
static json_t *result_json(const fw_train_words *w, const fw_nn_ranks *ranks, const fw_train_sources *sources,
                           const fw_driving_train_result *r, double wall_s) {
    char class[FW_NN_CLASS_MAX];
    fw_nn_training_class(class);
    return json_pack("{s:o?, s:s, s:I, s:I, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:i, s:s}", "model", json_string(w->out) /* null where it is no UTF-8 */, "sha256",
                     r->model.hex, "seed", (json_int_t)w->seed, "agent_steps", (json_int_t)r->agent_steps,
                     "recordings", (int)r->scenarios, "refused", (int)r->scenarios_refused, "sealed",
                     (int)sources->sealed, "wall_s", wall_s, "core_s", r->core_s, "agent_steps_ps",
                     steps_per_s(r, wall_s), "clean_share", r->clean_share, "uncertainty_threshold",
                     r->uncertainty_threshold, "ranks", (int)ranks->count, "cpu_class", class);
}

/* What making it took does not belong into the model, which must be the same bytes each time: it lies beside
 * it, in a card that names the model's hash (docs/formats/driving-model.md). */
static fw_status write_card(const fw_train_words *w, const fw_nn_ranks *ranks, const fw_train_sources *sources,
                            const fw_driving_train_result *r, double wall_s, fw_error *error) {
    char path[FW_PATH_MAX];
    FW_TRY(fw_driver_card_path(w->out, path, error));
    json_t *json = result_json(w, ranks, sources, r, wall_s);
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for the model's card");
    fw_status status = fw_file_write_durable(fw_env_real(), path, text, strlen(text), error);
    free(text);
    return status;
}

static void print_result(const fw_train_words *w, const fw_nn_ranks *ranks, const fw_train_sources *sources,
                         const fw_driving_train_result *r, double wall_s) {
    char class[FW_NN_CLASS_MAX], sealed[40] = "";
    fw_nn_training_class(class);
    if (sources->sealed > 0) snprintf(sealed, sizeof sealed, ", %u sealed left out", sources->sealed);
    if (!w->json) {
        printf("%s: sha256 %s, seed %" PRIu64 ", %" PRIu64 " agent-steps on %u recordings (%u refused%s), "
               "%.0f agent-steps/s, clean %.3f, %u rank%s, %s\n", w->out, r->model.hex, w->seed,
               r->agent_steps, r->scenarios, r->scenarios_refused, sealed, steps_per_s(r, wall_s), r->clean_share,
               ranks->count, ranks->count == 1 ? "" : "s", class);
        return;
    }
    json_t *json = result_json(w, ranks, sources, r, wall_s);
    if (json) json_dumpf(json, stdout, JSON_COMPACT), putchar('\n');
    json_decref(json);
}

/* Of this machine, shared out among the ranks on it. */
static uint32_t threads_of(const fw_train_words *w, const fw_nn_ranks *ranks) {
    const char *local = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    long here = local ? strtol(local, NULL, 10) : (long)ranks->count;
    long share = sysconf(_SC_NPROCESSORS_ONLN) / (here > 0 ? here : 1);
    if (w->threads > 0) return (uint32_t)w->threads;
    return share < 1 ? 1 : share > THREADS_MAX ? THREADS_MAX : (uint32_t)share;
}

static fw_status train(const fw_train_words *w, const fw_nn_ranks *ranks, const fw_train_sources *r,
                       talk *t, fw_error *error) {
    fw_driving_train_config config = {.recordings = r->paths,
                                      .recording_count = r->count,
                                      .base_path = w->base,
                                      .seed = w->seed,
                                      .imitation_steps = w->imitation_steps,
                                      .agent_steps = w->agent_steps,
                                      .threads = threads_of(w, ranks),
                                      .out_path = w->out,
                                      .ranks = ranks,
                                      .progress = {t, report, point}};
    fw_driving_train_result result;
    fw_status status = fw_driving_train(&config, &result, error);
    if (t->shown && t->terminal) fputc('\n', stderr);
    if (status == FW_INTERRUPTED) return stopped(w, error);
    FW_TRY(status);
    int64_t end_ns = fw_env_mono_ns(fw_env_real());
    double wall_s = (double)(end_ns - t->start_ns) * 1e-9;
    if (t->talks) print_result(w, ranks, r, &result, wall_s);
    return ranks->rank == 0 ? write_card(w, ranks, r, &result, wall_s, error) : FW_OK;
}

static fw_status train_with_curve(const fw_train_words *w, const fw_nn_ranks *ranks,
                                  const fw_train_sources *r, talk *t, fw_error *error) {
    char *text = NULL;
    size_t size = 0;
    if (!w->curve || !t->talks) return train(w, ranks, r, t, error);
    FW_TRY(fw_cli_check_place(w->curve, error));
    t->curve = open_memstream(&text, &size);
    if (!t->curve) return fw_fail(error, FW_NO_MEMORY, "no memory for the curve");
    fputs("agent_steps,loss,value_loss,entropy,gradient_norm,vacant_share,"
          "clean_share,collision_share,off_road_share\n", t->curve);
    fw_status status = train(w, ranks, r, t, error);
    bool kept = fclose(t->curve) == 0;
    if (status == FW_OK && !kept) status = fw_fail(error, FW_NO_MEMORY, "no memory for the curve");
    if (status == FW_OK) status = fw_file_write_durable(fw_env_real(), w->curve, text, size, error);
    free(text);
    return status;
}

fw_status fw_train_run(const fw_train_words *w, const fw_nn_ranks *ranks, fw_error *error) {
    fw_train_sources r = {0};
    talk t = {.talks = ranks->rank == 0, .terminal = isatty(STDERR_FILENO) != 0,
              .start_ns = fw_env_mono_ns(fw_env_real())};
    t.said_ns = t.start_ns;
    fw_status status = ranks->rank == 0 ? fw_cli_check_place(w->out, error) : FW_OK;
    if (status == FW_OK) status = find_recordings(w, &r, error);
    if (status == FW_OK && t.talks)
        fprintf(stderr, "train: reading %u recording%s\n", r.count, r.count == 1 ? "" : "s");
    if (status == FW_OK) status = train_with_curve(w, ranks, &r, &t, error);
    fw_train_sources_clear(&r);
    return status;
}

/* ---- the command ---- */

/* The words once more, before reading puts them in another order: for the program that trains. */
static char **copy_words(int argc, char **argv) {
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    for (int i = 0; copy && i < argc; i++) copy[i] = argv[i];
    return copy;
}

static int train_elsewhere(const fw_train_words *w, char **words, fw_error *error) {
    int exit_status = FW_CLI_FAILED;
    fw_status status = fw_train_is_rank() ? fw_train_become_rank(words, error)
                                          : fw_train_launch(w->ranks, words, &exit_status, error);
    return status == FW_OK ? exit_status : fw_cli_fail(error);
}

int fw_cmd_train(int argc, char **argv) {
    static fw_train_words w;
    fw_error error = {""};
    char **words = copy_words(argc, argv);
    int exit_status = FW_CLI_DONE;
    if (!words) return fw_cli_fail(&(fw_error){"no memory"});
    fw_nn_stop_on_signals();
    if (fw_train_read(argc, argv, &w, &error) != FW_OK) exit_status = fw_cli_usage("train", &error);
    else if (w.help) fputs(fw_train_help, stdout);
    else if (fw_train_is_rank() || w.ranks > 1) exit_status = train_elsewhere(&w, words, &error);
    else if (fw_train_run(&w, &fw_nn_ranks_alone, &error) != FW_OK) exit_status = fw_cli_fail(&error);
    free(words);
    return exit_status;
}
