/* erase_sign.c - Ed25519 over statements, with OpenSSL (erase_sign.h). */
#include "factory/custody/erase_sign.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

enum { SIGNATURE_BYTES = 64, KEY_BYTES = 32, PEM_MAX_BYTES = 4096 };

static fw_status crypto_failed(fw_error *error, const char *what) {
    return fw_fail(error, FW_IO, "cannot %s the erasure's key (OpenSSL)", what);
}

static void to_hex(const unsigned char *bytes, size_t size, char *out) {
    for (size_t i = 0; i < size; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool from_hex(const char *text, unsigned char *out, size_t size) {
    if (!text || strlen(text) != 2 * size || strspn(text, "0123456789abcdef") != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1) return false;
        out[i] = (unsigned char)value;
    }
    return true;
}

/* ---- the key ---- */

static void key_path(const char *data_folder, const char *name, char out[FW_PATH_MAX]) {
    int used = snprintf(out, FW_PATH_MAX, "%s/identity/%s", data_folder, name);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX);
}

/* A file that only its owner reads. */
static fw_status write_private(const fw_env *env, const char *path, const char *text, size_t size,
                               fw_error *error) {
    char part[FW_PATH_MAX + 8];
    snprintf(part, sizeof part, "%s.tmp", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return fw_fail_errno(error, "cannot create %s", part);
    fw_status status = fw_file_write_all(env, fd, text, size, "the erasure's key", error);
    if (status == FW_OK && env->fdatasync(env->self, fd) != 0)
        status = fw_fail_errno(error, "cannot make %s durable", part);
    close(fd);
    if (status == FW_OK && env->rename(env->self, part, path) != 0)
        status = fw_fail_errno(error, "cannot create %s", path);
    return status;
}

static fw_status pem_of(EVP_PKEY *key, bool private_half, char out[PEM_MAX_BYTES], size_t *size,
                        fw_error *error) {
    BIO *memory = BIO_new(BIO_s_mem());
    int good = memory && (private_half
                              ? PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL)
                              : PEM_write_bio_PUBKEY(memory, key));
    int got = good ? BIO_read(memory, out, PEM_MAX_BYTES) : 0;
    BIO_free(memory);
    if (got <= 0) return crypto_failed(error, "write");
    *size = (size_t)got;
    return FW_OK;
}

static fw_status make_key(const fw_env *env, const char *data_folder, EVP_PKEY **out,
                          fw_error *error) {
    char path[FW_PATH_MAX], public_path[FW_PATH_MAX], folder[FW_PATH_MAX], text[PEM_MAX_BYTES];
    size_t size = 0;
    key_path(data_folder, "erase.key", path);
    key_path(data_folder, "erase.pub", public_path);
    fw_path_join(folder, sizeof folder, data_folder, "identity");
    FW_TRY(fw_folder_make(folder, 0700, error));
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!key) return crypto_failed(error, "make");
    fw_status status = pem_of(key, false, text, &size, error);
    if (status == FW_OK) status = fw_file_write_durable(env, public_path, text, size, error);
    if (status == FW_OK) status = pem_of(key, true, text, &size, error);
    if (status == FW_OK) status = write_private(env, path, text, size, error);
    OPENSSL_cleanse(text, sizeof text);
    if (status == FW_OK) status = fw_folder_sync(env, folder, error);
    if (status == FW_OK)
        *out = key;
    else
        EVP_PKEY_free(key);
    return status;
}

static fw_status read_key(const char *data_folder, const char *name, bool private_half,
                          EVP_PKEY **out, fw_error *error) {
    char path[FW_PATH_MAX], *text;
    size_t size;
    key_path(data_folder, name, path);
    FW_TRY(fw_file_read(path, PEM_MAX_BYTES, &text, &size, error));
    BIO *memory = BIO_new_mem_buf(text, (int)size);
    EVP_PKEY *key = !memory       ? NULL
                    : private_half ? PEM_read_bio_PrivateKey(memory, NULL, NULL, NULL)
                                   : PEM_read_bio_PUBKEY(memory, NULL, NULL, NULL);
    BIO_free(memory);
    OPENSSL_cleanse(text, size);
    free(text);
    if (!key || !EVP_PKEY_is_a(key, "ED25519")) {
        EVP_PKEY_free(key);
        return fw_fail(error, FW_CORRUPT, "%s is no Ed25519 key", path);
    }
    *out = key;
    return FW_OK;
}

static bool sign(EVP_PKEY *key, const char *text, unsigned char out[SIGNATURE_BYTES],
                 unsigned char public_key[KEY_BYTES]) {
    size_t size = SIGNATURE_BYTES, key_size = KEY_BYTES;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, out, &size, (const unsigned char *)text, strlen(text)) == 1 &&
                EVP_PKEY_get_raw_public_key(key, public_key, &key_size) == 1;
    EVP_MD_CTX_free(context);
    return good && size == SIGNATURE_BYTES && key_size == KEY_BYTES;
}

static bool verify(EVP_PKEY *key, const char *text, const unsigned char signature[SIGNATURE_BYTES]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, SIGNATURE_BYTES, (const unsigned char *)text,
                                 strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

/* ---- files ---- */

fw_status fw_tombstone_write(const fw_env *env, const char *data_folder, const char *statement,
                             fw_hash *id, fw_error *error) {
    unsigned char signature[SIGNATURE_BYTES], public_key[KEY_BYTES];
    char folder[FW_PATH_MAX], path[FW_PATH_MAX + 80], signature_hex[2 * SIGNATURE_BYTES + 1],
        key_hex[2 * KEY_BYTES + 1], key_file[FW_PATH_MAX], *text = NULL;
    EVP_PKEY *key = NULL;
    key_path(data_folder, "erase.key", key_file);
    if (fw_file_exists(key_file))
        FW_TRY(read_key(data_folder, "erase.key", true, &key, error));
    else
        FW_TRY(make_key(env, data_folder, &key, error));
    bool good = sign(key, statement, signature, public_key);
    EVP_PKEY_free(key);
    if (!good) return crypto_failed(error, "sign with");
    to_hex(signature, sizeof signature, signature_hex);
    to_hex(public_key, sizeof public_key, key_hex);
    if (asprintf(&text, "%s\n{\"algorithm\":\"Ed25519\",\"key\":\"%s\",\"signature\":\"%s\"}\n",
                 statement, key_hex, signature_hex) < 0)
        return fw_fail(error, FW_NO_MEMORY, "no memory for a tombstone");
    *id = fw_hash_bytes(statement, strlen(statement));
    fw_path_join(folder, sizeof folder, data_folder, "tombstones");
    snprintf(path, sizeof path, "%s/%s.json", folder, id->hex);
    fw_status status = fw_folder_make(folder, 0755, error);
    if (status == FW_OK) status = fw_folder_sync(env, data_folder, error);
    if (status == FW_OK) status = fw_file_write_durable(env, path, text, strlen(text), error);
    free(text);
    return status;
}

/* Name, key and signature of one tombstone; the statement is cut off at its line's end. */
static bool tombstone_valid(EVP_PKEY *key, const char *id, char *text) {
    unsigned char signature[SIGNATURE_BYTES];
    char *end = strchr(text, '\n');
    if (!end) return false;
    *end = '\0';
    json_t *json = fw_json_load_text(end + 1);
    bool good = from_hex(json_string_value(json_object_get(json, "signature")), signature,
                         sizeof signature);
    json_decref(json);
    fw_hash hash = fw_hash_bytes(text, strlen(text));
    return good && key && strcmp(hash.hex, id) == 0 && verify(key, text, signature);
}

static fw_status visit_file(const char *folder, const char *name, EVP_PKEY *key,
                            fw_tombstone_visit visit, void *self, fw_error *error) {
    char path[FW_PATH_MAX + 80], id[FW_HASH_HEX + 1], *text;
    size_t size;
    if (strlen(name) != FW_HASH_HEX + 5 || strcmp(name + FW_HASH_HEX, ".json") != 0) return FW_OK;
    snprintf(id, sizeof id, "%.64s", name);
    snprintf(path, sizeof path, "%s/%.70s", folder, name);
    FW_TRY(fw_file_read(path, FW_TOMBSTONE_MAX_BYTES, &text, &size, error));
    bool valid = strlen(text) == size && tombstone_valid(key, id, text);
    fw_status status = visit(self, id, text, valid, error);
    free(text);
    return status;
}

fw_status fw_tombstone_each(const char *data_folder, fw_tombstone_visit visit, void *self,
                            fw_error *error) {
    char folder[FW_PATH_MAX];
    struct dirent **names = NULL;
    EVP_PKEY *key = NULL;
    fw_error why;
    fw_path_join(folder, sizeof folder, data_folder, "tombstones");
    int count = scandir(folder, &names, NULL, alphasort);
    if (count < 0)
        return errno == ENOENT ? FW_OK : fw_fail_errno(error, "cannot read %s", folder);
    if (read_key(data_folder, "erase.pub", false, &key, &why) != FW_OK) key = NULL;
    fw_status status = FW_OK;
    for (int i = 0; i < count; i++) {
        if (status == FW_OK)
            status = visit_file(folder, names[i]->d_name, key, visit, self, error);
        free(names[i]);
    }
    free(names);
    EVP_PKEY_free(key);
    return status;
}
