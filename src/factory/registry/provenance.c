/* provenance.c - which program and which machine this is (lineage.h). */
#include <elf.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commit.h"
#include "factory/registry/lineage.h"
#include "nn/run/cpu/class.h"
#include "nn/train/cpu/dnnl.h"

enum { BUILD_ID_MAX_BYTES = 31 };

/* The note that the linker leaves in each program: a hash of what it linked, in memory already, so that a confined
 * process knows it too. */
typedef struct build_id {
    char hex[2 * BUILD_ID_MAX_BYTES + 1];
} build_id;

static void read_notes(const char *at, size_t left, build_id *out) {
    while (left >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof note);
        size_t name = (note.n_namesz + 3u) & ~3u, size = (note.n_descsz + 3u) & ~3u;
        if (sizeof note + name + size > left) return;
        const unsigned char *bytes = (const unsigned char *)at + sizeof note + name;
        bool ours = note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(at + sizeof note, "GNU", 4) == 0;
        for (size_t i = 0; ours && i < note.n_descsz && i < BUILD_ID_MAX_BYTES; i++)
            snprintf(out->hex + 2 * i, 3, "%02x", bytes[i]);
        at += sizeof note + name + size;
        left -= sizeof note + name + size;
    }
}

static int read_program(struct dl_phdr_info *info, size_t size, void *self) {
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            read_notes((const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, info->dlpi_phdr[i].p_memsz, self);
    return 1; /* the program comes first; its libraries are not asked */
}

json_t *fw_lineage_code(void) {
    build_id id = {""};
    dl_iterate_phdr(read_program, &id);
    return json_pack("{s:s,s:s,s:s}", "version", FW_VERSION, "commit", FW_COMMIT, "build_id", id.hex);
}

json_t *fw_lineage_machine(void) {
    static const int levels[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    char training[FW_NN_CLASS_MAX], libc[48];
    json_t *caches = json_array();
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        long size_bytes = sysconf(levels[i]);
        json_array_append_new(caches, json_integer(size_bytes > 0 ? size_bytes : 0));
    }
    fw_nn_training_class(training);
    snprintf(libc, sizeof libc, "glibc %s", gnu_get_libc_version());
    return json_pack("{s:s,s:s,s:o,s:s,s:s}", "cpu_class", fw_nn_cpu_class(), "training_class", training,
                     "caches_bytes", caches, "libc", libc, "compiler", __VERSION__);
}
