/* disk_names.c - which names of a folder are durable (disk.h). */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/disk_state.h"

static int by_text(const void *a, const void *b) {
    return strcmp(((const fw_sim_name *)a)->text, ((const fw_sim_name *)b)->text);
}

static void add_name(fw_sim_name **names, uint32_t *count, const char *text, ino_t inode) {
    if ((*count & (*count - 1)) == 0) { /* grown at powers of two */
        *names = realloc(*names, (*count ? 2 * *count : 1) * sizeof **names);
        FW_ASSERT(*names);
    }
    fw_sim_name *name = &(*names)[(*count)++];
    snprintf(name->text, sizeof name->text, "%s", text);
    name->inode = inode;
}

uint32_t fw_sim_names_read(const char *path, fw_sim_name **files, fw_sim_name **folders,
                           uint32_t *folder_count) {
    uint32_t count = 0, below = 0;
    DIR *dir = opendir(path);
    *files = NULL;
    if (folders) *folders = NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strlen(name) >= FW_SIM_NAME_MAX)
            continue;
        if (entry->d_type == DT_REG) add_name(files, &count, name, entry->d_ino);
        if (entry->d_type == DT_DIR && folders) add_name(folders, &below, name, entry->d_ino);
    }
    if (dir) closedir(dir);
    if (count > 0) qsort(*files, count, sizeof **files, by_text);
    if (below > 0) qsort(*folders, below, sizeof **folders, by_text);
    if (folder_count) *folder_count = below;
    return count;
}

const fw_sim_name *fw_sim_names_find(const fw_sim_name *names, uint32_t count, const char *text) {
    fw_sim_name key;
    snprintf(key.text, sizeof key.text, "%s", text);
    return count ? bsearch(&key, names, count, sizeof *names, by_text) : NULL;
}

void fw_sim_held_path(const fw_sim_disk *d, ino_t number, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s.held/%llu", d->root, (unsigned long long)number);
}

const fw_sim_folder *fw_sim_folder_find(const fw_sim_disk *d, const char *below) {
    for (const fw_sim_folder *f = d->folders; f; f = f->next)
        if (strcmp(f->path, below) == 0) return f;
    return NULL;
}

/* Is the file durable under some name still? */
static bool is_named(const fw_sim_disk *d, ino_t number) {
    for (const fw_sim_folder *f = d->folders; f; f = f->next)
        for (uint32_t i = 0; i < f->count; i++)
            if (f->names[i].inode == number) return true;
    return false;
}

static void hold(const fw_sim_disk *d, const char *folder, const fw_sim_name *name) {
    char from[FW_PATH_MAX + FW_SIM_NAME_MAX], to[FW_PATH_MAX];
    snprintf(from, sizeof from, "%s/%s", folder, name->text);
    fw_sim_held_path(d, name->inode, to);
    (void)!link(from, to); /* EEXIST: held already */
}

/* Those of `old` that no durable name is left of. */
static void let_go(const fw_sim_disk *d, const fw_sim_folder *now, const fw_sim_name *old,
                   uint32_t count) {
    char path[FW_PATH_MAX];
    for (uint32_t i = 0; i < count; i++) {
        const fw_sim_name *same = fw_sim_names_find(now->names, now->count, old[i].text);
        if ((same && same->inode == old[i].inode) || is_named(d, old[i].inode)) continue;
        fw_sim_held_path(d, old[i].inode, path);
        unlink(path);
    }
}

void fw_sim_folder_settle(fw_sim_disk *d, const char *path) {
    size_t root = strlen(d->root);
    if (strncmp(path, d->root, root) != 0 || (path[root] != '/' && path[root] != '\0')) return;
    const char *below = path[root] == '/' ? path + root + 1 : "";
    fw_sim_folder *f = (fw_sim_folder *)fw_sim_folder_find(d, below);
    if (!f) {
        f = calloc(1, sizeof *f);
        FW_ASSERT(f);
        snprintf(f->path, sizeof f->path, "%s", below);
        f->next = d->folders;
        d->folders = f;
    }
    fw_sim_name *old = f->names;
    uint32_t count = f->count;
    f->count = fw_sim_names_read(path, &f->names, NULL, NULL);
    for (uint32_t i = 0; i < f->count; i++) {
        const fw_sim_name *before = fw_sim_names_find(old, count, f->names[i].text);
        if (!before || before->inode != f->names[i].inode) hold(d, path, &f->names[i]);
    }
    let_go(d, f, old, count);
    free(old);
}

static void settle_below(fw_sim_disk *d, const char *path, unsigned depth) {
    fw_sim_name *files, *folders;
    uint32_t count = 0;
    char child[FW_PATH_MAX];
    fw_sim_names_read(path, &files, &folders, &count);
    free(files);
    for (uint32_t i = 0; i < count && depth < 8; i++) {
        int used = snprintf(child, sizeof child, "%s/%s", path, folders[i].text);
        if (used > 0 && (size_t)used < sizeof child) settle_below(d, child, depth + 1);
    }
    free(folders);
    fw_sim_folder_settle(d, path);
}

fw_status fw_sim_folders_begin(fw_sim_disk *d, fw_error *error) {
    char held[FW_PATH_MAX];
    fw_sim_folders_free(d);
    snprintf(held, sizeof held, "%s.held", d->root);
    FW_TRY(fw_folder_remove(held, error));
    FW_TRY(fw_folder_make(held, 0755, error));
    settle_below(d, d->root, 0);
    return FW_OK;
}

void fw_sim_folders_free(fw_sim_disk *d) {
    while (d->folders) {
        fw_sim_folder *f = d->folders;
        d->folders = f->next;
        free(f->names);
        free(f);
    }
}
