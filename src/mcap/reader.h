/* reader.h - private: what the validator may see of a reader beside its records. */
#ifndef FW_MCAP_READER_H
#define FW_MCAP_READER_H

#include "mcap/mcap.h"

/* The unpacked records of the chunk read last, until the next chunk. */
const uint8_t *fw_mcap_reader_chunk(const fw_mcap_reader *reader, uint64_t *size_bytes);
/* Where in its chunk the record returned last starts (its opcode). */
uint64_t fw_mcap_reader_chunk_position(const fw_mcap_reader *reader);
/* Bytes consumed so far. */
uint64_t fw_mcap_reader_offset(const fw_mcap_reader *reader);

#endif
