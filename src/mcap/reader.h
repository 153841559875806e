/* reader.h - private: what the validator may see of a reader beside its records. */
#ifndef FW_MCAP_READER_H
#define FW_MCAP_READER_H

#include "mcap/known.h"

/* Where in its chunk the record returned last starts (its opcode). */
uint64_t fw_mcap_reader_chunk_position(const fw_mcap_reader *reader);
/* Different schemas seen so far. */
uint32_t fw_mcap_reader_schema_count(const fw_mcap_reader *reader);
/* Bytes consumed so far. */
uint64_t fw_mcap_reader_offset(const fw_mcap_reader *reader);
/* Did reading fail at a record inside a chunk (and not at a record of the file)? */
bool fw_mcap_reader_failed_in_chunk(const fw_mcap_reader *reader);
/* Moves the schemas and channels seen so far to *out, to be freed there; the reader, which forgets
 * them, can then only be closed. */
void fw_mcap_reader_take_known(fw_mcap_reader *reader, fw_mcap_known *out);

#endif
