/* mcap.h - MCAP 1.x files (https://mcap.dev/spec): a writer, a reader and a full check, in C.
 *
 *   file:    magic | Header | data section | DataEnd | summary | offsets | Footer | magic
 *   data:    Chunk(Schema Channel Message Message ...) MessageIndex.. Metadata Attachment
 *   summary: Schema.. Channel.. Statistics ChunkIndex.. AttachmentIndex.. MetadataIndex..
 *   offsets: SummaryOffset of each group of the summary
 *   record:  opcode (1 byte) | content length (8 bytes, little-endian) | content
 *
 *   messages --> [fw_mcap_writer] --bytes--> sink        one buffer per chunk, no heap after open
 *   source --bytes--> [fw_mcap_reader] --> records --> [fw_mcap_validate] --> fw_mcap_info
 *
 * Invariants:
 *  1. The writer allocates in fw_mcap_writer_open and nowhere else: not in zstd, not in lz4, not
 *     when one writer makes many files one after the other (begin .. end, begin .. end, ...).
 *  2. fw_mcap_writer_end makes a complete, valid file at any moment between two calls (but in the
 *     middle of an attachment that comes in pieces), also after
 *     a call that failed with FW_TOO_BIG or FW_INVALID (such a call writes nothing). After a sink
 *     failed, the file is lost: every later call returns that status until the next begin.
 *  3. The same calls give the same bytes: no clock, no random number, no address gets in.
 *  4. The reader believes no length: each is compared with what its container still holds before
 *     it is used. Memory stays under fw_mcap_limits whatever the file says; compressed data that
 *     would grow past them is refused before it is unpacked. No recursion.
 *  5. A file cut anywhere, or with a wrong CRC, gives FW_CORRUPT with one line that names the byte
 *     offset. FW_END comes only after the closing magic and nothing behind it. FW_TOO_BIG: valid so
 *     far, over a limit. FW_UNSUPPORTED: a compression that is not none, zstd or lz4.
 *  6. Nothing global is written (but the CRC's constants, once), so objects may live in different
 *     threads; one object belongs to one thread at a time.
 *
 * Times are nanoseconds, unsigned, since an epoch the file's users agree on (1970 in Flywheel).
 * CRCs are CRC-32 (ISO 3309, polynomial 0xEDB88320); 0 in a file means "not given".
 */
#ifndef FW_MCAP_MCAP_H
#define FW_MCAP_MCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* ------------------------------------------------------------------ words of the format ----- */

#define FW_MCAP_OPCODES(X)                                                                         \
    X(HEADER, 0x01, "Header")                                                                      \
    X(FOOTER, 0x02, "Footer")                                                                      \
    X(SCHEMA, 0x03, "Schema")                                                                      \
    X(CHANNEL, 0x04, "Channel")                                                                    \
    X(MESSAGE, 0x05, "Message")                                                                    \
    X(CHUNK, 0x06, "Chunk")                                                                        \
    X(MESSAGE_INDEX, 0x07, "MessageIndex")                                                         \
    X(CHUNK_INDEX, 0x08, "ChunkIndex")                                                             \
    X(ATTACHMENT, 0x09, "Attachment")                                                              \
    X(ATTACHMENT_INDEX, 0x0A, "AttachmentIndex")                                                   \
    X(STATISTICS, 0x0B, "Statistics")                                                              \
    X(METADATA, 0x0C, "Metadata")                                                                  \
    X(METADATA_INDEX, 0x0D, "MetadataIndex")                                                       \
    X(SUMMARY_OFFSET, 0x0E, "SummaryOffset")                                                       \
    X(DATA_END, 0x0F, "DataEnd")

typedef enum fw_mcap_opcode {
#define X(name, value, text) FW_MCAP_##name = value,
    FW_MCAP_OPCODES(X)
#undef X
} fw_mcap_opcode;

/* "Header", "Message", ...; "unknown" for others. */
const char *fw_mcap_opcode_name(uint8_t opcode);

typedef enum fw_mcap_compression {
    FW_MCAP_ZSTD, /* the default */
    FW_MCAP_LZ4,  /* LZ4 frame format */
    FW_MCAP_NONE
} fw_mcap_compression;

/* Text of a file: UTF-8 by the specification, not checked, not terminated, may hold zero bytes. */
typedef struct fw_mcap_text {
    const char *bytes;
    uint32_t size_bytes;
} fw_mcap_text;

/* A terminated string as text; NULL is "". */
fw_mcap_text fw_mcap_text_of(const char *terminated);
bool fw_mcap_text_is(fw_mcap_text text, const char *terminated);
/* Copies into out, terminated. False, and out "", when it does not fit or holds a zero byte. */
bool fw_mcap_text_copy(fw_mcap_text text, char *out, size_t out_size);

/* A Map<string, string> as it lies in the file; the reader has checked its inner lengths. */
typedef struct fw_mcap_map {
    const uint8_t *bytes;
    uint32_t size_bytes;
} fw_mcap_map;

/* Steps through a map: *position starts at 0; false at the end. */
bool fw_mcap_map_next(fw_mcap_map map, uint32_t *position, fw_mcap_text *key, fw_mcap_text *value);
/* The first value of a key; false when it is not there. */
bool fw_mcap_map_find(fw_mcap_map map, const char *key, fw_mcap_text *value);

/* CRC-32 of more bytes, continued from `crc` (0 at the start). */
uint32_t fw_mcap_crc32(uint32_t crc, const void *bytes, size_t size_bytes);

typedef struct fw_mcap_pair {
    const char *key, *value; /* terminated */
} fw_mcap_pair;

/* ----------------------------------------------------------------------------- writer ----- */

/* Where the bytes go, in order. Not FW_OK: the file is lost (invariant 2). */
typedef struct fw_mcap_sink {
    void *self;
    fw_status (*write)(void *self, const void *bytes, size_t size_bytes, fw_error *error);
} fw_mcap_sink;

/* A sink into fixed memory: FW_NO_SPACE when full. Set the first three, size_bytes to 0. */
typedef struct fw_mcap_memory {
    uint8_t *bytes;
    size_t capacity_bytes;
    size_t size_bytes; /* written so far */
} fw_mcap_memory;
fw_mcap_sink fw_mcap_memory_sink(fw_mcap_memory *memory);

/* Parts a file may leave out (for tests and special files; 0 is right for recordings). */
enum {
    FW_MCAP_OMIT_CHUNKS = 1 << 0, /* messages straight into the data section */
    FW_MCAP_OMIT_MESSAGE_INDEX = 1 << 1,
    FW_MCAP_OMIT_STATISTICS = 1 << 2,
    FW_MCAP_OMIT_SUMMARY_SCHEMAS = 1 << 3,  /* schemas repeated in the summary */
    FW_MCAP_OMIT_SUMMARY_CHANNELS = 1 << 4, /* channels repeated in the summary */
    FW_MCAP_OMIT_CHUNK_INDEX = 1 << 5,
    FW_MCAP_OMIT_SUMMARY_OFFSET = 1 << 6,
    FW_MCAP_OMIT_ATTACHMENT_INDEX = 1 << 7,
    FW_MCAP_OMIT_METADATA_INDEX = 1 << 8,
    FW_MCAP_OMIT_CRC = 1 << 9 /* of chunks, attachments, data section and summary */
};

/* Sizes of a writer, all fixed at open. 0 takes the default in brackets. Memory is about
 * 2 * (chunk_bytes + message_max_bytes), half of it with compression none,
 * + 16 * chunk_messages_max + max(16 * chunk_messages_max + 15 * channels_max, metadata_max_bytes)
 * + text_max_bytes + chunks_max * (64 + 10 * channels_max)
 * + zstd's context (about 1.3 MiB at level 1). Attachments take none, whatever their size. */
typedef struct fw_mcap_writer_options {
    fw_mcap_compression compression; /* [zstd] */
    int zstd_level;                  /* 1..19 [1] */
    uint32_t chunk_bytes;            /* a chunk closes when it holds this much [262144] */
    uint32_t message_max_bytes;      /* largest message, schema or channel record [262144] */
    uint32_t chunk_messages_max;     /* messages in a chunk; it closes when reached [8192] */
    uint32_t schemas_max;            /* [64] */
    uint32_t channels_max;           /* [64] */
    uint32_t chunks_max;             /* chunks of a file [1024] */
    uint32_t attachments_max;        /* attachments of a file [16] */
    uint32_t metadata_max;           /* metadata records of a file [16] */
    uint32_t metadata_max_bytes;     /* content of one metadata record [65536] */
    uint32_t text_max_bytes;         /* all schemas, channels and names of a file [262144] */
    uint32_t omit;                   /* FW_MCAP_OMIT_* bits [0] */
} fw_mcap_writer_options;

typedef struct fw_mcap_writer fw_mcap_writer;

/* Allocates everything; options may be NULL. FW_INVALID for impossible sizes, FW_NO_MEMORY. The
 * caller ends it with fw_mcap_writer_close. */
fw_status fw_mcap_writer_open(const fw_mcap_writer_options *options, fw_mcap_writer **out,
                              fw_error *error) FW_MUST;
/* Frees; writes nothing. NULL is fine. */
void fw_mcap_writer_close(fw_mcap_writer *writer);

/* Starts a file: magic and header. Strings terminated, NULL is "". Ids start again at 1; schemas
 * and channels must be added anew. An unfinished file before is abandoned. */
fw_status fw_mcap_writer_begin(fw_mcap_writer *writer, fw_mcap_sink sink, const char *profile,
                               const char *library, fw_error *error) FW_MUST;
/* Adds a schema; *id counts from 1. */
fw_status fw_mcap_writer_add_schema(fw_mcap_writer *writer, const char *name, const char *encoding,
                                    const void *data, size_t size_bytes, uint16_t *id,
                                    fw_error *error) FW_MUST;
/* Adds a channel; schema_id 0 for none, else one of this file. *id counts from 1. */
fw_status fw_mcap_writer_add_channel(fw_mcap_writer *writer, uint16_t schema_id, const char *topic,
                                     const char *message_encoding, const fw_mcap_pair *pairs,
                                     size_t pair_count, uint16_t *id, fw_error *error) FW_MUST;
/* FW_INVALID: no such channel; FW_TOO_BIG: over message_max_bytes, or chunks_max is used up. */
fw_status fw_mcap_writer_message(fw_mcap_writer *writer, uint16_t channel_id, uint32_t sequence,
                                 uint64_t log_time_ns, uint64_t publish_time_ns, const void *data,
                                 size_t size_bytes, fw_error *error) FW_MUST;
/* FW_TOO_BIG: over metadata_max_bytes or metadata_max. Goes to the sink at once. */
fw_status fw_mcap_writer_metadata(fw_mcap_writer *writer, const char *name,
                                  const fw_mcap_pair *pairs, size_t pair_count,
                                  fw_error *error) FW_MUST;
/* FW_TOO_BIG: over attachments_max. data of any size goes to the sink at once, not copied. */
fw_status fw_mcap_writer_attachment(fw_mcap_writer *writer, uint64_t log_time_ns,
                                    uint64_t create_time_ns, const char *name,
                                    const char *media_type, const void *data, size_t size_bytes,
                                    fw_error *error) FW_MUST;
/* The same in pieces, for data that is not in memory at once; its whole size must be known:
 * begin, then writes of size_bytes together, then end. In between every other call but begin of a
 * new file is FW_INVALID, also fw_mcap_writer_end: the file would be a broken one. */
fw_status fw_mcap_writer_attachment_begin(fw_mcap_writer *writer, uint64_t log_time_ns,
                                          uint64_t create_time_ns, const char *name,
                                          const char *media_type, uint64_t size_bytes,
                                          fw_error *error) FW_MUST;
/* FW_TOO_BIG: more than is left of size_bytes; writes nothing then. */
fw_status fw_mcap_writer_attachment_write(fw_mcap_writer *writer, const void *data,
                                          size_t size_bytes, fw_error *error) FW_MUST;
/* FW_INVALID: bytes are missing. */
fw_status fw_mcap_writer_attachment_end(fw_mcap_writer *writer, fw_error *error) FW_MUST;
/* Closes the open chunk, so that everything so far reaches the sink. */
fw_status fw_mcap_writer_flush(fw_mcap_writer *writer, fw_error *error) FW_MUST;
/* Writes the open chunk, the summary, the footer and the magic: the file is complete. */
fw_status fw_mcap_writer_end(fw_mcap_writer *writer, fw_error *error) FW_MUST;
/* Bytes given to the sink since begin. */
uint64_t fw_mcap_writer_size_bytes(const fw_mcap_writer *writer);
/* Upper bound of the bytes that one more message of next_bytes and then end would still give to
 * the sink (next_bytes 0: end alone, or an empty message): a unit that writes into fixed memory
 * ends its recording while size + rest still fits. */
uint64_t fw_mcap_writer_rest_max_bytes(const fw_mcap_writer *writer, size_t next_bytes);
/* Messages since begin. */
uint64_t fw_mcap_writer_message_count(const fw_mcap_writer *writer);

/* ----------------------------------------------------------------------------- reader ----- */

/* Where the bytes come from: fills up to size_bytes, *got = 0 only at the end. */
typedef struct fw_mcap_source {
    void *self;
    fw_status (*read)(void *self, void *bytes, size_t size_bytes, size_t *got, fw_error *error);
} fw_mcap_source;

/* Bounds of the reader's memory. 0 takes the default in brackets. */
typedef struct fw_mcap_limits {
    uint64_t record_max_bytes; /* one record of a streamed file (a mapped one is not copied),
                                  so also the compressed chunk [67108864] */
    uint64_t chunk_max_bytes;  /* one chunk, unpacked [67108864] */
    uint64_t text_max_bytes;   /* all schemas and channels of a file [16777216] */
    uint64_t chunks_max;       /* chunks of a file, for the validator [1048576] */
    uint64_t messages_max;     /* messages of a file [2^63]: against small files that unpack long */
} fw_mcap_limits;

typedef struct fw_mcap_schema {
    uint16_t id;
    fw_mcap_text name, encoding;
    const uint8_t *data;
    uint32_t size_bytes;
} fw_mcap_schema;

typedef struct fw_mcap_channel {
    uint16_t id, schema_id;
    fw_mcap_text topic, message_encoding;
    fw_mcap_map metadata;
} fw_mcap_channel;

typedef struct fw_mcap_message {
    uint16_t channel_id;
    uint32_t sequence;
    uint64_t log_time_ns, publish_time_ns;
    const uint8_t *data;
    uint64_t size_bytes;
    const fw_mcap_channel *channel; /* never NULL; valid until the reader is closed */
    const fw_mcap_schema *schema;   /* NULL when the channel has none; as above */
} fw_mcap_message;

typedef struct fw_mcap_attachment {
    uint64_t log_time_ns, create_time_ns;
    fw_mcap_text name, media_type;
    const uint8_t *data;
    uint64_t size_bytes;
    uint32_t crc;
} fw_mcap_attachment;

typedef struct fw_mcap_metadata {
    fw_mcap_text name;
    fw_mcap_map map;
} fw_mcap_metadata;

/* Bytes of arrays stay as in the file: `entries` are packed little-endian tuples. */
typedef struct fw_mcap_message_index {
    uint16_t channel_id;
    const uint8_t *entries; /* (entry_count) of u64 log_time, u64 offset into the chunk */
    uint32_t entry_count;
} fw_mcap_message_index;

typedef struct fw_mcap_chunk_index {
    uint64_t message_start_time_ns, message_end_time_ns;
    uint64_t chunk_offset, chunk_length_bytes;
    const uint8_t *index_offsets; /* (index_offset_count) of u16 channel id, u64 file offset */
    uint32_t index_offset_count;
    uint64_t message_index_length_bytes;
    fw_mcap_text compression;
    uint64_t compressed_size_bytes, uncompressed_size_bytes;
} fw_mcap_chunk_index;

typedef struct fw_mcap_attachment_index {
    uint64_t offset, length_bytes, log_time_ns, create_time_ns, data_size_bytes;
    fw_mcap_text name, media_type;
} fw_mcap_attachment_index;

typedef struct fw_mcap_metadata_index {
    uint64_t offset, length_bytes;
    fw_mcap_text name;
} fw_mcap_metadata_index;

typedef struct fw_mcap_statistics {
    uint64_t message_count;
    uint16_t schema_count;
    uint32_t channel_count, attachment_count, metadata_count, chunk_count;
    uint64_t message_start_time_ns, message_end_time_ns;
    const uint8_t *channel_counts; /* (channel_count_count) of u16 channel id, u64 messages */
    uint32_t channel_count_count;
} fw_mcap_statistics;

typedef struct fw_mcap_chunk {
    uint64_t message_start_time_ns, message_end_time_ns, uncompressed_size_bytes;
    uint32_t uncompressed_crc;
    fw_mcap_text compression;
    uint64_t compressed_size_bytes;
} fw_mcap_chunk;

/* One record. `offset` is that of its opcode in the file; of a record inside a chunk, the chunk's
 * (in_chunk true). Pointers are valid until the next call, except in bytes that the caller gave. */
typedef struct fw_mcap_record {
    uint8_t opcode;
    bool in_chunk, in_summary;
    uint64_t offset, length_bytes; /* whole record, with opcode and length */
    union {
        struct {
            fw_mcap_text profile, library;
        } header;
        struct {
            uint64_t summary_start, summary_offset_start;
            uint32_t summary_crc;
        } footer;
        fw_mcap_schema schema;
        fw_mcap_channel channel;
        fw_mcap_message message;
        fw_mcap_chunk chunk; /* its records follow, one by one */
        fw_mcap_message_index message_index;
        fw_mcap_chunk_index chunk_index;
        fw_mcap_attachment attachment;
        fw_mcap_attachment_index attachment_index;
        fw_mcap_statistics statistics;
        fw_mcap_metadata metadata;
        fw_mcap_metadata_index metadata_index;
        struct {
            uint8_t group_opcode;
            uint64_t group_start, group_length_bytes;
        } summary_offset;
        struct {
            uint32_t data_section_crc;
        } data_end;
    } of;
} fw_mcap_record;

typedef struct fw_mcap_reader fw_mcap_reader;

/* Opens over a source, over bytes that outlive the reader (a mapped file: uncompressed data is not
 * copied), or over a file, streamed. limits may be NULL. Reads nothing yet (a path is opened).
 * The caller ends it with fw_mcap_reader_close. */
fw_status fw_mcap_reader_open(const fw_mcap_limits *limits, fw_mcap_source source,
                              fw_mcap_reader **out, fw_error *error) FW_MUST;
fw_status fw_mcap_reader_open_bytes(const fw_mcap_limits *limits, const void *bytes,
                                    size_t size_bytes, fw_mcap_reader **out,
                                    fw_error *error) FW_MUST;
fw_status fw_mcap_reader_open_path(const fw_mcap_limits *limits, const char *path,
                                   fw_mcap_reader **out, fw_error *error) FW_MUST;
void fw_mcap_reader_close(fw_mcap_reader *reader);

/* The next record in file order, the chunks' records flattened in; records of unknown opcodes are
 * skipped. FW_END after the closing magic; any other failure is final. */
fw_status fw_mcap_reader_next(fw_mcap_reader *reader, fw_mcap_record *record,
                              fw_error *error) FW_MUST;
/* The next message in file order; passes over everything else (and checks it). FW_END only at the
 * clean end of the whole file, so a loop that stops there has seen an intact file. */
fw_status fw_mcap_reader_next_message(fw_mcap_reader *reader, fw_mcap_message *message,
                                      fw_error *error) FW_MUST;
/* What was read so far, by id; NULL when not seen. Valid until close. */
const fw_mcap_channel *fw_mcap_reader_channel(const fw_mcap_reader *reader, uint16_t id);
const fw_mcap_schema *fw_mcap_reader_schema(const fw_mcap_reader *reader, uint16_t id);

/* A file mapped read-only, for fw_mcap_reader_open_bytes. Not for files that others may shorten
 * (the system answers a vanished page with SIGBUS) or rewrite meanwhile; stream those. */
typedef struct fw_mcap_file {
    const uint8_t *bytes;
    size_t size_bytes;
} fw_mcap_file;
fw_status fw_mcap_file_map(const char *path, fw_mcap_file *out, fw_error *error) FW_MUST;
void fw_mcap_file_unmap(fw_mcap_file *file);

/* ------------------------------------------------------------------- indexed reading ----- */

/* Random access to a file whose bytes lie in memory (mapped): messages of chosen topics and times,
 * in an order of choice, touching only the chunks that hold them.
 *
 *   bytes --open--> summary (or, without one, a scan) --> chunks, channels, schemas
 *         --query--> the chunks that overlap --next--> messages
 *
 * Whatever the summary claims is checked before it is used: claimed chunks may not overlap, every
 * byte of the data section that they leave out is looked at, a chunk that is opened must be the one
 * that was claimed, its messages within its times and on its listed channels. A lie is FW_CORRUPT.
 * Only what a query does not need goes unread: a chunk whose claimed times or channels keep it out
 * is not opened to see whether they are true.
 * A file without a usable summary (cut, or written without) is scanned once: its messages up to the
 * last whole record are served. The same holds for chunks without index, and messages that stand
 * outside chunks are served like all others.
 * Memory: one unpacked chunk per chunk that overlaps in time with the one being read, within
 * limits->chunk_max_bytes together, else FW_TOO_BIG; as much again for the order of messages whose
 * times do not rise. Uncompressed chunks are not copied (message data points into the file).
 * messages_max counts the messages of all opened chunks of one query.
 * Pointers of a message are valid until the next call; its channel and schema until close. */
typedef struct fw_mcap_indexed fw_mcap_indexed;

typedef enum fw_mcap_order {
    FW_MCAP_ORDER_TIME,    /* by log time; equal times in file order */
    FW_MCAP_ORDER_REVERSE, /* the exact opposite */
    FW_MCAP_ORDER_FILE     /* as they lie in the file */
} fw_mcap_order;

typedef struct fw_mcap_query {
    uint64_t start_time_ns, end_time_ns; /* start <= log time < end; end 0: no end */
    const char *const *topics;           /* (topic_count) exact names; the caller's until the end */
    size_t topic_count;                  /* 0: all topics */
    fw_mcap_order order;
} fw_mcap_query;

fw_status fw_mcap_indexed_open_bytes(const fw_mcap_limits *limits, const void *bytes,
                                     size_t size_bytes, fw_mcap_indexed **out,
                                     fw_error *error) FW_MUST;
/* Maps the file (see fw_mcap_file_map). */
fw_status fw_mcap_indexed_open_path(const fw_mcap_limits *limits, const char *path,
                                    fw_mcap_indexed **out, fw_error *error) FW_MUST;
void fw_mcap_indexed_close(fw_mcap_indexed *indexed);
/* False when the file is cut or damaged, so that messages may be missing. True only says that the
 * file ends as it should: chunks that were not opened may still be broken. */
bool fw_mcap_indexed_is_whole(const fw_mcap_indexed *indexed);
/* Header, statistics (as the file claims them; FW_NOT_FOUND without), and what the file holds, by
 * position; false past the end. Valid until close. */
void fw_mcap_indexed_header(const fw_mcap_indexed *indexed, fw_mcap_text *profile,
                            fw_mcap_text *library);
fw_status fw_mcap_indexed_statistics(const fw_mcap_indexed *indexed, fw_mcap_statistics *out,
                                     fw_error *error) FW_MUST;
bool fw_mcap_indexed_channel(const fw_mcap_indexed *indexed, size_t position,
                             const fw_mcap_channel **channel, const fw_mcap_schema **schema);
bool fw_mcap_indexed_schema(const fw_mcap_indexed *indexed, size_t position,
                            const fw_mcap_schema **schema);
/* Reads the record itself (and checks an attachment's CRC). FW_END past the last one. */
fw_status fw_mcap_indexed_metadata(const fw_mcap_indexed *indexed, size_t position,
                                   fw_mcap_metadata *out, fw_error *error) FW_MUST;
fw_status fw_mcap_indexed_attachment(const fw_mcap_indexed *indexed, size_t position,
                                     fw_mcap_attachment *out, fw_error *error) FW_MUST;
/* Starts a query (ending the one before); query NULL: everything in time order. */
fw_status fw_mcap_indexed_query(fw_mcap_indexed *indexed, const fw_mcap_query *query,
                                fw_error *error) FW_MUST;
/* FW_END after the last message; any other failure ends the query. */
fw_status fw_mcap_indexed_next(fw_mcap_indexed *indexed, fw_mcap_message *message,
                               fw_error *error) FW_MUST;

/* --------------------------------------------------------------------------- recover ----- */

typedef struct fw_mcap_recovered {
    uint64_t messages, attachments, metadata, chunks; /* saved */
    uint64_t chunks_lost;   /* broken ones passed over, a cut one at the end too */
    uint64_t records_lost;  /* whole, but with sizes that the writer does not take */
    uint64_t channels_lost; /* their definition is; messages are saved on "lost/channel_<id>" */
    uint64_t bytes_read;    /* of the input that were understood */
    bool was_whole;         /* the input was intact: fw_mcap_validate_bytes accepts it */
} fw_mcap_recovered;

/* Writes a valid file with all that can be read of a cut or broken one: every message of every
 * whole chunk (of a file without chunks, every whole message), attachments and metadata, schemas
 * and channels with their ids' meaning kept. Where framing is destroyed, it searches on for the next
 * chunk or attachment that its CRC proves. Zero bytes inside texts become '?'. FW_CORRUPT only when
 * not even the magic and the header are there; limits that a chunk passes make it a lost one.
 * `options` as for the writer (its sizes are raised to what the input needs, within limits). After a
 * failure what the sink has got is no file. report may be NULL. */
fw_status fw_mcap_recover(const fw_mcap_limits *limits, const fw_mcap_writer_options *options,
                          const void *bytes, size_t size_bytes, fw_mcap_sink sink,
                          fw_mcap_recovered *report, fw_error *error) FW_MUST;

/* ------------------------------------------------------------------- validate and info ----- */

typedef struct fw_mcap_channel_info {
    uint16_t id;
    char topic[128], message_encoding[32], schema_name[128]; /* cut to fit */
    uint64_t message_count;
    uint64_t start_time_ns, end_time_ns; /* of log times; 0 without messages */
} fw_mcap_channel_info;

/* What a file holds, found by reading all of it, never from what its summary claims. */
typedef struct fw_mcap_info {
    char profile[64], library[128]; /* cut to fit */
    uint64_t size_bytes;
    uint64_t message_count, message_bytes; /* bytes: of the messages' data */
    uint64_t start_time_ns, end_time_ns;   /* of log times; 0 without messages */
    uint32_t schema_count, attachment_count, metadata_count;
    uint64_t chunk_count[3]; /* by fw_mcap_compression */
    uint64_t chunk_compressed_bytes, chunk_uncompressed_bytes;
    bool has_summary, has_chunk_index;
    uint32_t channel_count;
    fw_mcap_channel_info *channels; /* (channel_count), by id; owned */
} fw_mcap_info;

/* Reads a whole file and checks everything the format promises: structure, lengths, every CRC
 * given, ids, message indexes against messages, chunk, attachment and metadata indexes against
 * the records they name, statistics against counts, summary offsets. FW_OK: intact. *info may be
 * NULL; on FW_OK the caller frees it with fw_mcap_info_free, on failure it is untouched. */
fw_status fw_mcap_validate_bytes(const fw_mcap_limits *limits, const void *bytes, size_t size_bytes,
                                 fw_mcap_info *info, fw_error *error) FW_MUST;
fw_status fw_mcap_validate(const fw_mcap_limits *limits, const char *path, fw_mcap_info *info,
                           fw_error *error) FW_MUST;
void fw_mcap_info_free(fw_mcap_info *info);

#endif
