#include "http/origin.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 64 };

/* Splits "name", "name:port", "[v6]:port"; the port must be digits. */
static bool split_name(const char *host, char name[NAME_MAX_BYTES]) {
    const char *start = host, *end;
    if (host[0] == '[') {
        start = host + 1;
        end = strchr(start, ']');
        if (!end) return false;
    } else {
        end = start + strcspn(start, ":");
    }
    size_t size = (size_t)(end - start);
    if (size == 0 || size >= NAME_MAX_BYTES) return false;
    memcpy(name, start, size);
    name[size] = '\0';
    const char *rest = *end == ']' ? end + 1 : end;
    if (*rest == '\0') return true;
    return *rest == ':' && rest[1] && strspn(rest + 1, "0123456789") == strlen(rest + 1);
}

static bool is_loopback(const char *literal) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, literal, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, literal, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    return false;
}

static bool listed(const char *const *list, const char *text) {
    for (; list && *list; list++)
        if (strcasecmp(*list, text) == 0) return true;
    return false;
}

bool fw_http_fetch_foreign(const char *path, const char *fetch_site) {
    return fetch_site && strcmp(fetch_site, "cross-site") == 0 && strncmp(path, "/v1/", 4) == 0;
}

bool fw_http_host_ours(const fw_http_origin_rule *rule, const char *host) {
    char name[NAME_MAX_BYTES];
    if (!host || !split_name(host, name)) return false;
    if (strcasecmp(name, "localhost") == 0 || listed(rule->names, name)) return true;
    if (strcmp(name, rule->local_address) == 0) return true;
    return is_loopback(name) && is_loopback(rule->local_address);
}

/* A page that was named may read what was named. */
static bool may_cross(const fw_http_origin_rule *rule, const char *method, const char *path,
                      const char *origin) {
    bool reads =
        strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0;
    if (!reads || !listed(rule->cors_origins, origin)) return false;
    for (const char *const *p = rule->cors_paths; p && *p; p++)
        if (strncmp(path, *p, strlen(*p)) == 0) return true;
    return false;
}

const char *fw_http_origin_refused(const fw_http_origin_rule *rule, const char *method,
                                   const char *path, const char *host, const char *origin,
                                   bool *cross) {
    static const char foreign[] = "requests from a foreign web page are refused";
    *cross = false;
    if (!fw_http_host_ours(rule, host))
        return "the Host header does not name this server; use its IP address or localhost";
    if (!origin) return NULL;
    if (may_cross(rule, method, path, origin)) {
        *cross = true;
        return NULL;
    }
    const char *scheme = rule->tls ? "https://" : "http://";
    size_t skip = strlen(scheme);
    if (strncmp(origin, scheme, skip) != 0) return foreign;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool ours =
        reads ? fw_http_host_ours(rule, origin + skip) : strcasecmp(origin + skip, host) == 0;
    return ours ? NULL : foreign;
}
