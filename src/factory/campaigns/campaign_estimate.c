#include "factory/campaigns/campaign_estimate.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static atomic_flag busy = ATOMIC_FLAG_INIT; /* a replay takes a recording's memory: one at a time */

/* ---- one recording ---- */

typedef struct replay {
    const fw_campaign *campaign;
    fw_campaign_state state;
    const char *unit;
    int64_t first_ns, last_ns, before_ns, after_ns;
    int64_t begin_ns, end_ns; /* of the newest window */
    int64_t windows_ns;       /* of those before it */
    uint64_t ticks, windows;
} replay;

/* A trigger at time_ns: opens a window, or moves the end of the one that is open. */
static void trigger(replay *r, int64_t time_ns) {
    int64_t end_ns = time_ns + r->after_ns;
    if (r->windows > 0 && time_ns < r->end_ns) {
        int64_t most_ns = r->begin_ns + FW_ESTIMATE_WINDOW_MAX_S * 1000000000LL;
        r->end_ns = end_ns < most_ns ? end_ns : most_ns;
        return;
    }
    r->windows_ns += r->end_ns - r->begin_ns;
    r->windows++;
    r->begin_ns = time_ns - r->before_ns < r->first_ns ? r->first_ns : time_ns - r->before_ns;
    r->end_ns = end_ns;
}

static bool take_tick(void *self, const double *signals, int64_t time_ns) {
    replay *r = self;
    if (r->ticks++ == 0) r->first_ns = time_ns;
    r->last_ns = time_ns;
    if (fw_campaign_step(r->campaign, &r->state, r->unit, signals, time_ns, 0))
        trigger(r, time_ns);
    return true;
}

/* ---- all of them ---- */

typedef struct source {
    char sha256[FW_HASH_HEX + 1], unit[FW_UNIT_NAME_MAX];
    int64_t size_bytes;
} source;

typedef struct estimate {
    fw_campaign campaign; /* without its budgets, expiry and dice: these are applied to the sums */
    float sample;
    source sources[FW_ESTIMATE_RECORDINGS_MAX];
    uint32_t source_count, looked_at;
    double hours, captures, bytes; /* looked at; windows in them and their bytes */
    uint64_t triggers;
    bool complete; /* all sources, before the deadline */
} estimate;

static bool take_source(void *self, sqlite3_stmt *row) {
    estimate *e = self;
    source *s = &e->sources[e->source_count++];
    snprintf(s->sha256, sizeof s->sha256, "%s", fw_db_column(row, 0));
    snprintf(s->unit, sizeof s->unit, "%s", fw_db_column(row, 1));
    s->size_bytes = sqlite3_column_int64(row, 2);
    return e->source_count < FW_ESTIMATE_RECORDINGS_MAX;
}

static fw_status find_sources(fw_campaigns *campaigns, estimate *e, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(campaigns->catalogue);
    fw_status status =
        fw_db_each(db, error, take_source, e,
                   "SELECT sha256,unit,size_bytes FROM recordings JOIN objects USING(sha256) WHERE "
                   "state='kept' AND line=? AND form='drive' AND campaign IS NULL ORDER BY sequence "
                   "DESC LIMIT ?",
                   "ti", campaigns->line->name, (int64_t)FW_ESTIMATE_RECORDINGS_MAX);
    fw_catalogue_read_end(campaigns->catalogue);
    return status;
}

static void look_at(const fw_factory_line *line, const fw_objects *objects, const source *s,
                    estimate *e) {
    char path[FW_PATH_MAX];
    replay r = {.campaign = &e->campaign, .unit = s->unit};
    r.before_ns = llround((double)e->campaign.before_s * 1000) * 1000000; /* as the unit */
    r.after_ns = llround((double)e->campaign.after_s * 1000) * 1000000;
    fw_objects_path(objects, s->sha256, path);
    if (line->replay(path, take_tick, &r, NULL) != FW_OK) return; /* expired meanwhile */
    if (r.end_ns > r.last_ns) r.end_ns = r.last_ns;
    r.windows_ns += r.end_ns - r.begin_ns;
    double seconds = (double)(r.last_ns - r.first_ns) * 1e-9;
    if (r.ticks < 2 || !(seconds > 0)) return;
    e->looked_at++;
    e->hours += seconds / 3600;
    e->triggers += r.state.triggers;
    e->captures += (double)r.windows;
    e->bytes += (double)r.windows_ns * 1e-9 / seconds * (double)s->size_bytes;
}

static void look_at_all(fw_campaigns *campaigns, const fw_objects *objects, estimate *e) {
    int64_t start_ns = fw_env_mono_ns(campaigns->env);
    e->complete = true;
    for (uint32_t i = 0; i < e->source_count; i++) {
        int64_t spent_ns = fw_env_mono_ns(campaigns->env) - start_ns;
        if (spent_ns > FW_ESTIMATE_TIME_MAX_MS * 1000000LL) {
            e->complete = false;
            return;
        }
        look_at(campaigns->line, objects, &e->sources[i], e);
    }
}

/* ---- what it means for the fleet ---- */

/* Units heard of lately that it is for. */
static uint32_t count_units(fw_units *units, const char *json, size_t size_bytes) {
    json_t *campaign = fw_json_load(json, size_bytes, 0, NULL);
    const json_t *names = json_object_get(campaign, "units"), *name;
    int64_t now_ns = fw_env_wall_ns(units->env);
    uint32_t count = 0;
    pthread_mutex_lock(&units->lock);
    for (uint32_t i = 0; i < units->count; i++) {
        const fw_unit *unit = &units->items[i];
        bool wanted = names == NULL;
        size_t at;
        json_array_foreach(names, at, name)
            wanted = wanted || strcmp(json_string_value(name), unit->name) == 0;
        count += wanted && now_ns - unit->reported_ns <= FW_UNIT_RECENT_S * 1000000000LL;
    }
    pthread_mutex_unlock(&units->lock);
    json_decref(campaign);
    return count;
}

static json_t *number_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *estimate_json(const estimate *e, const fw_campaign *campaign, uint32_t units,
                             int64_t now_ns) {
    double sample = (double)e->sample, hours = INFINITY;
    double captures = e->captures * sample / e->hours, bytes = e->bytes * sample / e->hours;
    if (campaign->expires_ns) hours = (double)(campaign->expires_ns - now_ns) / 3.6e12;
    /* until it ends: by its time, its bytes or its count, whichever comes first */
    double fleet_captures = captures * units, fleet_bytes = bytes * units, ends_h = hours;
    if (campaign->budget_bytes) ends_h = fmin(ends_h, (double)campaign->budget_bytes / fleet_bytes);
    if (campaign->budget_count)
        ends_h = fmin(ends_h, (double)campaign->budget_count / fleet_captures);
    bool nothing = !(fleet_captures > 0);
    json_t *json = json_object();
    json_object_set_new(json, "id", json_string(campaign->id));
    json_object_set_new(json, "recordings_looked_at", json_integer(e->looked_at));
    json_object_set_new(json, "hours_looked_at", json_real(e->hours));
    json_object_set_new(json, "complete", json_boolean(e->complete));
    json_object_set_new(json, "triggers", json_integer((json_int_t)e->triggers));
    json_object_set_new(json, "captures", json_real(e->captures));
    json_object_set_new(json, "captures_per_unit_hour", number_or_null(captures));
    json_object_set_new(json, "bytes_per_unit_hour", number_or_null(bytes));
    json_object_set_new(json, "units", json_integer(units));
    json_object_set_new(json, "hours_expected", number_or_null(ends_h));
    json_object_set_new(json, "captures_expected",
                        number_or_null(nothing ? fleet_captures : fleet_captures * ends_h));
    json_object_set_new(json, "bytes_expected",
                        number_or_null(nothing ? fleet_bytes : fleet_bytes * ends_h));
    return json;
}

/* In words, for people; says what the figures rest on. */
static void add_words(json_t *json, const estimate *e, uint32_t units) {
    char text[300];
    if (e->looked_at == 0)
        snprintf(text, sizeof text, "there is nothing to look at: no recordings of whole drives "
                                    "have arrived yet, so nothing is known of what it would cost");
    else if (units == 0)
        snprintf(text, sizeof text, "no unit that it is for was heard of in the last %d s; the "
                                    "figures are for one unit",
                 FW_UNIT_RECENT_S);
    else if (!e->complete)
        snprintf(text, sizeof text, "looked at %u of %u recordings before the time for it was over",
                 e->looked_at, e->source_count);
    else
        snprintf(text, sizeof text, "as it would have been over the newest %u recordings",
                 e->looked_at);
    json_object_set_new(json, "text", json_string(text));
}

static fw_status run(fw_campaigns *campaigns, fw_units *units, const fw_objects *objects,
                     const char *json, size_t size_bytes, const fw_campaign *campaign,
                     estimate *e, char **out, fw_error *error) {
    e->campaign = *campaign;
    e->sample = campaign->sample;
    e->campaign.sample = 1;
    e->campaign.budget_bytes = e->campaign.budget_count = 0;
    e->campaign.expires_ns = 0;
    FW_TRY(find_sources(campaigns, e, error));
    look_at_all(campaigns, objects, e);
    uint32_t unit_count = count_units(units, json, size_bytes);
    json_t *answer = estimate_json(e, campaign, unit_count, fw_env_wall_ns(campaigns->env));
    add_words(answer, e, unit_count);
    *out = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(answer);
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for an estimate");
}

fw_status fw_campaign_estimate(fw_campaigns *campaigns, fw_units *units, const fw_objects *objects,
                               const char *json, size_t size_bytes, char **out, fw_error *error) {
    fw_campaign campaign;
    FW_TRY(fw_campaigns_check(campaigns, json, size_bytes, &campaign, error));
    if (atomic_flag_test_and_set(&busy))
        return fw_fail(error, FW_BUSY, "another estimate is under way; try again in a few seconds");
    estimate *e = calloc(1, sizeof *e);
    fw_status status = e ? run(campaigns, units, objects, json, size_bytes, &campaign, e, out, error)
                         : fw_fail(error, FW_NO_MEMORY, "no memory for an estimate");
    free(e);
    atomic_flag_clear(&busy);
    return status;
}
