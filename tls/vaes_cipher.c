/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM as libssl wants a provider's cipher to be: initialised piece by piece, told by parameters, a record of
 * TLS 1.3 in four calls, a record of TLS 1.2 in one.
 *
 * Happy path: new, key, then for each record IV, AAD, data and tag.  Failure modes: what the mode does not allow, and a
 * tag that does not fit: 0, and libssl ends the connection.  All state is in one block, wiped when it is freed. */
#include "tls/vaes_cipher.h"

#include <string.h>

#include <openssl/crypto.h>

static struct vaes_cipher *cipher_allocate(void)
{
    size_t alignment = _Alignof(struct vaes_cipher);
    void *block = OPENSSL_malloc(sizeof(struct vaes_cipher) + alignment);
    if (block == NULL) {
        return NULL;
    }
    uint8_t *aligned = (uint8_t *)block + (alignment - (uintptr_t)block % alignment);
    struct vaes_cipher *cipher = (void *)aligned;
    memset(cipher, 0, sizeof *cipher);
    cipher->block = block;
    return cipher;
}

static void *cipher_new(const struct vaes_provider *provider, const struct vaes_gcm_calls *calls)
{
    struct vaes_cipher *cipher = cipher_allocate();
    if (cipher != NULL) {
        cipher->provider = provider;
        vaes_gcm_init(&cipher->gcm, calls);
    }
    return cipher;
}

static void *cipher_new_aes128(void *provider)
{
    return cipher_new(provider, &((const struct vaes_provider *)provider)->aes128);
}

static void *cipher_new_aes256(void *provider)
{
    return cipher_new(provider, &((const struct vaes_provider *)provider)->aes256);
}

static void cipher_free(void *context)
{
    struct vaes_cipher *cipher = context;
    if (cipher != NULL) {
        void *block = cipher->block;
        OPENSSL_cleanse(cipher, sizeof *cipher);
        OPENSSL_free(block);
    }
}

static void *cipher_dup(void *context)
{
    struct vaes_cipher *made = cipher_allocate();
    if (made != NULL) {
        void *block = made->block;
        *made = *(const struct vaes_cipher *)context;
        made->block = block;
    }
    return made;
}

/* --- one message --- */

static int cipher_init(struct vaes_cipher *cipher, bool encrypts, const uint8_t *key, size_t key_bytes,
                       const uint8_t *iv, size_t iv_bytes, const OSSL_PARAM params[])
{
    cipher->gcm.encrypts = encrypts;
    if (iv != NULL) {
        if (!vaes_gcm_iv_bytes(&cipher->gcm, iv_bytes)) {
            return 0;
        }
        vaes_gcm_iv(&cipher->gcm, iv);
    }
    if (key != NULL) {
        if (key_bytes != cipher->gcm.calls->key_bytes) {
            return 0;
        }
        vaes_gcm_key(&cipher->gcm, key);
        cipher->records = 0;
    }
    return vaes_cipher_set(cipher, params);
}

static int cipher_encrypt_init(void *context, const unsigned char *key, size_t key_bytes, const unsigned char *iv,
                               size_t iv_bytes, const OSSL_PARAM params[])
{
    return cipher_init(context, true, key, key_bytes, iv, iv_bytes, params);
}

static int cipher_decrypt_init(void *context, const unsigned char *key, size_t key_bytes, const unsigned char *iv,
                               size_t iv_bytes, const OSSL_PARAM params[])
{
    return cipher_init(context, false, key, key_bytes, iv, iv_bytes, params);
}

/* Whose tag was checked, or made. */
static bool cipher_tag_right(struct vaes_cipher *cipher, const uint8_t *made, const uint8_t *expected, uint32_t bytes)
{
    return cipher->gcm.encrypts || CRYPTO_memcmp(made, expected, bytes) == 0;
}

static bool cipher_seal_record(struct vaes_cipher *cipher, uint8_t *record, size_t bytes)
{
    if (!vaes_cipher_iv_next(cipher, record)) {
        return false;
    }
    uint8_t *data = record + VAES_CIPHER_TLS_IV_BYTES;
    return vaes_gcm_whole(&cipher->gcm, cipher->tls_aad, VAES_CIPHER_TLS_AAD_BYTES, data, data, bytes, data + bytes);
}

static bool cipher_open_record(struct vaes_cipher *cipher, uint8_t *record, size_t bytes)
{
    uint8_t *data = record + VAES_CIPHER_TLS_IV_BYTES;
    uint8_t tag[VAES_GCM_TAG_BYTES];
    if (!vaes_cipher_iv_rest(cipher, record, VAES_CIPHER_TLS_IV_BYTES) ||
        !vaes_gcm_whole(&cipher->gcm, cipher->tls_aad, VAES_CIPHER_TLS_AAD_BYTES, data, data, bytes, tag)) {
        return false;
    }
    bool right = cipher_tag_right(cipher, tag, data + bytes, VAES_GCM_TAG_BYTES);
    OPENSSL_cleanse(tag, sizeof tag);
    if (!right) {
        OPENSSL_cleanse(data, bytes);
    }
    return right;
}

/* A record of TLS 1.2, in place: its part of the IV, the data, the tag. */
static bool cipher_record(struct vaes_cipher *cipher, uint8_t *to, size_t *to_bytes, const uint8_t *from, size_t bytes)
{
    cipher->tls_aad_set = false;
    if (to != from || bytes < VAES_CIPHER_TLS_OVERHEAD) {
        return false;
    }
    size_t inside = bytes - VAES_CIPHER_TLS_OVERHEAD;
    bool encrypts = cipher->gcm.encrypts;
    if (!(encrypts ? cipher_seal_record(cipher, to, inside) : cipher_open_record(cipher, to, inside))) {
        return false;
    }
    *to_bytes = encrypts ? bytes : inside;
    return true;
}

static int cipher_update(void *context, unsigned char *to, size_t *to_bytes, size_t room, const unsigned char *from,
                         size_t bytes)
{
    struct vaes_cipher *cipher = context;
    *to_bytes = 0;
    if (bytes == 0 && !cipher->tls_aad_set) {
        return 1;
    }
    if (to != NULL && room < bytes) {
        return 0;
    }
    if (cipher->tls_aad_set) {
        return cipher_record(cipher, to, to_bytes, from, bytes);
    }
    if (!cipher->gcm.key_set ||
        !(to == NULL ? vaes_gcm_aad(&cipher->gcm, from, bytes) : vaes_gcm_update(&cipher->gcm, to, from, bytes))) {
        return 0;
    }
    *to_bytes = bytes;
    return 1;
}

static int cipher_final(void *context, unsigned char *to, size_t *to_bytes, size_t room)
{
    struct vaes_cipher *cipher = context;
    uint8_t tag[VAES_GCM_TAG_BYTES];
    (void)to;
    (void)room;
    *to_bytes = 0;
    if ((!cipher->gcm.encrypts && cipher->tag_bytes == 0) || !vaes_gcm_tag(&cipher->gcm, tag)) {
        return 0;
    }
    bool right = cipher_tag_right(cipher, tag, cipher->tag, cipher->tag_bytes);
    if (cipher->gcm.encrypts) {
        memcpy(cipher->tag, tag, sizeof tag);
        cipher->tag_bytes = sizeof tag;
    }
    OPENSSL_cleanse(tag, sizeof tag);
    return right;
}

/* Without a buffer of its own, the whole-message call is an update, or with nothing to add the end. */
static int cipher_whole(void *context, unsigned char *to, size_t *to_bytes, size_t room, const unsigned char *from,
                        size_t bytes)
{
    return from == NULL ? cipher_final(context, to, to_bytes, room)
                        : cipher_update(context, to, to_bytes, room, from, bytes);
}

static int cipher_describe_aes128(OSSL_PARAM params[])
{
    return vaes_cipher_describe(params, 16);
}

static int cipher_describe_aes256(OSSL_PARAM params[])
{
    return vaes_cipher_describe(params, 32);
}

#define CIPHER(number_, bits_)                                                                                         \
    {                                                                                                                  \
        number_, (void (*)(void))(bits_)                                                                               \
    }
#define CIPHERS_SHARED                                                                                                 \
    CIPHER(OSSL_FUNC_CIPHER_FREECTX, cipher_free), CIPHER(OSSL_FUNC_CIPHER_DUPCTX, cipher_dup),                        \
        CIPHER(OSSL_FUNC_CIPHER_ENCRYPT_INIT, cipher_encrypt_init),                                                    \
        CIPHER(OSSL_FUNC_CIPHER_DECRYPT_INIT, cipher_decrypt_init), CIPHER(OSSL_FUNC_CIPHER_UPDATE, cipher_update),    \
        CIPHER(OSSL_FUNC_CIPHER_FINAL, cipher_final), CIPHER(OSSL_FUNC_CIPHER_CIPHER, cipher_whole),                   \
        CIPHER(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, vaes_cipher_get),                                                      \
        CIPHER(OSSL_FUNC_CIPHER_SET_CTX_PARAMS, vaes_cipher_set),                                                      \
        CIPHER(OSSL_FUNC_CIPHER_GETTABLE_PARAMS, vaes_cipher_describable),                                             \
        CIPHER(OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, vaes_cipher_gettable),                                            \
        CIPHER(OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, vaes_cipher_settable)

const OSSL_DISPATCH vaes_cipher_aes128[] = {
    CIPHER(OSSL_FUNC_CIPHER_NEWCTX, cipher_new_aes128),
    CIPHER(OSSL_FUNC_CIPHER_GET_PARAMS, cipher_describe_aes128),
    CIPHERS_SHARED,
    {0, NULL},
};

const OSSL_DISPATCH vaes_cipher_aes256[] = {
    CIPHER(OSSL_FUNC_CIPHER_NEWCTX, cipher_new_aes256),
    CIPHER(OSSL_FUNC_CIPHER_GET_PARAMS, cipher_describe_aes256),
    CIPHERS_SHARED,
    {0, NULL},
};
