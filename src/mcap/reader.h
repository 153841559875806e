/* reader.h - private: what the validator may see of a reader beside its records. */
#ifndef FW_MCAP_READER_H
#define FW_MCAP_READER_H

#include "mcap/mcap.h"

/* Where in its chunk the record returned last starts (its opcode). */
uint64_t fw_mcap_reader_chunk_position(const fw_mcap_reader *reader);
/* Different schemas seen so far. */
uint32_t fw_mcap_reader_schema_count(const fw_mcap_reader *reader);
/* Bytes consumed so far. */
uint64_t fw_mcap_reader_offset(const fw_mcap_reader *reader);
/* Has the chunk entered last records that were not returned yet? */
bool fw_mcap_reader_in_chunk(const fw_mcap_reader *reader);

#endif
