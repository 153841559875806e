/* bench_mcap - what the MCAP library costs: MB and messages per second of one CPU, beside the
 * machine's own bounds and, where it was built in, the C++ reference under the same load.
 *
 *   bench_mcap [--mb N] [--point-mb N] [--repeats N] [--chunk BYTES] [--no-peer] [--quick]
 *              [--smoke] [--json] [--csv FILE]
 *
 * Cases: write (into a ring of memory), read (the whole file, mapped, every CRC checked), indexed
 * (all messages in the order of time), point (one topic, 1 % of the time, opening included); 10
 * channels, messages of 100 and 10,000 bytes; none, zstd level 1, lz4. MB are 10^6 bytes of
 * messages' data; time is CPU time, the median of the repeats. --smoke is for the tests: tiny.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <lz4frame.h>
#include <zstd.h>
#ifdef FW_BENCH_ZLIB
#include <zlib.h>
#endif

#include "mcap/mcap.h"
#include "mcap_load.h"

enum { REPEATS_MAX = 31, RESULTS_MAX = 256 };

typedef struct options {
    unsigned mb, point_mb, repeats;
    uint32_t chunk_bytes;
    bool peer, json;
    const char *csv;
} options;

typedef struct result {
    char engine[32], what[16], compression[16];
    size_t message_bytes;
    uint32_t chunk_bytes;
    uint64_t messages, bytes, file_bytes;
    double cpu_s;
} result;

typedef struct timing {
    double seconds[REPEATS_MAX];
    unsigned count;
} timing;

static options opt = {.mb = 128, .point_mb = 500, .repeats = 5, .peer = true};
static result results[RESULTS_MAX];
static size_t result_count;
static uint8_t *pool, *ring;
static char folder[256];
static const char *const compressions[] = {"zstd", "lz4", "none"}; /* by fw_mcap_compression */

/* ---------------------------------------------------------------------------- helpers ----- */

static void must(fw_status status, const fw_error *error) {
    if (status == FW_OK) return;
    fprintf(stderr, "bench_mcap: %s\n", error->text);
    exit(1);
}

static void *grab(size_t size) {
    void *got = malloc(size);
    if (got == NULL) {
        fprintf(stderr, "bench_mcap: no memory for %zu bytes\n", size);
        exit(1);
    }
    return got;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(timing *t) {
    qsort(t->seconds, t->count, sizeof t->seconds[0], by_value);
    return t->seconds[t->count / 2];
}

static void report(result r, timing *t) {
    r.cpu_s = median(t);
    if (result_count < RESULTS_MAX) results[result_count++] = r;
    bool point = strcmp(r.what, "point") == 0;
    fprintf(stderr, "%-18s %-8s %6zu B %-5s", r.engine, r.what, r.message_bytes, r.compression);
    if (point) {
        fprintf(stderr, " %9.3f ms\n", r.cpu_s * 1e3);
    } else {
        fprintf(stderr, " %8.0f MB/s %8.2f M messages/s\n", (double)r.bytes / 1e6 / r.cpu_s,
                (double)r.messages / 1e6 / r.cpu_s);
    }
}

static result result_of(const char *engine, const char *what, const char *compression,
                        size_t message_bytes) {
    result r = {.message_bytes = message_bytes, .chunk_bytes = opt.chunk_bytes};
    snprintf(r.engine, sizeof r.engine, "%s", engine);
    snprintf(r.what, sizeof r.what, "%s", what);
    snprintf(r.compression, sizeof r.compression, "%s", compression);
    return r;
}

/* ------------------------------------------------------------------------------ write ----- */

typedef struct ring_sink {
    size_t at;
    FILE *file; /* instead of the ring, when set */
} ring_sink;

static fw_status ring_write(void *self, const void *bytes, size_t size, fw_error *error) {
    ring_sink *sink = self;
    if (sink->file == NULL) {
        fw_bench_ring(ring, &sink->at, bytes, size);
        return FW_OK;
    }
    if (fwrite(bytes, 1, size, sink->file) == size) return FW_OK;
    return fw_fail_errno(error, "bench_mcap: cannot write the file");
}

static uint64_t write_once(fw_mcap_writer *w, ring_sink *sink, size_t size, uint64_t total) {
    fw_error error;
    uint16_t schema, ids[FW_BENCH_CHANNELS];
    fw_mcap_sink to = {.self = sink, .write = ring_write};
    must(fw_mcap_writer_begin(w, to, "bench", "flywheel", &error), &error);
    must(fw_mcap_writer_add_schema(w, "load", "raw", "", 0, &schema, &error), &error);
    for (int i = 0; i < FW_BENCH_CHANNELS; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "/load/%d", i);
        must(fw_mcap_writer_add_channel(w, schema, topic, "raw", NULL, 0, &ids[i], &error), &error);
    }
    for (uint64_t i = 0; i < total; i++) {
        uint64_t time_ns = (i + 1) * FW_BENCH_STEP_NS;
        must(fw_mcap_writer_message(w, ids[i % FW_BENCH_CHANNELS], (uint32_t)i, time_ns, time_ns,
                                    fw_bench_payload(pool, i, size), size, &error),
             &error);
    }
    must(fw_mcap_writer_end(w, &error), &error);
    return fw_mcap_writer_size_bytes(w);
}

static fw_mcap_writer *writer_of(fw_mcap_compression compression) {
    fw_mcap_writer_options o = {
        .compression = compression, .chunk_bytes = opt.chunk_bytes, .chunks_max = 65536};
    o.chunk_messages_max = 65536;
    fw_mcap_writer *w = NULL;
    fw_error error;
    must(fw_mcap_writer_open(&o, &w, &error), &error);
    return w;
}

static void bench_write(fw_mcap_compression compression, size_t size) {
    fw_mcap_writer *w = writer_of(compression);
    result r = result_of("flywheel", "write", compressions[compression], size);
    r.messages = (uint64_t)opt.mb * 1000000 / size;
    r.bytes = r.messages * size;
    timing t = {0};
    ring_sink sink = {0};
    for (unsigned i = 0; i < opt.repeats; i++) {
        double start = fw_bench_cpu_s();
        r.file_bytes = write_once(w, &sink, size, r.messages);
        t.seconds[t.count++] = fw_bench_cpu_s() - start;
    }
    fw_mcap_writer_close(w);
    report(r, &t);
}

/* Writes the file that reading reads. */
static void make_file(const char *path, fw_mcap_compression compression, size_t size, unsigned mb) {
    ring_sink sink = {.file = fopen(path, "wb")};
    if (sink.file == NULL) {
        fprintf(stderr, "bench_mcap: cannot make %s\n", path);
        exit(1);
    }
    fw_mcap_writer *w = writer_of(compression);
    (void)write_once(w, &sink, size, (uint64_t)mb * 1000000 / size);
    fw_mcap_writer_close(w);
    fclose(sink.file);
}

/* ------------------------------------------------------------------------------- read ----- */

static void read_all(const char *path, result *r) {
    fw_error error;
    fw_mcap_file file;
    fw_mcap_reader *reader = NULL;
    fw_mcap_message m;
    fw_status status;
    must(fw_mcap_file_map(path, &file, &error), &error);
    must(fw_mcap_reader_open_bytes(NULL, file.bytes, file.size_bytes, &reader, &error), &error);
    r->messages = r->bytes = 0;
    while ((status = fw_mcap_reader_next_message(reader, &m, &error)) == FW_OK) {
        r->messages++;
        r->bytes += m.size_bytes;
    }
    if (status != FW_END) must(status, &error);
    fw_mcap_reader_close(reader);
    fw_mcap_file_unmap(&file);
}

static void read_indexed(const char *path, result *r) {
    fw_error error;
    fw_mcap_indexed *x = NULL;
    fw_mcap_message m;
    fw_status status;
    must(fw_mcap_indexed_open_path(NULL, path, &x, &error), &error);
    const char *topic = "/load/3";
    fw_mcap_query query = {.order = FW_MCAP_ORDER_TIME};
    if (strcmp(r->what, "point") == 0) {
        fw_mcap_statistics s;
        must(fw_mcap_indexed_statistics(x, &s, &error), &error);
        uint64_t span = s.message_end_time_ns - s.message_start_time_ns;
        query.start_time_ns = s.message_start_time_ns + span / 2;
        query.end_time_ns = query.start_time_ns + span / 100;
        query.topics = &topic;
        query.topic_count = 1;
    }
    must(fw_mcap_indexed_query(x, &query, &error), &error);
    r->messages = r->bytes = 0;
    while ((status = fw_mcap_indexed_next(x, &m, &error)) == FW_OK) {
        r->messages++;
        r->bytes += m.size_bytes;
    }
    if (status != FW_END) must(status, &error);
    fw_mcap_indexed_close(x);
}

/* A point query is short, so it is repeated more. */
static unsigned point_repeats(void) {
    return opt.repeats > 10 ? REPEATS_MAX : 3 * opt.repeats;
}

static void bench_read(const char *what, const char *path, fw_mcap_compression compression,
                       size_t size, void (*read)(const char *path, result *r)) {
    result r = result_of("flywheel", what, compressions[compression], size);
    timing t = {0};
    unsigned repeats = strcmp(what, "point") == 0 ? point_repeats() : opt.repeats;
    for (unsigned i = 0; i < repeats; i++) {
        double start = fw_bench_cpu_s();
        read(path, &r);
        t.seconds[t.count++] = fw_bench_cpu_s() - start;
    }
    report(r, &t);
}

/* ------------------------------------------------------------------------------- peer ----- */

/* Runs the peer with these words and takes its line: messages, bytes, seconds... */
static void bench_peer(result r, const char *words) {
#ifdef FW_BENCH_PEER
    if (!opt.peer) return;
    char line[1024];
    snprintf(line, sizeof line, "'%s' %s %u", FW_BENCH_PEER, words,
             strcmp(r.what, "point") == 0 ? point_repeats() : opt.repeats);
    FILE *pipe = popen(line, "r");
    timing t = {0};
    if (pipe != NULL && fscanf(pipe, "%lu %lu", &r.messages, &r.bytes) == 2) {
        while (t.count < REPEATS_MAX && fscanf(pipe, "%lf", &t.seconds[t.count]) == 1) t.count++;
    }
    if (pipe == NULL || pclose(pipe) != 0 || t.count == 0) {
        fprintf(stderr, "bench_mcap: the peer failed: %s\n", words);
        exit(1);
    }
    report(r, &t);
#else
    (void)r;
    (void)words;
#endif
}

static void peer_write(const char *engine, const char *compression, size_t size, const char *level,
                       const char *crc, uint32_t chunk_bytes) {
    char words[256];
    result r = result_of(engine, "write", compression, size);
    r.chunk_bytes = chunk_bytes;
    snprintf(words, sizeof words, "write %zu %s %u %s %s %u", size, compression, chunk_bytes, level,
             crc, opt.mb);
    bench_peer(r, words);
}

static void peer_writes(const char *compression, size_t size) {
    peer_write("c++ all crc 256k", compression, size, "default", "all", 262144);
    peer_write("c++ all crc 768k", compression, size, "default", "all", 786432);
    peer_write("c++ chunk crc 768k", compression, size, "default", "default", 786432);
    if (strcmp(compression, "lz4") != 0) return;
    peer_write("c++ fast 256k", compression, size, "fast", "all", 262144);
    peer_write("c++ fast 768k", compression, size, "fast", "all", 786432);
}

static void peer_read(const char *what, const char *path, const char *compression, size_t size) {
    char words[640];
    snprintf(words, sizeof words, "%s '%s'", what, path);
    bench_peer(result_of("c++", what, compression, size), words);
}

/* ------------------------------------------------------------------------------ bounds ----- */

enum { BLOCK = 262144 };
static uint8_t block_out[BLOCK * 2];
static volatile uint32_t keep;

static void bound_memcpy(const uint8_t *from) {
    memcpy(block_out, from, BLOCK);
    keep = block_out[BLOCK / 2];
}
static void bound_crc(const uint8_t *from) {
    keep = fw_mcap_crc32(0, from, BLOCK);
}
#ifdef FW_BENCH_ZLIB
static void bound_zlib(const uint8_t *from) {
    keep = (uint32_t)crc32(0, from, BLOCK);
}
#endif
static ZSTD_CCtx *zstd;
static void bound_zstd(const uint8_t *from) {
    keep = (uint32_t)ZSTD_compressCCtx(zstd, block_out, sizeof block_out, from, BLOCK, 1);
}
static void bound_lz4(const uint8_t *from) {
    keep = (uint32_t)LZ4F_compressFrame(block_out, sizeof block_out, from, BLOCK, NULL);
}

/* Unpacking: of one packed block, again and again. */
static ZSTD_DCtx *unzstd;
static LZ4F_dctx *unlz4;
static uint8_t block_packed[BLOCK * 2];
static size_t zstd_size, lz4_size;
static void bound_unzstd(const uint8_t *from) {
    (void)from;
    keep = (uint32_t)ZSTD_decompressDCtx(unzstd, block_out, BLOCK, block_packed, zstd_size);
}
static void bound_unlz4(const uint8_t *from) {
    (void)from;
    size_t made = BLOCK, eaten = lz4_size;
    keep = (uint32_t)LZ4F_decompress(unlz4, block_out, &made, block_packed, &eaten, NULL);
}

static void bench_bound(const char *what, void (*run)(const uint8_t *from)) {
    result r = result_of("machine", what, "-", BLOCK);
    r.messages = (uint64_t)opt.mb * 1000000 / BLOCK + 1;
    r.bytes = r.messages * BLOCK;
    timing t = {0};
    for (unsigned i = 0; i < opt.repeats; i++) {
        double start = fw_bench_cpu_s();
        for (uint64_t k = 0; k < r.messages; k++) run(fw_bench_payload(pool, k, BLOCK));
        t.seconds[t.count++] = fw_bench_cpu_s() - start;
    }
    report(r, &t);
}

static void bench_bounds(void) {
    zstd = ZSTD_createCCtx();
    bench_bound("memcpy", bound_memcpy);
    bench_bound("crc32", bound_crc);
#ifdef FW_BENCH_ZLIB
    bench_bound("crc32 zlib", bound_zlib);
#endif
    bench_bound("zstd 1", bound_zstd);
    bench_bound("lz4", bound_lz4);
    zstd_size = ZSTD_compressCCtx(zstd, block_packed, sizeof block_packed, pool, BLOCK, 1);
    unzstd = ZSTD_createDCtx();
    bench_bound("unzstd", bound_unzstd);
    LZ4F_preferences_t p = {
        .frameInfo = {.blockSizeID = LZ4F_max4MB, .blockMode = LZ4F_blockIndependent}};
    lz4_size = LZ4F_compressFrame(block_packed, sizeof block_packed, pool, BLOCK, &p);
    if (!LZ4F_isError(LZ4F_createDecompressionContext(&unlz4, LZ4F_VERSION))) {
        bench_bound("unlz4", bound_unlz4);
    }
    LZ4F_freeDecompressionContext(unlz4);
    ZSTD_freeDCtx(unzstd);
    ZSTD_freeCCtx(zstd);
}

/* ------------------------------------------------------------------------------- cases ----- */

static void bench_case(fw_mcap_compression compression, size_t size) {
    char path[512];
    const char *name = compressions[compression];
    snprintf(path, sizeof path, "%s/file.mcap", folder);
    bench_write(compression, size);
    peer_writes(name, size);
    make_file(path, compression, size, opt.mb);
    bench_read("read", path, compression, size, read_all);
    peer_read("read", path, name, size);
    bench_read("indexed", path, compression, size, read_indexed);
    peer_read("indexed", path, name, size);
    if (opt.point_mb != opt.mb) make_file(path, compression, size, opt.point_mb);
    bench_read("point", path, compression, size, read_indexed);
    peer_read("point", path, name, size);
    unlink(path);
}

/* ------------------------------------------------------------------------------ output ----- */

static void print_row(FILE *out, const result *r, const char *format) {
    double mb_per_s = (double)r->bytes / 1e6 / r->cpu_s;
    fprintf(out, format, r->engine, r->what, r->message_bytes, r->compression, r->chunk_bytes,
            r->messages, r->bytes, r->file_bytes, r->cpu_s, mb_per_s,
            (double)r->messages / 1e6 / r->cpu_s);
}

static void print_json(void) {
    printf("[");
    for (size_t i = 0; i < result_count; i++) {
        printf("%s\n", i == 0 ? "" : ",");
        print_row(stdout, &results[i],
                  "{\"engine\":\"%s\",\"case\":\"%s\",\"message_bytes\":%zu,\"compression\":\"%s\","
                  "\"chunk_bytes\":%u,\"messages\":%lu,\"bytes\":%lu,\"file_bytes\":%lu,"
                  "\"cpu_s\":%.6f,\"mb_per_cpu_s\":%.1f,\"mmessages_per_cpu_s\":%.4f}");
    }
    printf("\n]\n");
}

/* The peer's best row of a case, or 0. */
static double best_peer(const result *r, bool fast) {
    double best = 0;
    for (size_t i = 0; i < result_count; i++) {
        const result *p = &results[i];
        if (strncmp(p->engine, "c++", 3) != 0 || strcmp(p->what, r->what) != 0) continue;
        if (strcmp(p->compression, r->compression) != 0 || p->message_bytes != r->message_bytes) {
            continue;
        }
        if ((strstr(p->engine, "fast") != NULL) != fast) continue;
        if (strstr(p->engine, "chunk crc") != NULL) continue;
        double speed = 1.0 / p->cpu_s;
        if (speed > best) best = speed;
    }
    return best * r->cpu_s;
}

static void print_table(void) {
    printf("%-8s %7s %-5s %12s %14s %14s\n", "case", "bytes", "pack", "MB/CPU-s", "M messages/s",
           "times the C++");
    for (size_t i = 0; i < result_count; i++) {
        const result *r = &results[i];
        if (strncmp(r->engine, "c++", 3) == 0) continue;
        printf("%-8.8s %7zu %-5s %12.0f %14.3f", r->what, r->message_bytes, r->compression,
               (double)r->bytes / 1e6 / r->cpu_s, (double)r->messages / 1e6 / r->cpu_s);
        double ratio = best_peer(r, false), fast = best_peer(r, true);
        if (ratio > 0) printf(" %14.2f", 1.0 / ratio);
        if (fast > 0) printf(" (its fast: %.2f)", 1.0 / fast);
        if (strcmp(r->what, "point") == 0) printf("   %.3f ms", r->cpu_s * 1e3);
        printf("\n");
    }
}

static void append_csv(const char *path) {
    FILE *out = fopen(path, "a");
    if (out == NULL) {
        fprintf(stderr, "bench_mcap: cannot append to %s\n", path);
        exit(1);
    }
    if (ftell(out) == 0) {
        fprintf(out, "engine,case,message_bytes,compression,chunk_bytes,messages,bytes,file_bytes,"
                     "cpu_s,mb_per_cpu_s,mmessages_per_cpu_s\n");
    }
    for (size_t i = 0; i < result_count; i++) {
        print_row(out, &results[i], "%s,%s,%zu,%s,%u,%lu,%lu,%lu,%.6f,%.1f,%.4f\n");
    }
    fclose(out);
}

/* -------------------------------------------------------------------------------- main ----- */

static bool take_number(int argc, char **argv, int *i, const char *name, unsigned *out) {
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc) return false;
    *out = (unsigned)strtoul(argv[++*i], NULL, 10);
    return *out > 0;
}

static bool take_option(int argc, char **argv, int *i) {
    if (take_number(argc, argv, i, "--mb", &opt.mb)) return true;
    if (take_number(argc, argv, i, "--point-mb", &opt.point_mb)) return true;
    if (take_number(argc, argv, i, "--repeats", &opt.repeats)) return opt.repeats <= REPEATS_MAX;
    if (take_number(argc, argv, i, "--chunk", &opt.chunk_bytes)) return true;
    const char *word = argv[*i];
    if (strcmp(word, "--csv") == 0 && *i + 1 < argc) {
        opt.csv = argv[++*i];
    } else if (strcmp(word, "--json") == 0) {
        opt.json = true;
    } else if (strcmp(word, "--no-peer") == 0) {
        opt.peer = false;
    } else if (strcmp(word, "--quick") == 0) {
        opt.mb = opt.point_mb = 32;
        opt.repeats = 3;
    } else if (strcmp(word, "--smoke") == 0) {
        opt.mb = opt.point_mb = opt.repeats = 1;
        opt.peer = false;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (take_option(argc, argv, &i)) continue;
        fprintf(stderr, "usage: bench_mcap [--mb N] [--point-mb N] [--repeats N] [--chunk BYTES] "
                        "[--no-peer] [--quick] [--smoke] [--json] [--csv FILE]\n");
        return 2;
    }
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/bench_mcap.XXXXXX", temporary ? temporary : P_tmpdir);
    if (mkdtemp(folder) == NULL) {
        fprintf(stderr, "bench_mcap: cannot make a folder in %s\n", folder);
        return 1;
    }
    pool = grab(FW_BENCH_POOL_BYTES);
    ring = grab(FW_BENCH_RING_BYTES);
    memset(ring, 0, FW_BENCH_RING_BYTES);
    fw_bench_fill(pool);
    bench_bounds();
    static const size_t sizes[] = {100, 10000};
    for (size_t s = 0; s < 2; s++) {
        for (int c = FW_MCAP_NONE; c >= FW_MCAP_ZSTD; c--) {
            bench_case((fw_mcap_compression)c, sizes[s]);
        }
    }
    if (opt.json)
        print_json();
    else
        print_table();
    if (opt.csv != NULL) append_csv(opt.csv);
    rmdir(folder);
    free(pool);
    free(ring);
    return 0;
}
