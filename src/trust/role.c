/* role.c - names and times of TUF's files (role.h). */
#include "trust/role.h"

#include <stdio.h>
#include <string.h>

static const char *const role_texts[FW_TUF_ROLES] = {"root", "targets", "snapshot", "timestamp"};

const char *fw_tuf_role_text(fw_tuf_role role) {
    FW_ASSERT(role < FW_TUF_ROLES);
    return role_texts[role];
}

fw_tuf_role fw_tuf_role_parse(const char *text) {
    fw_tuf_role role = FW_TUF_ROOT;
    while (role < FW_TUF_ROLES && strcmp(text, role_texts[role]) != 0) role++;
    return role;
}

/* ---- times ---- */

/* Digits where the form has 0, its own characters elsewhere. */
static bool has_form(const char *text, const char *form) {
    for (; *form; form++, text++)
        if (*form == '0' ? *text < '0' || *text > '9' : *text != *form) return false;
    return *text == '\0';
}

static int64_t number(const char *digits, int count) {
    int64_t value = 0;
    for (int i = 0; i < count; i++) value = 10 * value + (digits[i] - '0');
    return value;
}

static int64_t days_in(int64_t year, int64_t month) {
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01 in the Gregorian calendar, counted in years that begin with March: the leap day is the
 * last of one. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day) {
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

bool fw_tuf_time_read(const char *text, int64_t *seconds) {
    if (!has_form(text, "0000-00-00T00:00:00Z")) return false;
    int64_t year = number(text, 4), month = number(text + 5, 2), day = number(text + 8, 2);
    int64_t hour = number(text + 11, 2), minute = number(text + 14, 2), second = number(text + 17, 2);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in(year, month)) return false;
    if (hour > 23 || minute > 59 || second > 59) return false;
    *seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

/* ---- names ---- */

static bool stands_as_it_is(char c, bool keep_slash) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("_.-~", c) ||
           (c == '/' && keep_slash);
}

fw_status fw_tuf_quote(const char *name, bool keep_slash, char *out, size_t out_size, fw_error *error) {
    size_t used = 0;
    for (const char *c = name; *c; c++) {
        if (used + 4 > out_size) return fw_fail(error, FW_TOO_BIG, "the name %.60s... is too long", name);
        if (stands_as_it_is(*c, keep_slash)) out[used++] = *c;
        else used += (size_t)snprintf(out + used, out_size - used, "%%%02X", (unsigned char)*c);
    }
    out[used] = '\0';
    return FW_OK;
}
