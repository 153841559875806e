/* experiment_words.c - what a report says, in sentences: whatever the sign, and no more than the intervals show; see
 * experiment.h */
#include <math.h>
#include <string.h>

#include "cli/experiment.h"

#define ALIKE 0.0005 /* would read 0.0 points */

static double number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static bool says(const json_t *object, const char *name, const char *value) {
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

/* "loop - random" of all sealed slices. */
static void say_difference(const json_t *row, FILE *out) {
    const double mean = number(row, "mean"), low = number(row, "low"), high = number(row, "high");
    const char *other = json_string_value(json_object_get(row, "what"));
    const bool last = says(row, "when", "last");
    if (!isfinite(mean) || other == NULL || strncmp(other, "loop - ", 7) != 0) return;
    fprintf(out, "* %s loop is ", last ? "After the last generation" : "Over the generations from 2 on");
    if (fabs(mean) < ALIKE) fprintf(out, "level with %s on sealed drives", other + 7);
    else
        fprintf(out, "%.1f points %s %s on sealed drives", fabs(mean) * 100, mean < 0 ? "BELOW" : "above",
                other + 7);
    if (!isfinite(low)) fputs("; one seed has no interval, so that this says nothing of others.\n", out);
    else
        fprintf(out, ", 95 %% from %+.1f to %+.1f: %s.\n", low * 100, high * 100,
                low > 0    ? "better, the interval excludes 0"
                : high < 0 ? "WORSE, the interval excludes 0"
                           : "no difference is shown");
}

static void say_upload(const json_t *row, FILE *out) {
    const double share = number(row, "uploaded_share");
    if (!isfinite(share) || share <= 0) return;
    fprintf(out, "* %s uploaded %.1f %% of the bytes that its fleet recorded (%.2f of %.2f MB).\n",
            json_string_value(json_object_get(row, "arm")), share * 100, number(row, "uploaded_bytes") / 1e6,
            number(row, "recorded_bytes") / 1e6);
}

void fw_experiment_say(const json_t *report, FILE *out) {
    json_t *row = NULL;
    size_t i = 0;
    fputs("\n## In words\n\n", out);
    json_array_foreach(json_object_get(report, "differences"), i, row)
        if (says(row, "figure", "sealed, all slices")) say_difference(row, out);
    json_array_foreach(json_object_get(report, "budgets"), i, row) say_upload(row, out);
}
