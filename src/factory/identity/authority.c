#include "factory/identity/authority.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    CA_DAYS = 7300,
    DAY_S = 86400,
    SERIAL_BITS = 127,
    RENEW_DAYS = 30,
    PEM_MAX_BYTES = 1 << 16,
    KEY_MIN_BITS = 112 /* of security */
};

/* ---- files ---- */

fw_status fw_authority_write(const fw_env *env, const char *folder, const char *name,
                             const char *text, unsigned mode, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, folder, name);
    return fw_file_write_mode(env, path, text, strlen(text), mode, error);
}

static char *text_of(BIO *bio) {
    char *bytes = NULL;
    long size = bio ? BIO_get_mem_data(bio, &bytes) : 0;
    char *text = size > 0 ? malloc((size_t)size + 1) : NULL;
    if (text) {
        memcpy(text, bytes, (size_t)size);
        text[size] = '\0';
    }
    BIO_free(bio);
    return text;
}

char *fw_authority_cert_pem(X509 *cert) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && PEM_write_bio_X509(bio, cert) != 1) {
        BIO_free(bio);
        bio = NULL;
    }
    return text_of(bio);
}

char *fw_authority_key_pem(EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        BIO_free(bio);
        bio = NULL;
    }
    return text_of(bio);
}

/* ---- what a certificate says ---- */

fw_hash fw_authority_fingerprint(const X509 *cert) {
    fw_hash hash = {""};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(cert, EVP_sha256(), digest, &size) != 1) return hash;
    for (unsigned i = 0; i < size && i < FW_HASH_HEX / 2; i++)
        snprintf(hash.hex + 2 * i, 3, "%02x", digest[i]);
    return hash;
}

int64_t fw_authority_not_after_ns(const X509 *cert) {
    struct tm utc = {0};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &utc) != 1) return 0;
    return (int64_t)timegm(&utc) * 1000000000;
}

void fw_authority_serial(const X509 *cert, char out[48]) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    snprintf(out, 48, "%s", hex ? hex : "");
    OPENSSL_free(hex);
    BN_free(number);
}

bool fw_authority_covers(const fw_authority *authority, X509 *cert, const char *const *names) {
    int64_t left_ns = fw_authority_not_after_ns(cert) - fw_env_wall_ns(authority->env);
    if (left_ns < RENEW_DAYS * DAY_S * INT64_C(1000000000)) return false;
    if (X509_verify(cert, authority->key) != 1) return false;
    for (; *names; names++)
        if (X509_check_ip_asc(cert, *names, 0) != 1 &&
            X509_check_host(cert, *names, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1)
            return false;
    return true;
}

/* ---- making ---- */

fw_status fw_authority_new_key(EVP_PKEY **out, fw_error *error) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key) return fw_fail(error, FW_NO_MEMORY, "OpenSSL makes no key");
    *out = key;
    return FW_OK;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* One name or address; built by hand, so that a name cannot bring syntax of its own. */
static bool push_name(GENERAL_NAMES *all, const char *name) {
    unsigned char bytes[16];
    bool v4 = inet_pton(AF_INET, name, bytes) == 1,
         v6 = !v4 && inet_pton(AF_INET6, name, bytes) == 1;
    GENERAL_NAME *entry = GENERAL_NAME_new();
    ASN1_STRING *text = v4 || v6 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool good = entry && text &&
                ASN1_STRING_set(text, v4 || v6 ? (const void *)bytes : name,
                                v4   ? 4
                                : v6 ? 16
                                     : (int)strlen(name)) == 1;
    if (good) GENERAL_NAME_set0_value(entry, v4 || v6 ? GEN_IPADD : GEN_DNS, text);
    if (good && sk_GENERAL_NAME_push(all, entry) > 0) return true;
    if (!good) ASN1_STRING_free(text);
    GENERAL_NAME_free(entry);
    return false;
}

static bool add_names(X509 *cert, const char *const *names) {
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    bool good = all != NULL;
    for (; good && *names; names++) good = push_name(all, *names);
    good = good && X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, 0) == 1;
    GENERAL_NAMES_free(all);
    return good;
}

static bool set_serial(X509 *cert) {
    BIGNUM *number = BN_new();
    bool good = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

/* Version, serial number, names, dates and key; from a day before now. */
static bool set_basics(const fw_env *env, X509 *cert, X509_NAME *issuer, const char *common_name,
                       EVP_PKEY *key, int days) {
    time_t now = (time_t)(fw_env_wall_ns(env) / 1000000000);
    X509_NAME *subject = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                      (const unsigned char *)common_name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, issuer ? issuer : subject) == 1 &&
           X509_time_adj_ex(X509_getm_notBefore(cert), -1, 0, &now) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, &now) != NULL &&
           X509_set_pubkey(cert, key) == 1;
}

fw_status fw_authority_sign(const fw_authority *authority, const char *common_name, EVP_PKEY *key,
                            int days, const char *const *names, X509 **out, fw_error *error) {
    X509 *cert = X509_new(), *ca = authority->cert;
    bool good =
        cert &&
        set_basics(authority->env, cert, X509_get_subject_name(ca), common_name, key, days) &&
        add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") &&
        add_extension(cert, ca, NID_ext_key_usage, names ? "serverAuth" : "clientAuth") &&
        add_extension(cert, ca, NID_subject_key_identifier, "hash") &&
        add_extension(cert, ca, NID_authority_key_identifier, "keyid") &&
        (!names || add_names(cert, names)) && X509_sign(cert, authority->key, EVP_sha256()) > 0;
    if (!good) {
        X509_free(cert);
        return fw_fail(error, FW_INVALID, "OpenSSL makes no certificate for '%s'", common_name);
    }
    *out = cert;
    return FW_OK;
}

fw_status fw_authority_read_request(const char *pem, EVP_PKEY **key, char name[64],
                                    fw_error *error) {
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!request) return fw_fail(error, FW_INVALID, "the file holds no certificate request (PEM)");
    EVP_PKEY *found = X509_REQ_get_pubkey(request);
    fw_status status = FW_OK;
    name[0] = '\0';
    if (!found || X509_REQ_verify(request, found) != 1)
        status = fw_fail(error, FW_INVALID, "the request is not signed with its own key");
    else if (EVP_PKEY_get_security_bits(found) < KEY_MIN_BITS)
        status = fw_fail(error, FW_INVALID, "the request's key is too weak; take ECDSA P-256");
    else if (X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, name,
                                       64) < 0)
        name[0] = '\0';
    X509_REQ_free(request);
    if (status != FW_OK) {
        EVP_PKEY_free(found);
        return status;
    }
    *key = found;
    return FW_OK;
}

/* ---- the authority itself ---- */

static fw_status make_authority(fw_authority *a, fw_error *error) {
    unsigned char salt[4];
    char name[64];
    FW_TRY(fw_authority_new_key(&a->key, error));
    if (RAND_bytes(salt, sizeof salt) != 1) return fw_fail(error, FW_IO, "no random numbers");
    snprintf(name, sizeof name, "Flywheel factory %02x%02x%02x%02x", salt[0], salt[1], salt[2],
             salt[3]);
    a->cert = X509_new();
    bool good =
        a->cert && set_basics(a->env, a->cert, NULL, name, a->key, CA_DAYS) &&
        add_extension(a->cert, a->cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(a->cert, a->cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(a->cert, a->cert, NID_subject_key_identifier, "hash") &&
        X509_sign(a->cert, a->key, EVP_sha256()) > 0;
    if (!good) return fw_fail(error, FW_NO_MEMORY, "OpenSSL makes no authority");
    char *key = fw_authority_key_pem(a->key), *cert = fw_authority_cert_pem(a->cert);
    fw_status status = key && cert ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a key");
    if (status == FW_OK) /* the key first: a certificate alone would be of no use */
        status = fw_authority_write(a->env, a->folder, "ca.key", key, 0600, error);
    if (status == FW_OK)
        status = fw_authority_write(a->env, a->folder, "ca.pem", cert, 0644, error);
    if (key) OPENSSL_cleanse(key, strlen(key));
    free(key);
    free(cert);
    return status;
}

static fw_status read_authority(fw_authority *a, fw_error *error) {
    char path[FW_PATH_MAX], *key = NULL, *cert = NULL;
    size_t size;
    fw_path_join(path, sizeof path, a->folder, "ca.key");
    FW_TRY(fw_file_read(path, PEM_MAX_BYTES, &key, &size, error));
    fw_path_join(path, sizeof path, a->folder, "ca.pem");
    fw_status status = fw_file_read(path, PEM_MAX_BYTES, &cert, &size, error);
    if (status == FW_OK) {
        BIO *key_bio = BIO_new_mem_buf(key, -1), *cert_bio = BIO_new_mem_buf(cert, -1);
        a->key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, (void *)"") : NULL;
        a->cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, NULL, NULL) : NULL;
        BIO_free(key_bio);
        BIO_free(cert_bio);
        if (!a->key || !a->cert || X509_check_private_key(a->cert, a->key) != 1)
            status = fw_fail(error, FW_CORRUPT,
                             "%s and ca.key are no pair of certificate and key; bring them back "
                             "from a backup, or remove both and enroll every unit again",
                             path);
    }
    OPENSSL_cleanse(key, strlen(key));
    free(key);
    free(cert);
    return status;
}

fw_status fw_authority_open(const fw_env *env, const char *data_folder, fw_authority *out,
                            fw_error *error) {
    char path[FW_PATH_MAX];
    fw_authority a = {.env = env, .lock_fd = -1};
    if (strlen(data_folder) > FW_PATH_MAX / 2)
        return fw_fail(error, FW_TOO_BIG, "the path of the data folder is too long");
    fw_path_join(a.folder, sizeof a.folder, data_folder, "identity");
    FW_TRY(fw_folder_make(a.folder, 0755, error));
    fw_path_join(path, sizeof path, a.folder, "lock");
    a.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (a.lock_fd < 0 || flock(a.lock_fd, LOCK_EX) != 0) {
        if (a.lock_fd >= 0) close(a.lock_fd);
        return fw_fail_errno(error, "cannot write in %s", a.folder);
    }
    fw_path_join(path, sizeof path, a.folder, "ca.pem");
    fw_status status = fw_file_exists(path) ? read_authority(&a, error) : make_authority(&a, error);
    if (status != FW_OK) {
        fw_authority_close(&a);
        return status;
    }
    *out = a;
    return FW_OK;
}

void fw_authority_close(fw_authority *authority) {
    EVP_PKEY_free(authority->key);
    X509_free(authority->cert);
    if (authority->lock_fd >= 0) close(authority->lock_fd);
    *authority = (fw_authority){.lock_fd = -1};
}
