/* The reader: one loop over the file's records, one over the records of an unpacked chunk.
 *
 *   MAGIC -> HEADER -> DATA --DataEnd--> SUMMARY --Footer, magic, end of file--> DONE
 *                       | Chunk: unpack into `chunk`, hand out its records, go on
 *
 * A mapped file is read in place. A streamed one goes through `stage` into `record`; the bytes of
 * an uncompressed chunk change hands from `record` to `chunk` without a copy.
 */
#include "mcap/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mcap/chunk.h"
#include "mcap/format.h"
#include "mcap/known.h"

enum { STAGE_BYTES = 65536, STEP_BYTES = 1 << 20 };

typedef enum phase { MAGIC, HEADER, DATA, SUMMARY, DONE } phase;

struct fw_mcap_reader {
    fw_mcap_limits limits;
    fw_mcap_source source;
    int fd; /* of open_path, else -1 */
    bool mapped, size_known;
    const uint8_t *bytes; /* mapped */
    uint64_t size;        /* where known */
    uint64_t offset;      /* bytes consumed */
    uint8_t *stage;
    size_t stage_at, stage_end;
    fw_mcap_buffer record, chunk;

    phase phase;
    fw_status failed;
    uint32_t crc; /* of the data section, then of the summary */
    uint64_t summary_start, summary_end, summary_offset_start; /* as found; 0: none */

    bool in_chunk, broken_chunk; /* broken: reading failed inside it */
    const uint8_t *chunk_bytes;
    uint64_t chunk_size, chunk_at, chunk_position, chunk_offset;
    fw_mcap_unpacker unpacker;

    fw_mcap_known known;
    uint64_t message_count;
};

/* -------------------------------------------------------------------- open and close ----- */

static fw_mcap_reader *make(const fw_mcap_limits *limits) {
    fw_mcap_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->limits = fw_mcap_limits_complete(limits);
    r->known.text_max_bytes = r->limits.text_max_bytes;
    r->fd = -1;
    return r;
}

fw_status fw_mcap_reader_open(const fw_mcap_limits *limits, fw_mcap_source source,
                              fw_mcap_reader **out, fw_error *error) {
    fw_mcap_reader *r = make(limits);
    if (r != NULL) r->stage = malloc(STAGE_BYTES);
    if (r == NULL || r->stage == NULL) {
        fw_mcap_reader_close(r);
        return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for a reader");
    }
    r->source = source;
    *out = r;
    return FW_OK;
}

fw_status fw_mcap_reader_open_bytes(const fw_mcap_limits *limits, const void *bytes,
                                    size_t size_bytes, fw_mcap_reader **out, fw_error *error) {
    fw_mcap_reader *r = make(limits);
    if (r == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for a reader");
    r->mapped = r->size_known = true;
    r->bytes = bytes == NULL ? (const uint8_t *)"" : bytes;
    r->size = size_bytes;
    *out = r;
    return FW_OK;
}

static fw_status read_fd(void *self, void *bytes, size_t size_bytes, size_t *got, fw_error *error) {
    const fw_mcap_reader *r = self;
    ssize_t n;
    do n = read(r->fd, bytes, size_bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0) return fw_fail_errno(error, "mcap: reading at byte %" PRIu64, r->offset);
    *got = (size_t)n;
    return FW_OK;
}

fw_status fw_mcap_reader_open_path(const fw_mcap_limits *limits, const char *path,
                                   fw_mcap_reader **out, fw_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fw_fail_errno(error, "mcap: cannot open %s", path);
    struct stat st;
    bool known = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    fw_mcap_reader *r = NULL;
    fw_status status = fw_mcap_reader_open(limits, (fw_mcap_source){.read = read_fd}, &r, error);
    if (status != FW_OK) {
        close(fd);
        return status;
    }
    r->fd = fd;
    r->source.self = r;
    r->size_known = known;
    r->size = known ? (uint64_t)st.st_size : 0;
    *out = r;
    return FW_OK;
}

void fw_mcap_reader_close(fw_mcap_reader *r) {
    if (r == NULL) return;
    if (r->fd >= 0) close(r->fd);
    fw_mcap_unpacker_close(&r->unpacker);
    fw_mcap_known_free(&r->known);
    free(r->stage);
    free(r->record.bytes);
    free(r->chunk.bytes);
    free(r);
}

/* ---------------------------------------------------------------------------- bytes ----- */

/* Reads up to size bytes of a stream; less only at its end. */
static fw_status read_some(fw_mcap_reader *r, uint8_t *out, size_t size, size_t *got,
                           fw_error *error) {
    *got = 0;
    while (*got < size) {
        size_t staged = r->stage_end - r->stage_at, want = size - *got;
        if (staged > 0) {
            size_t n = staged < want ? staged : want;
            memcpy(out + *got, r->stage + r->stage_at, n);
            r->stage_at += n;
            *got += n;
            continue;
        }
        bool direct = want >= STAGE_BYTES;
        size_t n = 0;
        FW_TRY(r->source.read(r->source.self, direct ? out + *got : r->stage,
                              direct ? want : STAGE_BYTES, &n, error));
        if (n == 0) break;
        FW_ASSERT(n <= (direct ? want : STAGE_BYTES));
        if (direct)
            *got += n;
        else
            r->stage_at = 0, r->stage_end = n;
    }
    r->offset += *got;
    return FW_OK;
}

static fw_status cut_short(const fw_mcap_reader *r, const char *what, uint64_t start,
                           fw_error *error) {
    return fw_fail(error, FW_CORRUPT,
                   "mcap: the file is cut short: it ends at byte %" PRIu64 ", inside the %s that "
                   "starts at byte %" PRIu64,
                   r->mapped ? r->size : r->offset, what, start);
}

/* Copies a few bytes out of the file. */
static fw_status take_small(fw_mcap_reader *r, uint8_t *out, size_t size, const char *what,
                            fw_error *error) {
    uint64_t start = r->offset;
    if (r->mapped) {
        if (size > r->size - r->offset) return cut_short(r, what, start, error);
        memcpy(out, r->bytes + r->offset, size);
        r->offset += size;
        return FW_OK;
    }
    size_t got;
    FW_TRY(read_some(r, out, size, &got, error));
    return got == size ? FW_OK : cut_short(r, what, start, error);
}

/* The content of the record that started at `start`: in place, or grown into r->record as the
 * bytes arrive, so that a lying length costs no memory. */
static fw_status take_content(fw_mcap_reader *r, uint8_t opcode, uint64_t start, uint64_t size,
                              const uint8_t **out, fw_error *error) {
    const char *what = fw_mcap_opcode_name(opcode);
    if (r->size_known && (r->offset > r->size || size > r->size - r->offset)) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: the %s record at byte %" PRIu64 " claims %" PRIu64 " bytes, but the "
                       "file ends at byte %" PRIu64,
                       what, start, size, r->size);
    }
    if (r->mapped) {
        *out = r->bytes + r->offset;
        r->offset += size;
        return FW_OK;
    }
    if (size > r->limits.record_max_bytes) {
        return fw_fail(error, FW_TOO_BIG,
                       "mcap: the %s record at byte %" PRIu64 " claims %" PRIu64 " bytes, over the "
                       "limit of %" PRIu64,
                       what, start, size, r->limits.record_max_bytes);
    }
    size_t have = 0, got, whole = (size_t)size;
    do {
        size_t step = have > STEP_BYTES ? have : STEP_BYTES;
        if (step > whole - have) step = whole - have;
        FW_TRY(fw_mcap_buffer_reserve(&r->record, have + step, error));
        FW_TRY(read_some(r, r->record.bytes + have, step, &got, error));
        have += got;
        if (got < step) return cut_short(r, what, start, error);
    } while (have < whole);
    *out = r->record.bytes;
    return FW_OK;
}

static fw_status take_magic(fw_mcap_reader *r, const char *which, fw_error *error) {
    uint8_t magic[FW_MCAP_MAGIC_BYTES];
    uint64_t start = r->offset;
    FW_TRY(take_small(r, magic, sizeof magic, "magic", error));
    if (memcmp(magic, fw_mcap_magic, sizeof magic) == 0) return FW_OK;
    return fw_fail(error, FW_CORRUPT,
                   "mcap: wrong %s magic at byte %" PRIu64 ": not an MCAP file, or damaged", which,
                   start);
}

/* -------------------------------------------------------------------- known channels ----- */

static fw_status resolve_message(fw_mcap_reader *r, fw_mcap_message *m, uint64_t offset,
                                 fw_error *error) {
    const fw_mcap_known_channel *kept = fw_mcap_known_find(&r->known, m->channel_id);
    if (kept == NULL) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: message at byte %" PRIu64
                       " is on channel %u, which the file has not given",
                       offset, m->channel_id);
    }
    if (++r->message_count > r->limits.messages_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: over %" PRIu64 " messages at byte %" PRIu64,
                       r->limits.messages_max, offset);
    }
    m->channel = &kept->channel;
    m->schema = kept->schema;
    return FW_OK;
}

const fw_mcap_channel *fw_mcap_reader_channel(const fw_mcap_reader *r, uint16_t id) {
    const fw_mcap_known_channel *kept = fw_mcap_known_find(&r->known, id);
    return kept == NULL ? NULL : &kept->channel;
}

const fw_mcap_schema *fw_mcap_reader_schema(const fw_mcap_reader *r, uint16_t id) {
    return fw_mcap_known_schema(&r->known, id);
}

/* --------------------------------------------------------------------------- chunks ----- */

/* Points chunk_bytes at the unpacked records. */
static fw_status enter_chunk(fw_mcap_reader *r, const fw_mcap_chunk *k, const uint8_t *data,
                             uint64_t offset, fw_error *error) {
    FW_TRY(fw_mcap_chunk_unpack(&r->unpacker, &r->chunk, r->limits.chunk_max_bytes, k, data, offset,
                                &r->chunk_bytes, error));
    if (!r->mapped && r->chunk_bytes == data) {
        fw_mcap_buffer record = r->record; /* data lies in it: it becomes the chunk's buffer */
        r->record = r->chunk;
        r->chunk = record;
    }
    r->chunk_size = k->uncompressed_size_bytes;
    r->in_chunk = true;
    r->chunk_at = r->chunk_position = 0;
    r->chunk_offset = offset;
    return FW_OK;
}

static fw_status bad_in_chunk(const fw_mcap_reader *r, const char *what, fw_error *error) {
    return fw_fail(error, FW_CORRUPT,
                   "mcap: chunk at byte %" PRIu64 ", record at byte %" PRIu64 " of it: %s",
                   r->chunk_offset, r->chunk_position, what);
}

/* A schema, channel or message of the file or of a chunk. */
static fw_status learn(fw_mcap_reader *r, fw_mcap_record *record, bool *keep_it, fw_error *error) {
    *keep_it = true;
    if (record->opcode == FW_MCAP_MESSAGE) {
        return resolve_message(r, &record->of.message, record->offset, error);
    }
    if (record->opcode == FW_MCAP_CHANNEL) {
        return fw_mcap_known_add_channel(&r->known, &record->of.channel, record->offset, error);
    }
    if (record->opcode == FW_MCAP_SCHEMA) {
        *keep_it = record->of.schema.id != 0; /* 0 is to be ignored, says the specification */
        if (*keep_it) {
            return fw_mcap_known_add_schema(&r->known, &record->of.schema, record->offset, error);
        }
    }
    return FW_OK;
}

/* The chunk's next record; *found false when it holds no more, or this one is passed over. */
static fw_status next_in_chunk(fw_mcap_reader *r, fw_mcap_record *record, bool *found,
                               fw_error *error) {
    *found = false;
    uint64_t left = r->chunk_size - r->chunk_at;
    if (left == 0) {
        r->in_chunk = false;
        return FW_OK;
    }
    r->chunk_position = r->chunk_at;
    if (left < FW_MCAP_PREFIX_BYTES) return bad_in_chunk(r, "the chunk ends inside it", error);
    const uint8_t *at = r->chunk_bytes + r->chunk_at;
    uint64_t length = fw_mcap_load_u64(at + 1);
    left -= FW_MCAP_PREFIX_BYTES;
    if (length > left) return bad_in_chunk(r, "it claims more bytes than the chunk has", error);
    r->chunk_at += FW_MCAP_PREFIX_BYTES + length;
    if (at[0] > FW_MCAP_DATA_END) return FW_OK;
    if (at[0] != FW_MCAP_SCHEMA && at[0] != FW_MCAP_CHANNEL && at[0] != FW_MCAP_MESSAGE) {
        return bad_in_chunk(r, "this kind may not stand in a chunk", error);
    }
    record->opcode = at[0];
    record->in_chunk = true;
    record->in_summary = false;
    record->offset = r->chunk_offset;
    record->length_bytes = FW_MCAP_PREFIX_BYTES + length;
    if (!fw_mcap_parse(at + FW_MCAP_PREFIX_BYTES, length, record, NULL)) {
        return bad_in_chunk(r, "it is shorter than its fields", error);
    }
    return learn(r, record, found, error);
}

/* --------------------------------------------------------------------- file's records ----- */

#define BIT(opcode) (1u << (opcode))

static bool may_stand(phase where, uint8_t opcode) {
    const uint32_t data = BIT(FW_MCAP_SCHEMA) | BIT(FW_MCAP_CHANNEL) | BIT(FW_MCAP_MESSAGE) |
                          BIT(FW_MCAP_ATTACHMENT) | BIT(FW_MCAP_CHUNK) |
                          BIT(FW_MCAP_MESSAGE_INDEX) | BIT(FW_MCAP_METADATA) |
                          BIT(FW_MCAP_DATA_END);
    const uint32_t summary = BIT(FW_MCAP_SCHEMA) | BIT(FW_MCAP_CHANNEL) | BIT(FW_MCAP_CHUNK_INDEX) |
                             BIT(FW_MCAP_ATTACHMENT_INDEX) | BIT(FW_MCAP_STATISTICS) |
                             BIT(FW_MCAP_METADATA_INDEX) | BIT(FW_MCAP_SUMMARY_OFFSET) |
                             BIT(FW_MCAP_FOOTER);
    uint32_t allowed = where == HEADER ? BIT(FW_MCAP_HEADER) : where == DATA ? data : summary;
    return (allowed & BIT(opcode)) != 0;
}

static fw_status bad_record(const fw_mcap_record *record, const char *what, fw_error *error) {
    return fw_fail(error, FW_CORRUPT, "mcap: %s record at byte %" PRIu64 ": %s",
                   fw_mcap_opcode_name(record->opcode), record->offset, what);
}

static void add_bytes(fw_mcap_reader *r, const void *bytes, uint64_t size) {
    r->crc = fw_mcap_crc32(r->crc, bytes, (size_t)size);
}

/* Counts a record into its section's CRC. */
static void add_crc(fw_mcap_reader *r, const uint8_t prefix[FW_MCAP_PREFIX_BYTES],
                    const uint8_t *content, uint64_t size) {
    if (prefix[0] == FW_MCAP_DATA_END) return;
    if (prefix[0] == FW_MCAP_FOOTER) size = size < 16 ? size : 16;
    add_bytes(r, prefix, FW_MCAP_PREFIX_BYTES);
    add_bytes(r, content, size);
}

/* A chunk that was entered: the bytes of an unpacked one are not passed over twice, their CRC, just
 * proven, is joined. */
static void add_chunk_crc(fw_mcap_reader *r, const uint8_t prefix[FW_MCAP_PREFIX_BYTES],
                          const uint8_t *content, uint64_t size, const fw_mcap_chunk *k,
                          const uint8_t *data) {
    enum { JOIN_MIN_BYTES = 32768 }; /* below, joining costs more than it saves */
    if (k->compression.size_bytes > 0 || k->uncompressed_crc == 0 ||
        k->compressed_size_bytes < JOIN_MIN_BYTES) {
        add_crc(r, prefix, content, size);
        return;
    }
    uint64_t head = (uint64_t)(data - content), end = head + k->compressed_size_bytes;
    add_bytes(r, prefix, FW_MCAP_PREFIX_BYTES);
    add_bytes(r, content, head);
    r->crc = fw_mcap_crc32_join(r->crc, k->uncompressed_crc, k->compressed_size_bytes);
    add_bytes(r, content + end, size - end);
}

static fw_status check_attachment(const fw_mcap_record *record, const uint8_t *content,
                                  fw_error *error) {
    const fw_mcap_attachment *a = &record->of.attachment;
    if (a->crc == 0) return FW_OK;
    size_t covered = (size_t)(a->data - content) + (size_t)a->size_bytes;
    if (fw_mcap_crc32(0, content, covered) == a->crc) return FW_OK;
    return bad_record(record, "wrong CRC", error);
}

static fw_status end_data(fw_mcap_reader *r, const fw_mcap_record *record, fw_error *error) {
    uint32_t given = record->of.data_end.data_section_crc;
    if (given != 0 && given != r->crc) {
        return bad_record(record, "wrong CRC of the data section", error);
    }
    r->phase = SUMMARY;
    r->crc = 0;
    r->summary_start = r->offset;
    return FW_OK;
}

/* Is `given` where the section was found, or 0 or the place itself where it is empty? */
static bool section_matches(uint64_t given, uint64_t start, uint64_t end) {
    return given == start || (start == end && given == 0);
}

static fw_status end_summary(fw_mcap_reader *r, const fw_mcap_record *record, fw_error *error) {
    uint64_t offsets = r->summary_offset_start == 0 ? record->offset : r->summary_offset_start;
    if (!section_matches(record->of.footer.summary_start, r->summary_start, offsets)) {
        return bad_record(record, "the summary does not start where it says", error);
    }
    if (!section_matches(record->of.footer.summary_offset_start, offsets, record->offset)) {
        return bad_record(record, "the summary offsets do not start where it says", error);
    }
    if (record->of.footer.summary_crc != 0 && record->of.footer.summary_crc != r->crc) {
        return bad_record(record, "wrong CRC of the summary", error);
    }
    FW_TRY(take_magic(r, "closing", error));
    uint8_t more;
    size_t got = r->offset < r->size;
    if (!r->mapped) FW_TRY(read_some(r, &more, 1, &got, error));
    if (got != 0) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: more bytes after the closing magic, before byte "
                       "%" PRIu64,
                       r->offset);
    }
    r->phase = DONE;
    return FW_OK;
}

static fw_status note_summary(fw_mcap_reader *r, const fw_mcap_record *record, fw_error *error) {
    if (record->opcode == FW_MCAP_SUMMARY_OFFSET) {
        if (r->summary_offset_start == 0) r->summary_offset_start = record->offset;
    } else if (record->opcode != FW_MCAP_FOOTER && r->summary_offset_start != 0) {
        return bad_record(record, "it stands behind the summary offsets", error);
    }
    return FW_OK;
}

static fw_status act_on(fw_mcap_reader *r, fw_mcap_record *record, const uint8_t *content,
                        const uint8_t *chunk_data, bool *found, fw_error *error) {
    *found = true;
    if (r->phase == SUMMARY) FW_TRY(note_summary(r, record, error));
    switch (record->opcode) {
    case FW_MCAP_HEADER:
        r->phase = DATA;
        return FW_OK;
    case FW_MCAP_ATTACHMENT:
        return check_attachment(record, content, error);
    case FW_MCAP_CHUNK:
        return enter_chunk(r, &record->of.chunk, chunk_data, record->offset, error);
    case FW_MCAP_DATA_END:
        return end_data(r, record, error);
    case FW_MCAP_FOOTER:
        return end_summary(r, record, error);
    default:
        return learn(r, record, found, error);
    }
}

static fw_status next_in_file(fw_mcap_reader *r, fw_mcap_record *record, bool *found,
                              fw_error *error) {
    *found = false;
    record->offset = r->offset;
    uint8_t prefix[FW_MCAP_PREFIX_BYTES];
    FW_TRY(take_small(r, prefix, sizeof prefix, "record", error));
    record->opcode = prefix[0];
    record->in_chunk = false;
    record->in_summary = r->phase == SUMMARY;
    uint64_t length = fw_mcap_load_u64(prefix + 1);
    const uint8_t *content = NULL, *chunk_data = NULL;
    FW_TRY(take_content(r, prefix[0], record->offset, length, &content, error));
    record->length_bytes = FW_MCAP_PREFIX_BYTES + length;
    if (prefix[0] != FW_MCAP_CHUNK) add_crc(r, prefix, content, length);
    if (prefix[0] > FW_MCAP_DATA_END && r->phase != HEADER) return FW_OK;
    if (prefix[0] > FW_MCAP_DATA_END || !may_stand(r->phase, prefix[0])) {
        return bad_record(record,
                          r->phase == HEADER ? "a header must come first"
                          : r->phase == DATA ? "this kind may not stand in the data section"
                                             : "this kind may not stand in the summary",
                          error);
    }
    if (!fw_mcap_parse(content, length, record, &chunk_data)) {
        return bad_record(record, "its content does not hold its fields", error);
    }
    FW_TRY(act_on(r, record, content, chunk_data, found, error));
    if (prefix[0] == FW_MCAP_CHUNK) {
        add_chunk_crc(r, prefix, content, length, &record->of.chunk, chunk_data);
    }
    return FW_OK;
}

static fw_status step(fw_mcap_reader *r, fw_mcap_record *record, bool *found, fw_error *error) {
    *found = false;
    if (r->phase == DONE) return FW_END;
    if (r->phase == MAGIC) {
        FW_TRY(take_magic(r, "opening", error));
        r->crc = fw_mcap_crc32(0, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
        r->phase = HEADER;
        return FW_OK;
    }
    return r->in_chunk ? next_in_chunk(r, record, found, error)
                       : next_in_file(r, record, found, error);
}

/* The common case, without detours: the chunk's next record is a sound message. False: anything
 * else, for the long way to deal with; nothing has moved then. */
static inline bool next_plain_message(fw_mcap_reader *r, fw_mcap_message *m, uint64_t *length) {
    if (!r->in_chunk || r->message_count >= r->limits.messages_max) return false;
    uint64_t left = r->chunk_size - r->chunk_at;
    if (left < FW_MCAP_PREFIX_BYTES + FW_MCAP_MESSAGE_HEAD_BYTES) return false;
    const uint8_t *at = r->chunk_bytes + r->chunk_at, *content = at + FW_MCAP_PREFIX_BYTES;
    uint64_t size = fw_mcap_load_u64(at + 1);
    if (at[0] != FW_MCAP_MESSAGE || size > left - FW_MCAP_PREFIX_BYTES ||
        size < FW_MCAP_MESSAGE_HEAD_BYTES) {
        return false;
    }
    uint16_t id = fw_mcap_load_u16(content);
    const fw_mcap_known_channel *channel = fw_mcap_known_find(&r->known, id);
    if (channel == NULL) return false;
    m->channel_id = id;
    m->sequence = fw_mcap_load_u32(content + 2);
    m->log_time_ns = fw_mcap_load_u64(content + 6);
    m->publish_time_ns = fw_mcap_load_u64(content + 14);
    m->data = content + FW_MCAP_MESSAGE_HEAD_BYTES;
    m->size_bytes = size - FW_MCAP_MESSAGE_HEAD_BYTES;
    m->channel = &channel->channel;
    m->schema = channel->schema;
    *length = FW_MCAP_PREFIX_BYTES + size;
    r->chunk_position = r->chunk_at;
    r->chunk_at += *length;
    r->message_count++;
    return true;
}

static fw_status next_record(fw_mcap_reader *r, fw_mcap_record *record, fw_error *error) {
    if (r->failed != FW_OK) {
        return fw_fail(error, r->failed, "mcap: reading failed before, near byte %" PRIu64,
                       r->offset);
    }
    fw_mcap_record found_record;
    bool found = false;
    while (!found) {
        fw_status status = step(r, &found_record, &found, error);
        if (status == FW_END) return FW_END;
        r->failed = status;
        if (status != FW_OK) {
            r->broken_chunk = r->in_chunk;
            r->in_chunk = false; /* nothing more of it is given */
            return status;
        }
    }
    *record = found_record;
    return FW_OK;
}

fw_status fw_mcap_reader_next(fw_mcap_reader *r, fw_mcap_record *record, fw_error *error) {
    if (!next_plain_message(r, &record->of.message, &record->length_bytes)) {
        return next_record(r, record, error);
    }
    record->opcode = FW_MCAP_MESSAGE;
    record->in_chunk = true;
    record->in_summary = false;
    record->offset = r->chunk_offset;
    return FW_OK;
}

fw_status fw_mcap_reader_next_message(fw_mcap_reader *r, fw_mcap_message *message,
                                      fw_error *error) {
    uint64_t length;
    for (;;) {
        if (next_plain_message(r, message, &length)) return FW_OK;
        fw_mcap_record record;
        FW_TRY(next_record(r, &record, error));
        if (record.opcode != FW_MCAP_MESSAGE) continue;
        *message = record.of.message;
        return FW_OK;
    }
}

uint32_t fw_mcap_reader_schema_count(const fw_mcap_reader *r) {
    return r->known.schema_count;
}

uint64_t fw_mcap_reader_chunk_position(const fw_mcap_reader *r) {
    return r->chunk_position;
}

uint64_t fw_mcap_reader_offset(const fw_mcap_reader *r) {
    return r->offset;
}

bool fw_mcap_reader_failed_in_chunk(const fw_mcap_reader *r) {
    return r->broken_chunk;
}

void fw_mcap_reader_take_known(fw_mcap_reader *r, fw_mcap_known *out) {
    *out = r->known;
    r->known = (fw_mcap_known){0};
    r->failed = FW_CLOSED;
    r->in_chunk = false;
}
