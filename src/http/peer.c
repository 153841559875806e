/* peer.c - what a client's certificate says, once GnuTLS has found it good. */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

#include "http/server_inner.h"

enum { DIGEST_BYTES = 32 };

static void refuse(fw_http_peer *peer, const char *why) {
    snprintf(peer->refused, sizeof peer->refused, "%s", why);
}

/* The first thing wrong, in words; NULL when nothing is. */
static const char *wrong_with(gnutls_session_t session) {
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status = 0;
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) != GNUTLS_E_SUCCESS)
        return "the certificate cannot be checked";
    if (status == 0) return NULL;
    if (status & GNUTLS_CERT_EXPIRED) return "the certificate has expired; enroll the unit again";
    if (status & GNUTLS_CERT_NOT_ACTIVATED)
        return "the certificate is not valid yet: is a clock wrong?";
    if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
        return "the certificate was not made by this factory; enroll the unit here";
    if (status & GNUTLS_CERT_PURPOSE_MISMATCH) return "the certificate is not one for clients";
    return "the certificate is not valid";
}

static const char *read_certificate(const gnutls_datum_t *der, fw_http_peer *peer) {
    gnutls_x509_crt_t certificate;
    unsigned char digest[DIGEST_BYTES];
    size_t digest_bytes = sizeof digest, name_bytes = sizeof peer->name;
    char name[sizeof peer->name];
    const char *why = NULL;
    if (gnutls_x509_crt_init(&certificate) != GNUTLS_E_SUCCESS) return "no memory";
    if (gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) != GNUTLS_E_SUCCESS ||
        gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, digest, &digest_bytes) !=
            GNUTLS_E_SUCCESS ||
        digest_bytes != DIGEST_BYTES)
        why = "the certificate cannot be read";
    else if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
                                           &name_bytes) != GNUTLS_E_SUCCESS ||
             name_bytes == 0 || strlen(name) != name_bytes)
        why = "the certificate has no common name that fits";
    gnutls_x509_crt_deinit(certificate);
    if (why) return why;
    for (int i = 0; i < DIGEST_BYTES; i++)
        snprintf(peer->fingerprint + 2 * i, 3, "%02x", digest[i]);
    snprintf(peer->name, sizeof peer->name, "%s", name);
    return NULL;
}

void fw_http_peer_identify(struct MHD_Connection *native, fw_http_peer *peer) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(native, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (!info || !info->tls_session) return;
    gnutls_session_t session = info->tls_session;
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (!chain || count == 0) return; /* it showed none */
    const char *why = wrong_with(session);
    if (!why) why = read_certificate(&chain[0], peer);
    if (why) refuse(peer, why);
}
