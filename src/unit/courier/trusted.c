/* trusted.c - two TUF clients behind the courier's own client (trusted.h). */
#include "unit/courier/trusted.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum { BUNDLE_MAX = 1 << 20 };

/* What may come before a signature is checked is small: parsed JSON takes up to 80 times its length. The image's
 * snapshot and targets are signed with their hash, which is looked at first. */
static const fw_tuf_limits director_limits = {.root_max_bytes = 64 << 10, .snapshot_max_bytes = 16 << 10,
                                              .targets_max_bytes = 64 << 10};
static const fw_tuf_limits image_limits = {.root_max_bytes = 64 << 10};

/* One repository as the TUF client sees it. */
typedef struct mirror {
    fw_unit_courier *courier;
    char address[64];    /* below the factory's */
    fw_uptane_line line; /* the director's: what it brings must be this unit's own */
    fw_tuf_fetch fetch;
    fw_tuf_client *client;
} mirror;

struct fw_unit_trusted {
    fw_unit_courier *courier;
    char unit[16];
    mirror director, image;
};

static fw_status get_metadata(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                              fw_error *error) {
    mirror *m = self;
    char url[600];
    fw_http_reply reply;
    int used = snprintf(url, sizeof url, "%s%s/%s", m->courier->config.factory, m->address, path);
    if (used < 0 || (size_t)used >= sizeof url) return fw_fail(error, FW_TOO_BIG, "a role's name is too long");
    fw_http_call call = {.method = "GET", .url = url, .reply_max_bytes = max_bytes};
    FW_TRY(fw_unit_call(m->courier, &call, &reply, error));
    if (reply.status == 200) {
        *bytes = reply.body;
        *size_bytes = reply.body_bytes;
        return FW_OK;
    }
    int status = reply.status;
    fw_unit_clear_reply(&reply);
    return fw_fail(error, status == 404 || status == 403 ? FW_NOT_FOUND : FW_IO, "the factory answered %d for %s%s",
                   status, m->address, path);
}

/* What the image repository says of a target, as an offer. */
static fw_status offer_of(const fw_tuf_target *target, uint64_t release_counter, fw_unit_offer *out, fw_error *error) {
    fw_unit_offer offer = {.sha256 = target->sha256, .length_bytes = target->length_bytes,
                           .release_counter = release_counter};
    if (!target->sha256.hex[0] || target->length_bytes > FW_UNIT_MODEL_FILE_MAX)
        return fw_fail(error, FW_UNSUPPORTED, "%s has no SHA-256, or is too long", target->path);
    snprintf(offer.target, sizeof offer.target, "%s", target->path);
    if (target->custom) offer.custom = json_dumps(target->custom, JSON_COMPACT);
    if (offer.custom && strlen(offer.custom) > FW_UNIT_CUSTOM_MAX) {
        fw_unit_offer_clear(&offer);
        return fw_fail(error, FW_TOO_BIG, "%s: its self-test is too long", target->path);
    }
    *out = offer;
    return FW_OK;
}

/* For the next version report; metadata's own words may stand in it. */
static void remember_attack(fw_unit_courier *c, const char *text) {
    snprintf(c->attack, sizeof c->attack, "%.159s", text);
    for (char *at = c->attack; *at; at++)
        if (*at < 32 || *at > 126) *at = '?';
}

static fw_status choose(void *self, const fw_hash *hint, uint64_t release_counter, fw_unit_offer *out,
                        fw_error *error) {
    fw_unit_trusted *t = self;
    fw_uptane_unit unit = {.unit = t->unit, .hardware_id = t->courier->config.hardware_id,
                           .release_counter = release_counter};
    fw_uptane_choice choice;
    (void)hint; /* it made us look; what counts is what is signed */
    fw_status status = fw_uptane_choose(t->director.client, t->image.client, &unit, &choice, error);
    if (status == FW_MISMATCH) remember_attack(t->courier, error->text);
    if (status != FW_OK) return status;
    *out = (fw_unit_offer){0};
    return choice.found ? offer_of(&choice.target, choice.release_counter, out, error) : FW_OK;
}

static fw_status genuine(void *self, const fw_hash *sha256, fw_unit_offer *out, fw_error *error) {
    fw_unit_trusted *t = self;
    char path[128];
    fw_tuf_target target;
    snprintf(path, sizeof path, "driving/%.64s.safetensors", sha256->hex);
    FW_TRY(fw_tuf_refresh(t->image.client, error));
    FW_TRY(fw_tuf_find(t->image.client, path, &target, error));
    if (strcmp(target.sha256.hex, sha256->hex) != 0)
        return fw_fail(error, FW_MISMATCH, "%s is signed with another hash", path);
    return offer_of(&target, 0, out, error);
}

static bool has_root(const char *folder, const char *name) {
    char path[FW_PATH_MAX];
    snprintf(path, sizeof path, "%.400s/%s/root.json", folder, name);
    return fw_file_exists(path);
}

/* The owner's roots, once: where there are some the file is not even looked for, for it may have been on a stick. */
static fw_status take_roots(fw_unit_courier *c, const char *folder, bool *there, fw_error *error) {
    char *bundle = NULL;
    size_t size = 0;
    if (c->config.root_path && !(has_root(folder, "image") && has_root(folder, "director"))) {
        FW_TRY(fw_file_read(c->config.root_path, BUNDLE_MAX, &bundle, &size, error));
        fw_status status = fw_uptane_init(c->config.env, folder, bundle, size, error);
        free(bundle);
        if (status != FW_OK && status != FW_EXISTS) return status;
    }
    *there = has_root(folder, "director");
    return FW_OK;
}

static fw_status open_mirror(fw_unit_courier *c, mirror *m, const char *folder, const char *name, const char *address,
                             const char *unit, fw_error *error) {
    char path[FW_PATH_MAX];
    snprintf(path, sizeof path, "%.400s/%s", folder, name);
    fw_unit_drop_ending(path, ".tmp", NULL);
    snprintf(m->address, sizeof m->address, "%s", address);
    m->courier = c;
    m->line = (fw_uptane_line){.under = {.self = m, .metadata = get_metadata}, .unit = unit};
    m->fetch = unit ? fw_uptane_fetch(&m->line) : m->line.under;
    return fw_tuf_open(c->config.env, path, &m->fetch, unit ? &director_limits : &image_limits, &m->client, error);
}

fw_status fw_unit_trusted_open(fw_unit_courier *c, fw_unit_chooser *chooser, fw_error *error) {
    char folder[FW_PATH_MAX], address[64];
    bool there = false;
    snprintf(folder, sizeof folder, "%.400s/trust", c->config.data_folder);
    FW_TRY(take_roots(c, folder, &there, error));
    if (!there) {
        fw_log_warn("unit %u: no trusted root (--root FILE): no model is taken from the network", c->config.unit);
        return FW_OK;
    }
    fw_unit_trusted *t = calloc(1, sizeof *t);
    if (!t) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for its trust");
    t->courier = c;
    snprintf(t->unit, sizeof t->unit, "%u", c->config.unit);
    snprintf(address, sizeof address, "/v1/tuf/director/%s", t->unit);
    fw_status status = open_mirror(c, &t->director, folder, "director", address, t->unit, error);
    if (status == FW_OK) status = open_mirror(c, &t->image, folder, "image", "/v1/tuf/image", NULL, error);
    if (status != FW_OK) {
        fw_unit_trusted_close(t);
        return status;
    }
    c->trusted = t;
    *chooser = (fw_unit_chooser){.self = t, .choose = choose, .genuine = genuine};
    return FW_OK;
}

void fw_unit_trusted_close(fw_unit_trusted *t) {
    if (!t) return;
    fw_tuf_close(t->director.client);
    fw_tuf_close(t->image.client);
    free(t);
}
