/* flywheel models rebuild: trains a model again from its lineage, and says whether the bytes are the same.
 *
 *   lineage --> data set, recordings, parent (checked by hash) --> training --> SHA-256 == the model's?
 *
 * Equality is promised for the same program on the same CPU class (docs/formats/lineage.md): where one of them is
 * another one here, that is said, and the hashes are compared all the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pace.h"
#include "cli/models.h"
#include "cli/stop.h"
#include "lines/driving/learn/learn.h"
#include "nn/train/cpu/dnnl.h"

enum { SAY_EVERY_MS = 5000, SHOW_EVERY_MS = 250, RECORDINGS_MAX = 100000, THREADS_MAX = 16 };

typedef struct material {
    fw_lineage lineage;
    char **recordings; /* (count) paths, in the manifest's order; owned */
    uint32_t count;
    char parent[FW_PATH_MAX]; /* "" none */
} material;

static void clear(material *m) {
    for (uint32_t i = 0; i < m->count; i++) free(m->recordings[i]);
    free(m->recordings);
}

/* ---- what it was made of ---- */

static fw_status add_recording(fw_models_source *s, material *m, const char *hash, fw_error *error) {
    char path[FW_PATH_MAX];
    if (fw_cli_stopped) return fw_fail(error, FW_INTERRUPTED, "interrupted");
    FW_TRY(fw_models_object(s, hash, path, error));
    FW_TRY(fw_models_check_file(path, hash, error));
    m->recordings[m->count] = strdup(path);
    if (!m->recordings[m->count]) return fw_fail(error, FW_NO_MEMORY, "no memory for the recordings' paths");
    m->count++;
    return FW_OK;
}

static fw_status gather_recordings(fw_models_source *s, material *m, fw_error *error) {
    json_t *manifest, *row;
    size_t at;
    FW_TRY(fw_models_manifest(s, m->lineage.dataset, &manifest, error));
    const json_t *rows = json_object_get(manifest, "recordings");
    m->recordings = calloc(json_array_size(rows) + 1, sizeof *m->recordings);
    fw_status status = m->recordings && json_array_size(rows) <= RECORDINGS_MAX
                           ? FW_OK
                           : fw_fail(error, FW_TOO_BIG, "data set %.12s lists too many recordings", m->lineage.dataset);
    json_array_foreach(rows, at, row) {
        if (status != FW_OK) break;
        if (strcmp(fw_models_text(row, "role"), "train") != 0) continue;
        status = add_recording(s, m, fw_models_text(row, "sha256"), error);
    }
    json_decref(manifest);
    return status;
}

static fw_status gather(fw_models_source *s, const json_t *card, material *m, fw_error *error) {
    FW_TRY(fw_models_lineage(card, &m->lineage, NULL, error));
    if (!m->lineage.trained)
        return fw_fail(error, FW_INVALID, "model %.12s was brought by somebody; its lineage tells no training",
                       m->lineage.model);
    if (strcmp(m->lineage.line, "driving") != 0)
        return fw_fail(error, FW_UNSUPPORTED, "this program trains no models of line %s", m->lineage.line);
    FW_TRY(gather_recordings(s, m, error));
    if (!*m->lineage.parent) return FW_OK;
    FW_TRY(fw_models_object(s, m->lineage.parent, m->parent, error));
    return fw_models_check_file(m->parent, m->lineage.parent, error);
}

/* Says what is not as it was; true: equality is promised. */
static bool compare_makers(const fw_lineage *l) {
    char class[FW_NN_CLASS_MAX];
    json_t *code = fw_lineage_code();
    const char *build = fw_models_text(code, "build_id");
    fw_nn_training_class(class);
    bool same_class = strcmp(class, l->training_class) == 0, same_build = strcmp(build, l->build_id) == 0;
    if (!same_class)
        fprintf(stderr, "CPU class: it was trained on %s, this is %s; other bits are to be expected\n",
                *l->training_class ? l->training_class : "an unknown one", class);
    if (!same_build)
        fprintf(stderr, "program: it was trained by %s (build %.12s), this is %s (build %.12s)\n",
                *l->commit ? l->commit : "an unknown one", l->build_id, fw_models_text(code, "commit"), build);
    json_decref(code);
    return same_class && same_build;
}

/* ---- the training ---- */

typedef struct talk {
    bool terminal, shown;
    char phase[32];
    int64_t said_ns;
    fw_pace pace;
} talk;

static bool report(void *self, const char *phase, uint64_t done, uint64_t total, double clean) {
    talk *t = self;
    char words[96];
    int64_t now_ns = fw_env_mono_ns(fw_env_real());
    (void)clean;
    if (strncmp(t->phase, phase, sizeof t->phase - 1) != 0) {
        snprintf(t->phase, sizeof t->phase, "%s", phase);
        fw_pace_start(&t->pace, now_ns, (double)done);
    }
    fw_pace_note(&t->pace, now_ns, (double)done);
    if (now_ns - t->said_ns >= (t->terminal ? SHOW_EVERY_MS : SAY_EVERY_MS) * 1000000LL && total > 0) {
        t->said_ns = now_ns;
        t->shown = true;
        fw_pace_words(fw_pace_per_s(&t->pace), fw_pace_left_s(&t->pace, (double)total), "agent-steps", words,
                      sizeof words);
        fprintf(stderr, "%s%s: %3.0f%%%s%s%s", t->terminal ? "\r\033[K" : "", phase,
                100.0 * (double)done / (double)total, *words ? ", " : "", words, t->terminal ? "" : "\n");
        fflush(stderr);
    }
    return !fw_cli_stopped;
}

static fw_status train(const fw_models_options *o, const material *m, const char *out, fw_driving_train_result *result,
                       fw_error *error) {
    talk t = {.terminal = isatty(STDERR_FILENO) != 0};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads = o->threads ? o->threads : processors > 0 ? (uint64_t)processors : 1;
    const fw_driving_train_config config = {.recordings = (const char *const *)m->recordings,
                                            .recording_count = m->count,
                                            .base_path = *m->parent ? m->parent : NULL,
                                            .seed = m->lineage.recipe.seed,
                                            .imitation_steps = m->lineage.recipe.imitation_steps,
                                            .agent_steps = m->lineage.recipe.agent_steps,
                                            .threads = (uint32_t)(threads < THREADS_MAX ? threads : THREADS_MAX),
                                            .out_path = out,
                                            .progress = {.self = &t, .report = report}};
    fw_status status = fw_driving_train(&config, result, error);
    if (t.terminal && t.shown) fputs("\r\033[K", stderr);
    return status;
}

static fw_status judge(const fw_models_options *o, const material *m, const fw_driving_train_result *r, bool promised,
                       const char *path, fw_error *error) {
    bool same = strcmp(r->model.hex, m->lineage.model) == 0;
    if (o->ask.json)
        printf("{\"model\":\"%s\",\"rebuilt\":\"%s\",\"same\":%s,\"promised\":%s,\"recordings\":%" PRIu32
               ",\"agent_steps\":%" PRIu64 ",\"core_s\":%.3f}\n",
               m->lineage.model, r->model.hex, same ? "true" : "false", promised ? "true" : "false", m->count,
               r->agent_steps, r->core_s);
    else
        printf("model    %s\nrebuilt  %s\n%s: %" PRIu32 " recordings, %" PRIu64 " agent-steps, %.1f core-seconds\n",
               m->lineage.model, r->model.hex, same ? "the same" : "NOT the same", m->count, r->agent_steps, r->core_s);
    if (same) return FW_OK;
    return fw_fail(error, FW_MISMATCH, "the rebuilt model is another one%s; %s",
                   promised ? ", though program and CPU class are the same" : " (program or CPU class differ)",
                   o->out ? path : "--out FOLDER keeps it");
}

static fw_status rebuild(fw_models_source *s, const char *prefix, const char *folder, fw_error *error) {
    material m = {0};
    json_t *card;
    char path[FW_PATH_MAX];
    fw_driving_train_result result;
    fw_path_join(path, sizeof path, folder, "model.safetensors");
    FW_TRY(fw_models_card(s, prefix, &card, error));
    fw_status status = gather(s, card, &m, error);
    if (status == FW_OK) {
        bool promised = compare_makers(&m.lineage);
        status = train(s->options, &m, path, &result, error);
        if (status == FW_OK) status = judge(s->options, &m, &result, promised, path, error);
    }
    clear(&m);
    json_decref(card);
    return status;
}

fw_status fw_models_rebuild(const fw_models_options *o, const char *const *words, fw_error *error) {
    fw_models_source s;
    char folder[FW_PATH_MAX / 2];
    const char *base = getenv("TMPDIR");
    fw_error ignored;
    if (o->out && strlen(o->out) >= sizeof folder) return fw_fail(error, FW_TOO_BIG, "the path of --out is too long");
    snprintf(folder, sizeof folder, "%s", o->out ? o->out : "");
    if (o->out) FW_TRY(fw_folder_make(folder, 0755, error));
    if (!o->out) {
        snprintf(folder, sizeof folder, "%.60s/flywheel-rebuild-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(folder)) return fw_fail_errno(error, "no temporary folder");
    }
    fw_cli_catch_stop();
    fw_status status = fw_models_open(o, &s, error);
    if (status == FW_OK) {
        status = rebuild(&s, words[0], folder, error);
        fw_models_close(&s);
    }
    if (!o->out) (void)!fw_folder_remove(folder, &ignored);
    return status;
}
