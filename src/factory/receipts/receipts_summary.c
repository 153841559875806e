/* receipts_summary.c - the receipts made so far, and the median time from a failure to a fixed fleet (receipts.h). */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/statistics.h"
#include "factory/receipts/receipts.h"

enum { DRAWS = 1000, SEED = 17 };

/* Times to a fixed fleet in order of generation: all of one were fixed by one rollout, so they are one cluster. */
typedef struct times {
    double *s;            /* (count) */
    int64_t *generation;  /* (count) */
    size_t *first;        /* (clusters + 1): where each generation's begin */
    size_t count, room, clusters;
    bool failed;
} times;

static bool add_time(void *self, sqlite3_stmt *row) {
    times *t = self;
    if (t->count == t->room) {
        size_t room = 2 * t->room + 64;
        double *s = realloc(t->s, room * sizeof *s);
        if (s) t->s = s;
        int64_t *generation = realloc(t->generation, room * sizeof *generation);
        if (generation) t->generation = generation;
        if (!s || !generation) return !(t->failed = true);
        t->room = room;
    }
    t->generation[t->count] = sqlite3_column_int64(row, 0);
    t->s[t->count++] = (double)sqlite3_column_int64(row, 1) * 1e-9;
    return true;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static bool find_clusters(times *t) {
    t->first = calloc(t->count + 1, sizeof *t->first);
    if (!t->first) return false;
    for (size_t i = 0; i < t->count; i++)
        if (i == 0 || t->generation[i] != t->generation[i - 1]) t->first[t->clusters++] = i;
    t->first[t->clusters] = t->count;
    return true;
}

/* Generations drawn with replacement, each with all its times. */
static bool resample(const times *t, double medians[DRAWS]) {
    fw_random random = fw_random_named(SEED, "receipts/median");
    size_t room = t->count * t->clusters;
    double *drawn = malloc(room * sizeof *drawn);
    if (!drawn) return false;
    for (int d = 0; d < DRAWS; d++) {
        size_t count = 0;
        for (size_t c = 0; c < t->clusters; c++) {
            size_t from = fw_random_below(&random, (uint32_t)t->clusters);
            for (size_t i = t->first[from]; i < t->first[from + 1]; i++) drawn[count++] = t->s[i];
        }
        medians[d] = median(drawn, count);
    }
    free(drawn);
    return true;
}

static json_t *number(double value) {
    json_t *real = json_real(round(value * 1000) / 1000);
    return real ? real : json_null();
}

/* {"median","low","high","n","clusters"}; JSON null without times. NULL without memory. */
static json_t *median_json(times *t) {
    double medians[DRAWS];
    fw_interval interval = {NAN, NAN};
    if (t->count == 0) return json_null();
    if (!find_clusters(t)) return NULL;
    if (t->clusters > 1) {
        if (!resample(t, medians)) return NULL;
        interval = fw_bootstrap_interval95(medians, DRAWS, t->clusters);
    }
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "median", number(median(t->s, t->count)), "low", number(interval.low),
                     "high", number(interval.high), "n", (json_int_t)t->count, "clusters", (json_int_t)t->clusters);
}

static const char counts_sql[] =
    "SELECT json_object('events',(SELECT count(*) FROM events),'receipts',count(*),'complete',coalesce(sum(complete),0),"
    "'fixed',coalesce(sum(outcome='fixed' AND complete),0),'not_reproduced',coalesce(sum(outcome='not reproduced'),0),"
    "'not_fixed',coalesce(sum(outcome='not fixed'),0),'open',coalesce(sum(outcome='open'),0),'rows',json((SELECT "
    "coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object('event',event,'unit',(SELECT unit FROM recordings "
    "WHERE sha256=recording),'kind',kind,'recording',recording,'generation',generation,'outcome',outcome,'complete',"
    "json(CASE complete WHEN 1 THEN 'true' ELSE 'false' END),'event_ns',event_ns,'fixed_s',fixed_ns*1e-9) j FROM "
    "receipts ORDER BY event_ns DESC,event DESC LIMIT ?)))) FROM receipts";

static fw_status read_all(sqlite3 *db, int64_t limit, char **counts, times *t, fw_error *error) {
    FW_TRY(fw_db_text(db, error, counts, counts_sql, "i", limit));
    FW_TRY(fw_db_each(db, error, add_time, t,
                      "SELECT generation,fixed_ns FROM receipts WHERE fixed_ns IS NOT NULL ORDER BY generation", ""));
    return t->failed ? fw_fail(error, FW_NO_MEMORY, "no memory for the receipts") : FW_OK;
}

static char *put_together(const char *counts, times *t) {
    json_t *all = json_loads(counts, 0, NULL), *fixed = median_json(t);
    double receipts = (double)json_integer_value(json_object_get(all, "receipts"));
    double complete = (double)json_integer_value(json_object_get(all, "complete"));
    if (all && fixed) {
        json_object_set_new(all, "share_complete", receipts > 0 ? number(complete / receipts) : json_null());
        json_object_set(all, "failure_to_fixed_s", fixed);
    }
    char *out = all && fixed ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    json_decref(fixed);
    return out;
}

fw_status fw_receipts_json(const fw_receipts *r, int64_t limit, char **json, fw_error *error) {
    sqlite3 *db;
    char *counts = NULL;
    times t = {0};
    FW_TRY(fw_catalogue_ask(r->catalogue, &db, error));
    fw_status status = read_all(db, limit, &counts, &t, error);
    fw_catalogue_ask_end(r->catalogue);
    char *out = status == FW_OK ? put_together(counts, &t) : NULL;
    if (status == FW_OK && !out) status = fw_fail(error, FW_NO_MEMORY, "no memory for the receipts");
    if (status == FW_OK) *json = out;
    free(counts);
    free(t.s);
    free(t.generation);
    free(t.first);
    return status;
}
