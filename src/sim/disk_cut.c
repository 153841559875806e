/* disk_cut.c - what is left of a folder when the power goes (disk.h). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/disk_state.h"

enum { DEPTH_MAX = 8 };

/* ---- a file's bytes ---- */

/* A file in memory, grown with zeros where something lies beyond its end. */
typedef struct content {
    uint8_t *bytes;
    uint64_t size, room;
} content;

static void put(content *c, uint64_t offset, const uint8_t *bytes, size_t size) {
    uint64_t end = offset + size;
    if (size == 0) return;
    if (end > c->room) {
        c->room = end + 4096;
        c->bytes = realloc(c->bytes, c->room);
        FW_ASSERT(c->bytes);
    }
    if (end > c->size) {
        memset(c->bytes + c->size, 0, end - c->size);
        c->size = end;
    }
    memcpy(c->bytes + offset, bytes, size);
}

/* As before the note: its old bytes; where there were none, the end of the file, or a hole when it goes on. */
static void take_back(content *c, const fw_sim_note *n) {
    uint64_t had = n->offset + n->old_bytes, end = n->offset + n->size_bytes;
    put(c, n->offset, n->old, n->old_bytes);
    if (c->size > n->file_bytes && end >= c->size)
        c->size = n->file_bytes;
    else if (had < end && had < c->size)
        memset(c->bytes + had, 0, (size_t)((end < c->size ? end : c->size) - had));
}

static uint32_t count_notes(const fw_sim_inode *i) {
    uint32_t count = 0;
    for (const fw_sim_note *n = i ? i->notes : NULL; n; n = n->next) count++;
    return count;
}

/* The durable bytes: all notes taken back, the last first. */
static void rewind_notes(content *c, const fw_sim_inode *i, uint32_t count) {
    const fw_sim_note **list = malloc((count + 1) * sizeof *list);
    uint32_t at = 0;
    FW_ASSERT(list);
    for (const fw_sim_note *n = i->notes; n; n = n->next) list[at++] = n;
    while (at > 0) take_back(c, list[--at]);
    free(list);
}

/* Which of the notes reached the disk. */
static void replay_notes(fw_sim_disk *d, content *c, const fw_sim_inode *i, uint32_t count) {
    enum { NONE, ALL, FIRST, ANY, TORN, MODES };
    uint32_t mode = fw_random_below(&d->random, MODES), at = 0;
    uint32_t until = mode == NONE ? 0 : mode == ALL ? count : fw_random_below(&d->random, count + 1);
    for (const fw_sim_note *n = i->notes; n; n = n->next, at++) {
        bool kept = mode == ANY ? fw_random_below(&d->random, 2) : at < until;
        if (kept) {
            put(c, n->offset, n->fresh, n->size_bytes);
        } else if (mode == TORN && at == until) {
            uint64_t end = n->offset + fw_random_below(&d->random, (uint32_t)n->size_bytes + 1);
            end -= end % FW_SIM_SECTOR_BYTES;
            if (end > n->offset) put(c, n->offset, n->fresh, (size_t)(end - n->offset));
            d->torn_writes++;
        } else {
            d->lost_writes++;
        }
    }
}

static bool load(const char *path, content *c) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        if (fd >= 0) close(fd);
        return false;
    }
    c->size = c->room = (uint64_t)info.st_size;
    c->bytes = malloc(c->room + 1);
    FW_ASSERT(c->bytes);
    ssize_t got = pread(fd, c->bytes, c->size, 0);
    close(fd);
    return got == info.st_size;
}

static void store(const char *path, const content *c) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FW_ASSERT(fd >= 0);
    for (uint64_t at = 0; at < c->size;) {
        ssize_t put_bytes = write(fd, c->bytes + at, c->size - at);
        FW_ASSERT(put_bytes > 0); /* the machine's own memory is full */
        at += (uint64_t)put_bytes;
    }
    close(fd);
}

static void leave_file(fw_sim_disk *d, const char *from, const char *to, ino_t number) {
    content c = {0};
    const fw_sim_inode *i = fw_sim_inode_find(d, number);
    uint32_t count = count_notes(i);
    if (load(from, &c)) {
        if (count > 0) {
            rewind_notes(&c, i, count);
            replay_notes(d, &c, i, count);
        }
        store(to, &c);
    }
    free(c.bytes);
}

/* ---- a folder's names ---- */

/* One folder at the cut. */
typedef struct scene {
    fw_sim_disk *d;
    const char *live, *next; /* paths */
    const fw_sim_name *now, *before;
    uint32_t now_count, before_count;
    bool *came; /* (now_count): this name's change reached the disk */
} scene;

static const fw_sim_name *same_inode(const fw_sim_name *names, uint32_t count, ino_t number) {
    for (uint32_t i = 0; i < count; i++)
        if (names[i].inode == number) return &names[i];
    return NULL;
}

static void leave_now(const scene *s, const fw_sim_name *name) {
    char from[FW_PATH_MAX + FW_SIM_NAME_MAX], to[FW_PATH_MAX + FW_SIM_NAME_MAX];
    snprintf(from, sizeof from, "%s/%s", s->live, name->text);
    snprintf(to, sizeof to, "%s/%s", s->next, name->text);
    leave_file(s->d, from, to, name->inode);
}

static void leave_before(const scene *s, const fw_sim_name *name) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX + FW_SIM_NAME_MAX];
    fw_sim_held_path(s->d, name->inode, from);
    snprintf(to, sizeof to, "%s/%s", s->next, name->text);
    leave_file(s->d, from, to, name->inode);
}

/* Names that are there now: new ones, replaced ones, unchanged ones. */
static void leave_present(scene *s) {
    for (uint32_t i = 0; i < s->now_count; i++) {
        const fw_sim_name *name = &s->now[i];
        const fw_sim_name *old = fw_sim_names_find(s->before, s->before_count, name->text);
        bool unchanged = old && old->inode == name->inode;
        s->came[i] = unchanged || fw_random_below(&s->d->random, 2);
        if (s->came[i]) {
            leave_now(s, name);
        } else {
            s->d->lost_names++;
            if (old) leave_before(s, old);
        }
    }
}

/* Names that are there no more: renamed ones go with their new name, removed ones by themselves. */
static void leave_absent(scene *s) {
    for (uint32_t i = 0; i < s->before_count; i++) {
        const fw_sim_name *name = &s->before[i];
        if (fw_sim_names_find(s->now, s->now_count, name->text)) continue;
        const fw_sim_name *renamed = same_inode(s->now, s->now_count, name->inode);
        bool gone = renamed ? s->came[renamed - s->now] : fw_random_below(&s->d->random, 2);
        if (!gone) leave_before(s, name);
    }
}

static void leave_folder(fw_sim_disk *d, const char *live, const char *next, unsigned depth) {
    fw_sim_name *files, *folders;
    uint32_t folder_count = 0;
    const char *below = live[strlen(d->root)] == '/' ? live + strlen(d->root) + 1 : "";
    const fw_sim_folder *durable = fw_sim_folder_find(d, below);
    scene s = {.d = d, .live = live, .next = next};
    s.now_count = fw_sim_names_read(live, &files, &folders, &folder_count);
    s.now = files;
    s.before = durable ? durable->names : NULL;
    s.before_count = durable ? durable->count : 0;
    s.came = calloc(s.now_count + 1, sizeof *s.came);
    FW_ASSERT(s.came);
    mkdir(next, 0755);
    leave_present(&s);
    leave_absent(&s);
    for (uint32_t i = 0; i < folder_count && depth < DEPTH_MAX; i++) {
        char from[FW_PATH_MAX], to[FW_PATH_MAX];
        int used = snprintf(from, sizeof from, "%s/%s", live, folders[i].text);
        int more = snprintf(to, sizeof to, "%s/%s", next, folders[i].text);
        if (used < (int)sizeof from && more < (int)sizeof to) leave_folder(d, from, to, depth + 1);
    }
    free(s.came);
    free(files);
    free(folders);
}

void fw_sim_disk_cut(fw_sim_disk *d) {
    char next[FW_PATH_MAX];
    fw_error error;
    if (d->dead) return;
    d->dead = true;
    d->cuts++;
    d->cut_after = 0;
    snprintf(next, sizeof next, "%s.next", d->root);
    (void)!fw_folder_remove(next, &error);
    leave_folder(d, d->root, next, 0);
}

fw_status fw_sim_disk_restart(fw_sim_disk *d, fw_error *error) {
    char next[FW_PATH_MAX];
    d->cut_after = d->flush_fails = 0;
    if (!d->dead) return FW_OK;
    snprintf(next, sizeof next, "%s.next", d->root);
    FW_TRY(fw_folder_remove(d->root, error));
    if (rename(next, d->root) != 0) return fw_fail_errno(error, "cannot bring back %s", d->root);
    fw_sim_inodes_free(d);
    d->dead = d->no_space = false;
    return fw_sim_folders_begin(d, error);
}
