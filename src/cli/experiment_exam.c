/* experiment_exam.c - see experiment_exam.h */
#include "cli/experiment_exam.h"

#include <stdlib.h>
#include <string.h>

#include "cli/demo.h"
#include "cli/experiment_scenes.h"

enum { POLL_MS = 100 };
static const char *const sites[] = {"acosta", "pasubio"};

static fw_status run_all(fw_demo_exams *exams, fw_error *error) {
    for (bool all_done = false; !all_done;) {
        if (fw_demo_stopping()) return fw_fail(error, FW_INTERRUPTED, "stopped");
        FW_TRY(fw_demo_exams_pump(exams, &all_done, error));
        if (!all_done) fw_env_sleep_ns(fw_env_real(), POLL_MS * INT64_C(1000000));
    }
    return FW_OK;
}

/* The two cities as measured; and the training's city under each shift, also before it comes. */
static fw_status add_all(const fw_experiment *e, const char *model_path, fw_demo_exams *exams,
                         fw_error *error) {
    fw_experiment_shift shifts[FW_EXPERIMENT_SHIFTS_MAX];
    uint32_t count = 0;
    FW_TRY(fw_experiment_shifts(&e->set, shifts, &count, error));
    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++)
        fw_demo_exams_add(exams, model_path, NULL, sites[i], false);
    for (uint32_t i = 0; i < count; i++)
        fw_demo_exams_add_under(exams, model_path, NULL, sites[0], false, shifts[i].conditions);
    return FW_OK;
}

/* A part of an exam: by run, the drives that came to a signal, or the others. */
static void add_part(const json_t *result, const char *network, bool signal, json_t *list) {
    const json_t *runs = json_object_get(result, "per_run");
    const json_t *met = json_object_get(runs, "signal"), *met_clean = json_object_get(runs, "signal_clean");
    const size_t count = json_array_size(json_object_get(runs, "drives"));
    json_t *drives = json_array(), *clean = json_array();
    double top = 0, bottom = 0;
    char name[40];
    for (size_t i = 0; i < count; i++) {
        double n = json_number_value(json_array_get(met, i)), k = json_number_value(json_array_get(met_clean, i));
        if (!signal) {
            n = json_number_value(json_array_get(json_object_get(runs, "drives"), i)) - n;
            k = json_number_value(json_array_get(json_object_get(runs, "clean"), i)) - k;
        }
        json_array_append_new(drives, json_real(n));
        json_array_append_new(clean, json_real(k));
        bottom += n;
        top += k;
    }
    snprintf(name, sizeof name, "%.20s, %s", network, signal ? "at signals" : "no signal");
    json_array_append_new(list, json_pack("{s:s, s:b, s:f, s:{s:o, s:o}}", "slice", name, "detail", true, "clean",
                                          bottom > 0 ? top / bottom : 0, "per_run", "drives", drives, "clean", clean));
}

fw_status fw_experiment_examine(const fw_experiment *e, const char *model_path, const char *logs,
                                json_t **out, fw_error *error) {
    fw_demo_exams *exams = calloc(1, sizeof *exams);
    if (exams == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for exams");
    snprintf(exams->program, sizeof exams->program, "%s", e->world_program);
    fw_path_join(exams->store, sizeof exams->store, e->root, "exam");
    snprintf(exams->logs, sizeof exams->logs, "%s", logs);
    exams->drives = (uint32_t)e->set.exam_drives;
    exams->drives_per_run = (uint32_t)(e->set.exam_drives / e->set.exam_runs);
    exams->workers = 1;
    fw_status status = add_all(e, model_path, exams, error);
    if (status == FW_OK) status = run_all(exams, error);
    json_t *list = json_array();
    for (uint32_t i = 0; status == FW_OK && i < exams->count; i++) {
        char name[180];
        const fw_demo_exam *exam = &exams->list[i];
        bool shifted = exam->conditions[0] != 0;
        snprintf(name, sizeof name, "%s%s%s", exam->network, shifted ? ", " : "", exam->conditions);
        json_object_set_new(exam->result, "slice", json_string(name));
        json_object_del(exam->result, "failures"); /* the examiner's store keeps them */
        json_array_append(list, exam->result);
        for (int signal = 1; signal >= 0 && !shifted; signal--)
            add_part(exam->result, exam->network, signal == 1, list);
    }
    fw_demo_exams_stop(exams);
    free(exams);
    if (status == FW_OK && e->set.suite[0]) status = fw_experiment_scenes(e, model_path, list, error);
    if (status == FW_OK) *out = list;
    else json_decref(list);
    return status;
}
