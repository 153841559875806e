/* parse.c - a campaign's JSON: fields, their limits, and the line that says which one is wrong.
 *
 * To add a field: 1. a line in `fields` and its reader, 2. docs/formats/campaign.schema.json and
 * campaign.md (tests/campaign compares them with what is taken here).
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "campaign/ops.h"

/* What a campaign has where its JSON is silent. */
static const fw_campaign defaults = {.before_s = 10, .after_s = 5, .sample = 1, .priority = 50};

/* Numbers of JSON that a program in another language keeps exactly. */
static const json_int_t integer_max = (json_int_t)1 << 53;

typedef struct reader {
    const json_t *json;
    const fw_campaign_signals *signals;
    fw_campaign campaign;
    fw_error *error;
} reader;

static bool is_name(char c, bool first) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || (!first && (c == '.' || c == '_' || c == '-'));
}

/* ---- readers of one kind of value; absent: untouched ---- */

static fw_status read_number(const reader *r, const char *name, double min, double max,
                             float *out) {
    const json_t *value = json_object_get(r->json, name);
    if (!value) return FW_OK;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= min && number <= max))
        return fw_fail(r->error, FW_INVALID, "%s: want a number from %g to %g", name, min, max);
    *out = (float)number;
    return FW_OK;
}

static fw_status read_integer(const reader *r, const char *name, json_int_t max,
                              json_int_t *out) {
    const json_t *value = json_object_get(r->json, name);
    if (!value) return FW_OK;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > max)
        return fw_fail(r->error, FW_INVALID, "%s: want a whole number from 0 to %lld", name,
                       (long long)max);
    *out = number;
    return FW_OK;
}

/* A text of min to max bytes; NULL where absent. */
static fw_status read_text(const reader *r, const char *name, size_t max_bytes, const char **out) {
    const json_t *value = json_object_get(r->json, name);
    *out = NULL;
    if (!value) return FW_OK;
    size_t size = json_string_length(value);
    if (!json_is_string(value) || size == 0 || size > max_bytes)
        return fw_fail(r->error, FW_INVALID, "%s: want a text of 1 to %zu bytes", name, max_bytes);
    *out = json_string_value(value);
    return FW_OK;
}

/* ---- the fields ---- */

static fw_status read_id(reader *r) {
    const char *text;
    FW_TRY(read_text(r, "id", FW_CAMPAIGN_ID_MAX - 1, &text));
    if (!text) return fw_fail(r->error, FW_INVALID, "id: a campaign needs one");
    for (size_t i = 0; text[i]; i++)
        if (!is_name(text[i], i == 0))
            return fw_fail(r->error, FW_INVALID,
                           "id: want letters, digits, '.', '_' and '-', and first a letter or digit");
    snprintf(r->campaign.id, sizeof r->campaign.id, "%s", text);
    return FW_OK;
}

static fw_status read_line(reader *r) {
    const char *text;
    FW_TRY(read_text(r, "line", 31, &text));
    if (!text) text = "driving";
    if (!r->signals->line || strcmp(text, r->signals->line) == 0) return FW_OK;
    return fw_fail(r->error, FW_INVALID, "line: want %s; no signals of %.31s are known here",
                   r->signals->line, text);
}

static fw_status read_when(reader *r) {
    const char *text;
    FW_TRY(read_text(r, "when", FW_CAMPAIGN_WHEN_MAX, &text));
    if (!text) return fw_fail(r->error, FW_INVALID, "when: a campaign needs a condition");
    return fw_campaign_compile(text, strlen(text), r->signals, &r->campaign, r->error);
}

static fw_status read_before(reader *r) {
    return read_number(r, "before_s", 0, FW_CAMPAIGN_BEFORE_MAX_S, &r->campaign.before_s);
}

static fw_status read_after(reader *r) {
    return read_number(r, "after_s", 0, FW_CAMPAIGN_AFTER_MAX_S, &r->campaign.after_s);
}

static fw_status read_cooldown(reader *r) {
    return read_number(r, "cooldown_s", 0, FW_CAMPAIGN_COOLDOWN_MAX_S, &r->campaign.cooldown_s);
}

static fw_status read_sample(reader *r) {
    FW_TRY(read_number(r, "sample", 0, 1, &r->campaign.sample));
    if (r->campaign.sample > 0) return FW_OK;
    return fw_fail(r->error, FW_INVALID, "sample: want a share over 0 and up to 1");
}

static fw_status read_priority(reader *r) {
    json_int_t value = r->campaign.priority;
    FW_TRY(read_integer(r, "priority", FW_CAMPAIGN_PRIORITY_MAX, &value));
    r->campaign.priority = (uint32_t)value;
    return FW_OK;
}

static fw_status read_budgets(reader *r) {
    json_int_t bytes = 0, count = 0;
    FW_TRY(read_integer(r, "budget_bytes", integer_max, &bytes));
    FW_TRY(read_integer(r, "budget_count", integer_max, &count));
    r->campaign.budget_bytes = (uint64_t)bytes;
    r->campaign.budget_count = (uint64_t)count;
    return FW_OK;
}

static fw_status read_expires(reader *r) {
    json_int_t value = 0; /* nanoseconds of today are beyond 2^53 */
    FW_TRY(read_integer(r, "expires_ns", INT64_MAX, &value));
    r->campaign.expires_ns = value;
    return FW_OK;
}

static fw_status read_units(reader *r, const char *unit, bool *wanted) {
    const json_t *list = json_object_get(r->json, "units"), *item;
    size_t at, count = json_array_size(list);
    *wanted = !unit || !list;
    if (!list) return FW_OK;
    if (!json_is_array(list) || count == 0 || count > FW_CAMPAIGN_UNITS_MAX)
        return fw_fail(r->error, FW_INVALID,
                       "units: want a list of 1 to %d names; without the field it is for all",
                       FW_CAMPAIGN_UNITS_MAX);
    json_array_foreach(list, at, item) {
        const char *name = json_string_value(item);
        size_t size = json_string_length(item), good = 0;
        while (name && good < size && is_name(name[good], false)) good++;
        if (!name || size == 0 || size >= FW_CAMPAIGN_UNIT_MAX || good < size)
            return fw_fail(r->error, FW_INVALID,
                           "units: name %zu: want 1 to %d of a-z A-Z 0-9 . _ -", at + 1,
                           FW_CAMPAIGN_UNIT_MAX - 1);
        if (unit && strcmp(name, unit) == 0) *wanted = true;
    }
    return FW_OK;
}

/* ---- the whole ---- */

/* In the order in which they are checked; units come last, read_units. */
static const struct {
    const char *name;
    fw_status (*read)(reader *r);
} fields[] = {
    {"id", read_id},
    {"line", read_line},
    {"when", read_when},
    {"before_s", read_before},
    {"after_s", read_after},
    {"sample", read_sample},
    {"priority", read_priority},
    {"cooldown_s", read_cooldown},
    {"budget_bytes", read_budgets},
    {"budget_count", NULL}, /* with the bytes */
    {"expires_ns", read_expires},
    {"units", NULL},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

const char *fw_campaign_field(uint32_t index) {
    return index < FIELD_COUNT ? fields[index].name : NULL;
}

static fw_status check_names(const reader *r) {
    const char *names[FIELD_COUNT], *name;
    json_t *value;
    for (int i = 0; i < FIELD_COUNT; i++) names[i] = fields[i].name;
    json_object_foreach((json_t *)r->json, name, value) {
        int i = 0;
        while (i < FIELD_COUNT && strcmp(name, names[i]) != 0) i++;
        if (i < FIELD_COUNT) continue;
        const char *near = fw_campaign_nearest(name, strlen(name), names, FIELD_COUNT);
        return fw_fail(r->error, FW_INVALID, "%.64s: a campaign has no such field%s%s%s", name,
                       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return FW_OK;
}

static fw_status read_all(reader *r, const char *unit, bool *wanted) {
    FW_TRY(check_names(r));
    for (int i = 0; i < FIELD_COUNT; i++)
        if (fields[i].read) FW_TRY(fields[i].read(r));
    return read_units(r, unit, wanted);
}

/* Messages quote what was given: one line of ASCII all the same. */
static void make_plain(fw_error *error) {
    for (char *c = error ? error->text : ""; *c; c++)
        if (*c < 0x20 || *c > 0x7e) *c = '?';
}

fw_status fw_campaign_parse(const char *json, size_t size_bytes,
                            const fw_campaign_signals *signals, const char *unit, fw_campaign *out,
                            bool *wanted, fw_error *error) {
    json_error_t where;
    bool for_unit = false;
    if (size_bytes > FW_CAMPAIGN_JSON_MAX)
        return fw_fail(error, FW_INVALID, "a campaign of %zu bytes; at most %d", size_bytes,
                       FW_CAMPAIGN_JSON_MAX);
    json_t *parsed = fw_json_load(json, size_bytes, JSON_REJECT_DUPLICATES, &where);
    reader r = {.json = parsed, .signals = signals, .campaign = defaults, .error = error};
    fw_status status = FW_OK;
    if (!parsed)
        status = fw_fail(error, FW_INVALID, "no JSON: line %d column %d: %s", where.line,
                         where.column, where.text);
    else if (!json_is_object(parsed))
        status = fw_fail(error, FW_INVALID, "a campaign is a JSON object");
    else
        status = read_all(&r, unit, &for_unit);
    json_decref(parsed);
    if (status != FW_OK) {
        make_plain(error);
        return status;
    }
    *out = r.campaign;
    if (wanted) *wanted = for_unit;
    return FW_OK;
}
