/* demo_exam.c - see demo_exam.h */
#include "cli/demo_exam.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULT_MAX = 1 << 19, STOP_MS = 2000, RUNS_MIN = 1 };

uint32_t fw_demo_exams_add(fw_demo_exams *exams, const char *policy, const char *label,
                           const char *network, bool guard) {
    return fw_demo_exams_add_under(exams, policy, label, network, guard, "");
}

uint32_t fw_demo_exams_add_under(fw_demo_exams *exams, const char *policy, const char *label,
                                 const char *network, bool guard, const char *conditions) {
    for (uint32_t i = 0; i < exams->count; i++) {
        fw_demo_exam *e = &exams->list[i];
        if (strcmp(e->policy, policy) != 0 || strcmp(e->network, network) != 0 || e->guard != guard ||
            strcmp(e->conditions, conditions) != 0)
            continue;
        if (label && e->label[0] == 0) snprintf(e->label, sizeof e->label, "%s", label);
        return i;
    }
    FW_ASSERT(exams->count < FW_DEMO_EXAMS_MAX);
    fw_demo_exam *exam = &exams->list[exams->count];
    *exam = (fw_demo_exam){.network = network, .guard = guard};
    snprintf(exam->policy, sizeof exam->policy, "%s", policy);
    snprintf(exam->conditions, sizeof exam->conditions, "%s", conditions);
    snprintf(exam->label, sizeof exam->label, "%s", label ? label : "");
    return exams->count++;
}

static void result_path(const fw_demo_exams *exams, uint32_t worker, char path[FW_PATH_MAX]) {
    char name[32];
    snprintf(name, sizeof name, "exam-%u.json", worker);
    fw_path_join(path, FW_PATH_MAX, exams->logs, name);
}

static uint32_t runs_of(const fw_demo_exams *exams) {
    uint32_t runs = exams->drives / exams->drives_per_run;
    return runs < RUNS_MIN ? RUNS_MIN : runs > FW_DEMO_EXAM_RUNS_MAX ? FW_DEMO_EXAM_RUNS_MAX : runs;
}

static fw_status start(fw_demo_exams *exams, uint32_t worker, uint32_t index, fw_error *error) {
    fw_demo_exam *exam = &exams->list[index];
    char drives[16], runs[16], log[FW_PATH_MAX], out[FW_PATH_MAX];
    const char *argv[20];
    size_t n = 0;
    snprintf(drives, sizeof drives, "%u", exams->drives);
    snprintf(runs, sizeof runs, "%u", runs_of(exams));
    fw_path_join(log, sizeof log, exams->logs, "exam.log");
    result_path(exams, worker, out);
    const char *const fixed[] = {exams->program, "exam", "--policy", exam->policy, "--network",
                                 exam->network, "--store", exams->store, "--drives", drives,
                                 "--runs", runs, "--json"};
    for (; n < sizeof fixed / sizeof fixed[0]; n++) argv[n] = fixed[n];
    if (exam->label[0]) argv[n++] = "--label", argv[n++] = exam->label;
    if (exam->guard) argv[n++] = "--guard";
    if (exam->conditions[0]) argv[n++] = "--conditions", argv[n++] = exam->conditions;
    argv[n] = NULL;
    fw_child_spec spec = {.name = "exam", .argv = argv, .log_path = log, .out_path = out,
                          .low_priority = exams->low_priority};
    exams->of_child[worker] = index;
    exam->tries++;
    return fw_child_start(&spec, &exams->child[worker], error);
}

static fw_status collect(fw_demo_exams *exams, uint32_t worker, fw_error *error) {
    fw_demo_exam *exam = &exams->list[exams->of_child[worker]];
    char path[FW_PATH_MAX];
    char *bytes = NULL;
    size_t size = 0;
    result_path(exams, worker, path);
    if (fw_child_succeeded(&exams->child[worker]) &&
        fw_file_read(path, RESULT_MAX, &bytes, &size, error) == FW_OK)
        exam->result = json_loadb(bytes, size, 0, NULL);
    free(bytes);
    if (json_is_object(exam->result)) {
        exams->done++;
        return FW_OK;
    }
    json_decref(exam->result);
    exam->result = NULL;
    if (exam->tries < FW_DEMO_EXAM_TRIES) return FW_OK;
    return fw_fail(error, FW_IO, "the exam of %s on %s failed: see %s/exam.log", exam->policy,
                   exam->network, exams->logs);
}

static bool in_hand(const fw_demo_exams *exams, uint32_t index) {
    for (uint32_t w = 0; w < exams->workers; w++)
        if (exams->child[w].pid && exams->of_child[w] == index) return true;
    return false;
}

/* The first exam, late or not, without result and in no worker's hand; or FW_DEMO_EXAMS_MAX. */
static uint32_t first_due(const fw_demo_exams *exams, bool late) {
    for (uint32_t i = 0; i < exams->count; i++) {
        const fw_demo_exam *exam = &exams->list[i];
        if (exam->late == late && exam->result == NULL && exam->tries < FW_DEMO_EXAM_TRIES &&
            !in_hand(exams, i))
            return i;
    }
    return FW_DEMO_EXAMS_MAX;
}

static uint32_t next_due(const fw_demo_exams *exams) {
    uint32_t index = first_due(exams, false);
    return index < FW_DEMO_EXAMS_MAX ? index : first_due(exams, true);
}

fw_status fw_demo_exams_pump(fw_demo_exams *exams, bool *all_done, fw_error *error) {
    FW_ASSERT(exams->workers <= FW_DEMO_EXAM_WORKERS_MAX);
    bool busy = false;
    for (uint32_t w = 0; w < exams->workers; w++) {
        bool had = exams->child[w].pid != 0;
        if (had && !fw_child_running(&exams->child[w])) FW_TRY(collect(exams, w, error));
        if (exams->child[w].pid == 0) {
            uint32_t index = next_due(exams);
            if (index < FW_DEMO_EXAMS_MAX) FW_TRY(start(exams, w, index, error));
        }
        busy = busy || exams->child[w].pid != 0;
    }
    *all_done = !busy;
    return FW_OK;
}

bool fw_demo_exams_idle(const fw_demo_exams *exams) {
    for (uint32_t w = 0; w < exams->workers; w++)
        if (exams->child[w].pid) return false;
    return next_due(exams) == FW_DEMO_EXAMS_MAX;
}

bool fw_demo_exams_only_late(const fw_demo_exams *exams) {
    for (uint32_t w = 0; w < exams->workers; w++)
        if (exams->child[w].pid && !exams->list[exams->of_child[w]].late) return false;
    return first_due(exams, false) == FW_DEMO_EXAMS_MAX;
}

void fw_demo_exams_stop(fw_demo_exams *exams) {
    for (uint32_t w = 0; w < exams->workers; w++)
        fw_child_stop(&exams->child[w], SIGTERM, STOP_MS);
    fw_demo_exams_clear(exams);
}

void fw_demo_exams_clear(fw_demo_exams *exams) {
    for (uint32_t i = 0; i < exams->count; i++) json_decref(exams->list[i].result);
    exams->count = exams->done = 0;
}
