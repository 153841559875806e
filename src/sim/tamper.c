/* tamper.c - changed, cut, old and invented answers (tamper.h). */
#include "sim/tamper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { ONE_IN = 40 };

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static const char *change(fw_random *random, fw_http_reply *reply) {
    if (reply->body_bytes == 0) return NULL;
    uint32_t at = fw_random_below(random, (uint32_t)reply->body_bytes);
    if (fw_random_below(random, 2)) {
        reply->body[at] = (char)(reply->body[at] ^ (1 << fw_random_below(random, 8)));
        return "changed a bit";
    }
    reply->body_bytes = at;
    return "cut it";
}

/* Keeps an answer, or gives the one that was kept. */
static const char *replay(fw_sim_tamper *t, const char *path, fw_http_reply *reply) {
    if (t->old && strcmp(t->path, path) == 0) {
        free(reply->body);
        reply->body = t->old;
        reply->body_bytes = t->old_bytes;
        t->old = NULL;
        return "gave an old one";
    }
    char *copy = malloc(reply->body_bytes + 1);
    if (!copy) return NULL;
    if (reply->body_bytes > 0) memcpy(copy, reply->body, reply->body_bytes);
    copy[reply->body_bytes] = '\0';
    free(t->old);
    t->old = copy;
    t->old_bytes = reply->body_bytes;
    snprintf(t->path, sizeof t->path, "%s", path);
    return NULL;
}

static const char *hint(const char *never, fw_http_reply *reply) {
    static const char key[] = "\"target\":\"";
    char *at = reply->body ? strstr(reply->body, key) : NULL;
    if (!never[0] || !at || strlen(at) < sizeof key - 1 + FW_HASH_HEX) return NULL;
    memcpy(at + sizeof key - 1, never, FW_HASH_HEX);
    return "hinted at what nobody released";
}

const char *fw_sim_tamper_with(fw_sim_tamper *t, fw_random *random, const char *path, const char *never,
                               fw_http_reply *reply) {
    bool is_signed = starts_with(path, "/v1/tuf/") || starts_with(path, "/v1/objects/");
    bool is_report = starts_with(path, "/v1/units/") && strstr(path, "/report");
    if ((!is_signed && !is_report) || reply->status / 100 != 2) return NULL;
    uint32_t dice = fw_random_below(random, ONE_IN);
    if (is_report) return dice == 0 ? hint(never, reply) : NULL;
    if (strstr(path, "timestamp") && dice < 8) return replay(t, path, reply);
    return dice == 0 ? change(random, reply) : NULL;
}

void fw_sim_tamper_free(fw_sim_tamper *t) { free(t->old); }
