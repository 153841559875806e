#include "nn/train/ranks.h"

#include <stdio.h>
#include <string.h>

#include "nn/train/optimiser.h"

const fw_nn_ranks fw_nn_ranks_alone = {.rank = 0, .count = 1};

static fw_status swap(const fw_nn_ranks *r, uint32_t partner, const void *out, size_t out_bytes,
                      void *in, size_t in_bytes, fw_error *error) {
    return r->exchange(r->self, partner, out, out_bytes, in, in_bytes, error);
}

/* ---- sums ---- */

/* The elements [from, to) of a vector. */
typedef struct part {
    size_t from, to;
} part;

/* The half of `whole` that a rank keeps in the round `apart`, or the other one. */
static part half(part whole, bool upper) {
    size_t middle = whole.from + (whole.to - whole.from) / 2;
    return upper ? (part){middle, whole.to} : (part){whole.from, middle};
}

static size_t bytes_of(part p) {
    return (p.to - p.from) * sizeof(float);
}

fw_status fw_nn_ranks_sum(const fw_nn_ranks *r, float *values, size_t count, float *scratch,
                          fw_error *error) {
    part held[8] = {{0, count}}; /* before each round */
    uint32_t round = 0;
    for (uint32_t apart = 1; apart < r->count; apart *= 2, round++) {
        part mine = half(held[round], r->rank & apart), theirs = half(held[round], !(r->rank & apart));
        FW_TRY(swap(r, r->rank ^ apart, values + theirs.from, bytes_of(theirs), scratch,
                    bytes_of(mine), error));
        fw_nn_add(values + mine.from, scratch, mine.to - mine.from);
        held[round + 1] = mine;
    }
    for (uint32_t apart = r->count / 2; apart > 0; apart /= 2) {
        part mine = held[round--], theirs = half(held[round], !(r->rank & apart));
        FW_TRY(swap(r, r->rank ^ apart, values + mine.from, bytes_of(mine), values + theirs.from,
                    bytes_of(theirs), error));
    }
    return FW_OK;
}

/* ---- telling ---- */

fw_status fw_nn_ranks_gather(const fw_nn_ranks *r, void *blocks, size_t block_bytes,
                             fw_error *error) {
    uint8_t *bytes = blocks;
    for (uint32_t apart = 1; apart < r->count; apart *= 2) {
        uint32_t mine = r->rank & ~(apart - 1);
        FW_TRY(swap(r, r->rank ^ apart, bytes + mine * block_bytes, apart * block_bytes,
                    bytes + (mine ^ apart) * block_bytes, apart * block_bytes, error));
    }
    return FW_OK;
}

fw_status fw_nn_ranks_broadcast(const fw_nn_ranks *r, void *bytes, size_t size_bytes,
                                fw_error *error) {
    for (uint32_t apart = r->count / 2; apart > 0; apart /= 2) {
        if (r->rank % (2 * apart) == 0)
            FW_TRY(swap(r, r->rank + apart, bytes, size_bytes, NULL, 0, error));
        else if (r->rank % (2 * apart) == apart)
            FW_TRY(swap(r, r->rank - apart, NULL, 0, bytes, size_bytes, error));
    }
    return FW_OK;
}

typedef struct verdict {
    uint32_t status;
    char text[sizeof(fw_error)];
} verdict;

fw_status fw_nn_ranks_agree(const fw_nn_ranks *r, fw_status status, fw_error *error) {
    if (r->count == 1) return status;
    verdict all[FW_NN_RANKS_MAX];
    memset(all, 0, sizeof all);
    all[r->rank].status = (uint32_t)status;
    if (status != FW_OK && error) snprintf(all[r->rank].text, sizeof all->text, "%s", error->text);
    fw_error why = {""};
    fw_status told = fw_nn_ranks_gather(r, all, sizeof *all, &why);
    if (told != FW_OK) return status != FW_OK ? status : fw_fail(error, told, "%s", why.text);
    bool same = true;
    for (uint32_t i = 1; i < r->count; i++) same &= memcmp(&all[i], &all[0], sizeof *all) == 0;
    if (same) return status;
    uint32_t first = r->count; /* that failed, and not because another had stopped */
    for (uint32_t i = r->count; i-- > 0;)
        if (all[i].status != FW_OK && (all[i].status != FW_CLOSED || first == r->count ||
                                       all[first].status == FW_CLOSED))
            first = i;
    return fw_fail(error, (fw_status)all[first].status, "rank %u: %.380s", first, all[first].text);
}

fw_status fw_nn_ranks_any(const fw_nn_ranks *r, bool mine, bool *any, fw_error *error) {
    uint8_t all[FW_NN_RANKS_MAX] = {0};
    all[r->rank] = mine;
    FW_TRY(fw_nn_ranks_gather(r, all, 1, error));
    *any = memchr(all, 1, r->count) != NULL;
    return FW_OK;
}

fw_status fw_nn_ranks_same(const fw_nn_ranks *r, const char *what, const char *text,
                           fw_error *error) {
    char all[FW_NN_RANKS_MAX][96];
    memset(all, 0, sizeof all);
    snprintf(all[r->rank], sizeof *all, "%s", text);
    FW_TRY(fw_nn_ranks_gather(r, all, sizeof *all, error));
    for (uint32_t i = 1; i < r->count; i++)
        if (strncmp(all[i], all[0], sizeof *all) != 0)
            return fw_fail(error, FW_MISMATCH, "ranks need the same %s: rank 0 has %.95s, rank %u %.95s",
                           what, all[0], i, all[i]);
    return FW_OK;
}
