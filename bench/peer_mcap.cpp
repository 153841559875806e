/* peer_mcap.cpp - the C++ reference (github foxglove/mcap, cpp/mcap) under bench_mcap's load.
 *
 *   peer_mcap write BYTES none|zstd|lz4 CHUNK_BYTES default|fast all|default MB REPEATS
 *   peer_mcap read|indexed|point FILE REPEATS
 *
 * Prints the line bench_mcap reads: messages, bytes of payload, CPU seconds of each repeat. "all"
 * switches on the CRC of the data section too, as Flywheel's writer always writes; "default" is
 * the peer's own default (CRCs of chunks and summary). Reading maps the file, so that the peer
 * does not copy either.
 */
#define MCAP_IMPLEMENTATION
#include <mcap/reader.hpp>
#include <mcap/writer.hpp>

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mcap_load.h"

namespace {

class Ring final : public mcap::IWritable {
  public:
    void handleWrite(const std::byte *data, uint64_t size) override {
        fw_bench_ring(ring_.data(), &at_, data, size);
        size_ += size;
    }
    void end() override {}
    uint64_t size() const override { return size_; }

  private:
    std::vector<uint8_t> ring_ = std::vector<uint8_t>(FW_BENCH_RING_BYTES);
    size_t at_ = 0;
    uint64_t size_ = 0;
};

class Mapped final : public mcap::IReadable {
  public:
    explicit Mapped(const char *path) {
        int fd = open(path, O_RDONLY);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) != 0) throw std::runtime_error("cannot open the file");
        size_ = uint64_t(st.st_size);
        void *at = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        if (at == MAP_FAILED) throw std::runtime_error("cannot map the file");
        bytes_ = static_cast<std::byte *>(at);
    }
    ~Mapped() override { munmap(bytes_, size_); }
    uint64_t size() const override { return size_; }
    uint64_t read(std::byte **output, uint64_t offset, uint64_t size) override {
        if (offset >= size_) return 0;
        *output = bytes_ + offset;
        return std::min(size, size_ - offset);
    }

  private:
    std::byte *bytes_;
    uint64_t size_;
};

void check(const mcap::Status &status) {
    if (!status.ok()) throw std::runtime_error(status.message);
}

struct Count {
    uint64_t messages = 0, bytes = 0;
};

Count write(size_t size, const mcap::McapWriterOptions &options, uint64_t total,
            const uint8_t *pool) {
    Ring ring;
    mcap::McapWriter writer;
    writer.open(ring, options);
    mcap::Schema schema("load", "raw", "");
    writer.addSchema(schema);
    std::vector<mcap::ChannelId> ids;
    for (int i = 0; i < FW_BENCH_CHANNELS; i++) {
        mcap::Channel channel("/load/" + std::to_string(i), "raw", schema.id);
        writer.addChannel(channel);
        ids.push_back(channel.id);
    }
    mcap::Message m;
    m.dataSize = size;
    for (uint64_t i = 0; i < total; i++) {
        m.channelId = ids[i % FW_BENCH_CHANNELS];
        m.sequence = uint32_t(i);
        m.logTime = m.publishTime = (i + 1) * FW_BENCH_STEP_NS;
        m.data = reinterpret_cast<const std::byte *>(fw_bench_payload(pool, i, size));
        check(writer.write(m));
    }
    writer.close();
    return {total, total * size};
}

Count read(const std::string &how, const char *path) {
    Mapped file(path);
    mcap::McapReader reader;
    check(reader.open(file));
    mcap::ReadMessageOptions options;
    if (how != "read") {
        check(reader.readSummary(mcap::ReadSummaryMethod::NoFallbackScan));
        options.readOrder = mcap::ReadMessageOptions::ReadOrder::LogTimeOrder;
    }
    if (how == "point") {
        const auto &s = *reader.statistics();
        uint64_t span = s.messageEndTime - s.messageStartTime;
        options.startTime = s.messageStartTime + span / 2;
        options.endTime = options.startTime + span / 100;
        options.topicFilter = [](std::string_view topic) { return topic == "/load/3"; };
    }
    Count count;
    auto fail = [](const mcap::Status &problem) { check(problem); };
    for (const auto &view : reader.readMessages(fail, options)) {
        count.messages++;
        count.bytes += view.message.dataSize;
    }
    return count;
}

mcap::McapWriterOptions options_of(char **argv) {
    mcap::McapWriterOptions options("bench");
    std::string compression = argv[3];
    options.compression = compression == "zstd"  ? mcap::Compression::Zstd
                          : compression == "lz4" ? mcap::Compression::Lz4
                                                 : mcap::Compression::None;
    options.chunkSize = strtoull(argv[4], nullptr, 10);
    if (std::string(argv[5]) == "fast") options.compressionLevel = mcap::CompressionLevel::Fast;
    options.enableDataCRC = std::string(argv[6]) == "all";
    return options;
}

int run(int argc, char **argv) {
    std::string how = argc > 1 ? argv[1] : "";
    if (how == "version") {
        printf("%s\n", MCAP_LIBRARY_VERSION);
        return 0;
    }
    bool writing = how == "write" && argc == 9;
    if (!writing && argc != 4) return 2;
    int repeats = atoi(argv[argc - 1]);
    std::vector<uint8_t> pool(FW_BENCH_POOL_BYTES);
    fw_bench_fill(pool.data());
    std::string times;
    Count count;
    for (int i = 0; i < repeats; i++) {
        double start = fw_bench_cpu_s();
        if (writing) {
            size_t size = strtoull(argv[2], nullptr, 10);
            uint64_t total = strtoull(argv[7], nullptr, 10) * 1000000 / size;
            count = write(size, options_of(argv), total, pool.data());
        } else {
            count = read(how, argv[2]);
        }
        times += " " + std::to_string(fw_bench_cpu_s() - start);
    }
    printf("%llu %llu%s\n", (unsigned long long)count.messages, (unsigned long long)count.bytes,
           times.c_str());
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception &e) {
        fprintf(stderr, "peer_mcap: %s\n", e.what());
        return 1;
    }
}
