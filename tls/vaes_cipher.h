/* SPDX-License-Identifier: Apache-2.0 */
/* The two ciphers of the VAES provider, as OpenSSL calls them. */
#ifndef TLS_VAES_CIPHER_H
#define TLS_VAES_CIPHER_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>

#include "tls/vaes_gcm.h"

/* TLS 1.2: what a record's additional data are, and the part of the IV that each record carries. */
#define VAES_CIPHER_TLS_AAD_BYTES 13u
#define VAES_CIPHER_TLS_IV_BYTES 8u
#define VAES_CIPHER_TLS_OVERHEAD (VAES_CIPHER_TLS_IV_BYTES + VAES_GCM_TAG_BYTES)

/* What all ciphers of one provider share: made with it, then only read. */
struct vaes_provider {
    OSSL_LIB_CTX *context; /* whose random numbers IVs are made of */
    IMB_MGR *library;
    struct vaes_gcm_calls aes128;
    struct vaes_gcm_calls aes256;
};

struct vaes_cipher {
    struct vaes_gcm gcm;
    const struct vaes_provider *provider;
    void *block;        /* where the memory of this begins */
    uint64_t records;   /* of TLS 1.2, sealed under this key */
    uint32_t tag_bytes; /* 0: none was set */
    bool iv_generated;  /* the IV has a fixed part, and a counter */
    bool tls_aad_set;
    uint8_t tag[VAES_GCM_TAG_BYTES];
    uint8_t tls_aad[VAES_CIPHER_TLS_AAD_BYTES];
};

/* Parameters, as OpenSSL passes them: 0 for a value that cannot be, and what is not ours is ignored. */
int vaes_cipher_set(void *context, const OSSL_PARAM params[]);
int vaes_cipher_get(void *context, OSSL_PARAM params[]);
const OSSL_PARAM *vaes_cipher_settable(void *context, void *provider);
const OSSL_PARAM *vaes_cipher_gettable(void *context, void *provider);
/* What a cipher of that key size is. */
int vaes_cipher_describe(OSSL_PARAM params[], uint32_t key_bytes);
const OSSL_PARAM *vaes_cipher_describable(void *provider);

/* A record of TLS 1.2 brings the end of its IV along: continue with it, opening, or make the next one, sealing. */
bool vaes_cipher_iv_rest(struct vaes_cipher *cipher, const uint8_t *from, size_t bytes);
bool vaes_cipher_iv_next(struct vaes_cipher *cipher, uint8_t to[VAES_CIPHER_TLS_IV_BYTES]);

extern const OSSL_DISPATCH vaes_cipher_aes128[];
extern const OSSL_DISPATCH vaes_cipher_aes256[];

#endif
