/* codec.h - private: packing and unpacking of chunks.
 *
 * The packer's memory is fixed at open: zstd works in a static context (zstd.h, "static
 * allocation"), lz4's one-shot frame works on the stack. The unpacker writes at most the size it
 * is told and refuses data that holds more or less.
 */
#ifndef FW_MCAP_CODEC_H
#define FW_MCAP_CODEC_H

#include "mcap/mcap.h"

typedef struct fw_mcap_packer {
    fw_mcap_compression compression;
    void *workspace; /* of zstd's context */
    void *context;   /* inside workspace */
    int level;
} fw_mcap_packer;

fw_status fw_mcap_packer_open(fw_mcap_packer *packer, fw_mcap_compression compression, int level,
                              fw_error *error) FW_MUST;
void fw_mcap_packer_close(fw_mcap_packer *packer);
/* Largest packed size of size_bytes. */
size_t fw_mcap_packer_bound(const fw_mcap_packer *packer, size_t size_bytes);
/* Packs; 0 when it failed or would not have become smaller. */
size_t fw_mcap_pack(fw_mcap_packer *packer, const void *bytes, size_t size_bytes, void *out,
                    size_t out_size);

typedef struct fw_mcap_unpacker {
    void *zstd, *lz4; /* made when first needed */
} fw_mcap_unpacker;

void fw_mcap_unpacker_close(fw_mcap_unpacker *unpacker);
/* Unpacks zstd or lz4 into exactly out_size bytes. FW_CORRUPT otherwise, *why says why. */
fw_status fw_mcap_unpack(fw_mcap_unpacker *unpacker, fw_mcap_compression compression,
                         const void *bytes, size_t size_bytes, void *out, size_t out_size,
                         const char **why) FW_MUST;

#endif
