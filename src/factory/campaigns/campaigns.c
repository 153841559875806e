#include "factory/campaigns/campaigns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"

static const int64_t look_ns = 1000000000;

/* SQL: captures that arrived, and their bytes, of the campaign c. */
#define CAPTURES "(SELECT count(*) FROM recordings r WHERE r.campaign=c.id)"
#define CAPTURED_BYTES                                                                             \
    "(SELECT coalesce(sum(o.size_bytes),0) FROM recordings r JOIN objects o USING(sha256) WHERE "   \
    "r.campaign=c.id)"

/* ---- life ---- */

void fw_campaigns_open_station(fw_campaigns *campaigns, const fw_env *env, fw_catalogue *catalogue,
                               const fw_factory_line *line) {
    *campaigns =
        (fw_campaigns){.env = env, .catalogue = catalogue, .line = line, .stale = true};
    pthread_mutex_init(&campaigns->lock, NULL);
}

static void forget(fw_campaigns_items *items) {
    for (uint32_t i = 0; i < items->count; i++) {
        free(items->list[i].text);
        json_decref(items->list[i].json);
    }
    items->count = 0;
}

void fw_campaigns_close(fw_campaigns *campaigns) {
    if (!campaigns->env) return;
    forget(&campaigns->open);
    pthread_mutex_destroy(&campaigns->lock);
    *campaigns = (fw_campaigns){0};
}

/* ---- the end of what is over ---- */

typedef struct over {
    char id[FW_CAMPAIGN_ID_MAX];
    const char *why;
    int64_t captures, bytes;
} over;

typedef struct overs {
    int64_t now_ns;
    uint32_t count;
    over items[FW_CAMPAIGNS_OPEN_MAX];
} overs;

static bool take_over(void *self, sqlite3_stmt *row) {
    overs *found = self;
    int64_t expires_ns = sqlite3_column_int64(row, 1), bytes_max = sqlite3_column_int64(row, 2),
            count_max = sqlite3_column_int64(row, 3), captures = sqlite3_column_int64(row, 4),
            bytes = sqlite3_column_int64(row, 5);
    const char *why = NULL;
    if (expires_ns && expires_ns <= found->now_ns) why = "expired";
    if ((bytes_max && bytes >= bytes_max) || (count_max && captures >= count_max)) why = "budget";
    if (!why) return true;
    over *item = &found->items[found->count++];
    *item = (over){.why = why, .captures = captures, .bytes = bytes};
    snprintf(item->id, sizeof item->id, "%s", fw_db_column(row, 0));
    return found->count < FW_CAMPAIGNS_OPEN_MAX;
}

static const char *words_of(const char *why) {
    if (strcmp(why, "expired") == 0) return "its time is over";
    return strcmp(why, "budget") == 0 ? "its budget is spent" : "by a person";
}

/* Inside a transaction. */
static fw_status write_end(sqlite3 *db, const over *item, int64_t now_ns, fw_error *error) {
    char text[200];
    snprintf(text, sizeof text,
             "campaign %s ended, %s: %" PRId64 " captures, %" PRId64 " bytes", item->id,
             words_of(item->why), item->captures, item->bytes);
    FW_TRY(fw_db_run(db, error,
                     "UPDATE campaigns SET ended_ns=?,why=? WHERE id=? AND ended_ns IS NULL", "itt",
                     now_ns, item->why, item->id));
    return fw_log_add(db, now_ns, "campaign", text, error);
}

static fw_status end_what_is_over(fw_campaigns *campaigns, bool *changed, fw_error *error) {
    overs found = {.now_ns = fw_env_wall_ns(campaigns->env)};
    sqlite3 *db = fw_catalogue_read(campaigns->catalogue);
    fw_status status = fw_db_each(db, error, take_over, &found,
                                  "SELECT id,expires_ns,budget_bytes,budget_count," CAPTURES
                                  "," CAPTURED_BYTES " FROM campaigns c WHERE ended_ns IS NULL",
                                  "");
    fw_catalogue_read_end(campaigns->catalogue);
    if (status != FW_OK || found.count == 0) return status;
    db = fw_catalogue_begin(campaigns->catalogue, error);
    if (!db) return FW_IO;
    for (uint32_t i = 0; i < found.count && status == FW_OK; i++)
        status = write_end(db, &found.items[i], found.now_ns, error);
    *changed = true;
    return fw_catalogue_end(campaigns->catalogue, status, error);
}

/* ---- the open ones in memory ---- */

static bool take_item(void *self, sqlite3_stmt *row) {
    fw_campaigns_items *items = self;
    fw_campaigns_open *item = &items->list[items->count];
    *item = (fw_campaigns_open){.text = strdup(fw_db_column(row, 1)),
                                .json = fw_json_load_text(fw_db_column(row, 1))};
    snprintf(item->id, sizeof item->id, "%s", fw_db_column(row, 0));
    items->count++;
    return items->count < FW_CAMPAIGNS_OPEN_MAX;
}

static fw_status load_items(fw_campaigns *campaigns, fw_error *error) {
    fw_campaigns_items fresh = {.count = 0};
    sqlite3 *db = fw_catalogue_read(campaigns->catalogue);
    fw_status status = fw_db_each(db, error, take_item, &fresh,
                                  "SELECT id,json FROM campaigns WHERE ended_ns IS NULL ORDER BY "
                                  "priority DESC,sequence",
                                  "");
    fw_catalogue_read_end(campaigns->catalogue);
    for (uint32_t i = 0; i < fresh.count && status == FW_OK; i++)
        if (!fresh.list[i].text || !fresh.list[i].json)
            status = fw_fail(error, FW_NO_MEMORY, "no memory for the campaigns");
    if (status != FW_OK) {
        forget(&fresh);
        return status;
    }
    forget(&campaigns->open);
    campaigns->open = fresh;
    return FW_OK;
}

/* What is over is ended and the list is as the catalogue has it, at most a second old. The lock is
 * held. A catalogue that cannot be written (a full disk) must not keep units from their reports: the
 * list stays as it was. */
static void look_again(fw_campaigns *campaigns, bool at_once) {
    fw_error error = {""};
    int64_t now_ns = fw_env_mono_ns(campaigns->env);
    bool fresh = campaigns->looked_ns && now_ns - campaigns->looked_ns < look_ns;
    if (fresh && !campaigns->stale && !at_once) return;
    campaigns->looked_ns = now_ns;
    bool changed = campaigns->stale;
    fw_status status = end_what_is_over(campaigns, &changed, &error);
    if (changed && load_items(campaigns, &error) == FW_OK && status == FW_OK)
        campaigns->stale = false;
    else if (changed || status != FW_OK)
        fw_log_warn("the list of campaigns is not up to date: %s", error.text);
}

/* ---- what a unit is to know ---- */

static bool for_unit(const fw_campaigns_open *item, const char *unit) {
    const json_t *units = json_object_get(item->json, "units"), *name;
    size_t at;
    if (!units) return true;
    json_array_foreach(units, at, name)
        if (strcmp(json_string_value(name), unit) == 0) return true;
    return false;
}

/* The unit's campaigns in order into list; returns how many. The lock is held. */
static uint32_t list_of(const fw_campaigns *campaigns, const char *unit,
                        const fw_campaigns_open *list[FW_CAMPAIGNS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < campaigns->open.count && count < FW_CAMPAIGNS_MAX; i++)
        if (for_unit(&campaigns->open.list[i], unit)) list[count++] = &campaigns->open.list[i];
    return count;
}

static void version_of(const fw_campaigns_open *const *list, uint32_t count,
                       char out[FW_CAMPAIGNS_VERSION_MAX]) {
    fw_sha256 *state = count ? fw_sha256_begin() : NULL;
    for (uint32_t i = 0; i < count; i++) /* with its end, so that texts do not run together */
        fw_sha256_add(state, list[i]->text, strlen(list[i]->text) + 1);
    fw_hash hash = {"none"};
    if (state) hash = fw_sha256_end(state);
    snprintf(out, FW_CAMPAIGNS_VERSION_MAX, "%.16s", hash.hex);
}

void fw_campaigns_version(fw_campaigns *campaigns, const char *unit,
                          char out[FW_CAMPAIGNS_VERSION_MAX]) {
    const fw_campaigns_open *list[FW_CAMPAIGNS_MAX];
    pthread_mutex_lock(&campaigns->lock);
    look_again(campaigns, false);
    uint32_t count = list_of(campaigns, unit, list);
    version_of(list, count, out);
    pthread_mutex_unlock(&campaigns->lock);
}

fw_status fw_campaigns_unit_json(fw_campaigns *campaigns, const char *unit, char **json,
                                 fw_error *error) {
    const fw_campaigns_open *list[FW_CAMPAIGNS_MAX];
    char version[FW_CAMPAIGNS_VERSION_MAX];
    pthread_mutex_lock(&campaigns->lock);
    look_again(campaigns, false);
    uint32_t count = list_of(campaigns, unit, list);
    size_t size = 64;
    for (uint32_t i = 0; i < count; i++) size += strlen(list[i]->text) + 1;
    char *text = malloc(size);
    if (text) {
        version_of(list, count, version);
        int used = snprintf(text, size, "{\"version\":\"%s\",\"campaigns\":[", version);
        for (uint32_t i = 0; i < count; i++)
            used += snprintf(text + used, size - (size_t)used, "%s%s", i ? "," : "", list[i]->text);
        snprintf(text + used, size - (size_t)used, "]}");
    }
    pthread_mutex_unlock(&campaigns->lock);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a list of campaigns");
    *json = text;
    return FW_OK;
}

/* ---- changes ---- */

fw_status fw_campaigns_check(fw_campaigns *campaigns, const char *json, size_t size_bytes,
                             fw_campaign *out, fw_error *error) {
    if (!campaigns->line->signals)
        return fw_fail(error, FW_UNSUPPORTED, "the line %s has no signals for campaigns",
                       campaigns->line->name);
    FW_TRY(fw_campaign_parse(json ? json : "", size_bytes, campaigns->line->signals, NULL, out,
                             NULL, error));
    if (out->expires_ns && out->expires_ns <= fw_env_wall_ns(campaigns->env))
        return fw_fail(error, FW_INVALID, "expires_ns: this is in the past");
    return FW_OK;
}

/* Inside a transaction. */
static fw_status insert(sqlite3 *db, const fw_campaign *c, const char *json, int64_t now_ns,
                        fw_error *error) {
    int64_t there = 0, open = 0;
    char text[200];
    FW_TRY(fw_db_int(db, error, &there, "SELECT count(*) FROM campaigns WHERE id=?", "t", c->id));
    if (there > 0)
        return fw_fail(error, FW_EXISTS,
                       "campaign %s is there already; take another id (they name recordings)",
                       c->id);
    FW_TRY(fw_db_int(db, error, &open, "SELECT count(*) FROM campaigns WHERE ended_ns IS NULL", ""));
    if (open >= FW_CAMPAIGNS_OPEN_MAX)
        return fw_fail(error, FW_BUSY, "%d campaigns are open, which is the most; end one",
                       FW_CAMPAIGNS_OPEN_MAX);
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO campaigns(id,json,priority,expires_ns,budget_bytes,budget_count,"
                     "created_ns) VALUES(?,json(?),?,?,?,?,?)",
                     "ttiiiii", c->id, json, (int64_t)c->priority, c->expires_ns,
                     (int64_t)c->budget_bytes, (int64_t)c->budget_count, now_ns));
    snprintf(text, sizeof text, "campaign %s launched", c->id);
    return fw_log_add(db, now_ns, "campaign", text, error);
}

fw_status fw_campaigns_add(fw_campaigns *campaigns, const char *json, size_t size_bytes,
                           char id[FW_CAMPAIGN_ID_MAX], fw_error *error) {
    fw_campaign campaign;
    FW_TRY(fw_campaigns_check(campaigns, json, size_bytes, &campaign, error));
    char *text = strndup(json, size_bytes);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a campaign");
    pthread_mutex_lock(&campaigns->lock);
    look_again(campaigns, true); /* what is over makes room */
    fw_status status = FW_IO;
    sqlite3 *db = fw_catalogue_begin(campaigns->catalogue, error);
    if (db) {
        status = insert(db, &campaign, text, fw_env_wall_ns(campaigns->env), error);
        status = fw_catalogue_end(campaigns->catalogue, status, error);
    }
    if (status == FW_OK) campaigns->stale = true;
    pthread_mutex_unlock(&campaigns->lock);
    free(text);
    if (status == FW_OK) memcpy(id, campaign.id, sizeof campaign.id);
    return status;
}

static bool take_ended(void *self, sqlite3_stmt *row) {
    over *item = self;
    item->captures = sqlite3_column_int64(row, 0);
    item->bytes = sqlite3_column_int64(row, 1);
    item->why = sqlite3_column_int64(row, 2) ? "ended" : "person";
    return false;
}

fw_status fw_campaigns_end(fw_campaigns *campaigns, const char *id, fw_error *error) {
    over item = {.why = NULL};
    snprintf(item.id, sizeof item.id, "%s", strlen(id) < sizeof item.id ? id : "");
    pthread_mutex_lock(&campaigns->lock);
    fw_status status = FW_IO;
    sqlite3 *db = fw_catalogue_begin(campaigns->catalogue, error);
    if (db) {
        status = fw_db_each(db, error, take_ended, &item,
                            "SELECT " CAPTURES "," CAPTURED_BYTES ",ended_ns IS NOT NULL FROM "
                            "campaigns c WHERE id=?",
                            "t", item.id);
        if (status == FW_OK && !item.why)
            status = fw_fail(error, FW_NOT_FOUND, "no campaign %.64s", id);
        else if (status == FW_OK && strcmp(item.why, "person") == 0)
            status = write_end(db, &item, fw_env_wall_ns(campaigns->env), error);
        status = fw_catalogue_end(campaigns->catalogue, status, error);
    }
    campaigns->stale = true;
    pthread_mutex_unlock(&campaigns->lock);
    return status;
}

/* ---- lists ---- */

#define ROW                                                                                        \
    "json_object('id',id,'state',CASE WHEN ended_ns IS NULL THEN 'open' ELSE 'ended' END,'why',"    \
    "why,'captures'," CAPTURES ",'captured_bytes'," CAPTURED_BYTES ",'captured_units',(SELECT "     \
    "count(DISTINCT unit) FROM recordings r WHERE r.campaign=c.id),'last_capture_ns',(SELECT max("  \
    "received_ns) FROM recordings r JOIN objects o USING(sha256) WHERE r.campaign=c.id),"           \
    "'created_ns',created_ns,'ended_ns',ended_ns,'campaign',json(json))"

static fw_status read_json(fw_campaigns *campaigns, const char *id, char **json, fw_error *error) {
    pthread_mutex_lock(&campaigns->lock);
    look_again(campaigns, true);
    pthread_mutex_unlock(&campaigns->lock);
    sqlite3 *db = fw_catalogue_read(campaigns->catalogue);
    fw_status status =
        id ? fw_db_text(db, error, json, "SELECT " ROW " FROM campaigns c WHERE id=?", "t", id)
           : fw_db_text(db, error, json,
                        "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT " ROW
                        " j FROM campaigns c ORDER BY sequence DESC LIMIT ?)",
                        "i", (int64_t)FW_CAMPAIGNS_LIST_MAX);
    fw_catalogue_read_end(campaigns->catalogue);
    return status;
}

fw_status fw_campaigns_json(fw_campaigns *campaigns, char **json, fw_error *error) {
    return read_json(campaigns, NULL, json, error);
}

fw_status fw_campaigns_json_of(fw_campaigns *campaigns, const char *id, char **json,
                               fw_error *error) {
    fw_status status = read_json(campaigns, id, json, error);
    return status == FW_NOT_FOUND ? fw_fail(error, status, "no campaign %.64s", id) : status;
}
