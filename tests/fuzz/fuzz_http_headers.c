/* links: fw_http */
/* The headers that decide: five lines METHOD, Host, Origin, Range, Content-Range; an absent line is
 * an absent header. What is let through must keep to the rules of origin.h and range.h. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/origin.h"
#include "http/range.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "broken: %s\n", #condition);                                           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void check_origin(const char *method, const char *host, const char *origin) {
    static const char *const origins[] = {"https://pages.example", NULL};
    static const char *const paths[] = {"/v1/objects/", NULL};
    const fw_http_origin_rule rule = {
        .local_address = "127.0.0.1", .cors_origins = origins, .cors_paths = paths};
    bool cross = false, crossed = false;
    bool ours = fw_http_host_ours(&rule, host);
    const char *refused =
        fw_http_origin_refused(&rule, method, "/v1/status", host, origin, &cross);
    CHECK(!cross); /* not below the paths */
    if (!fw_http_origin_refused(&rule, method, "/v1/objects/a", host, origin, &crossed) && crossed)
        CHECK(ours && origin && strcasecmp(origin, origins[0]) == 0 &&
              strcmp(method, "PUT") != 0 && strcmp(method, "POST") != 0);
    if (!ours) CHECK(refused != NULL);
    if (ours) /* nothing but the three forms */
        CHECK(strncasecmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0 ||
              host[0] == '[' || strncmp(host, "::1", 3) == 0);
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!refused && origin && !reads)
        CHECK(strncmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0);
}

static void check_ranges(const char *range, const char *content_range) {
    static const uint64_t sizes[] = {0, 1, 10, UINT64_C(1) << 40};
    uint64_t first = 0, last = 0, count = 0, total = 0;
    for (int i = 0; i < 4; i++)
        if (fw_http_parse_range(range, sizes[i], &first, &count) == FW_HTTP_RANGE_PART)
            CHECK(count > 0 && first < sizes[i] && count <= sizes[i] - first);
    if (content_range && fw_http_parse_content_range(content_range, &first, &last, &total))
        CHECK(first <= last && last < total && total < UINT64_C(1) << 62);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    char *lines[5] = {NULL}, *text = malloc(size_bytes + 1);
    if (!text) return 0;
    memcpy(text, bytes, size_bytes);
    text[size_bytes] = '\0';
    char *at = text;
    for (int i = 0; i < 5 && at; i++) {
        lines[i] = at;
        at = strchr(at, '\n');
        if (at) *at++ = '\0';
    }
    check_origin(lines[0], lines[1], lines[2]);
    check_ranges(lines[3], lines[4]);
    free(text);
    return 0;
}
