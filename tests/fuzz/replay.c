/* Runs a fuzz target over every file of the folders and files named: the regression test of a
 * committed corpus, without libFuzzer. Each input lies in its own exact allocation, so that a
 * sanitizer sees any step outside. An empty corpus is a failure: it would test nothing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static unsigned long inputs;

static int replay_file(const char *path) {
    char *bytes = NULL;
    size_t size = 0;
    fw_error error;
    if (fw_file_read(path, (size_t)1 << 28, &bytes, &size, &error) != FW_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL) abort();
    memcpy(exact, bytes, size);
    free(bytes);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    inputs++;
    return 0;
}

static int replay_folder(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), failed = 0;
    if (count < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') failed |= replay_file(file);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        bool folder = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
        failed |= folder ? replay_folder(argv[i]) : replay_file(argv[i]);
    }
    printf("%lu inputs\n", inputs);
    return failed != 0 || inputs == 0;
}
