/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of the VAES ciphers.  Happy path: the array is walked once, comparing names; libssl passes one or two
 * of them per record.  Failure modes: a value of the wrong kind or size is refused, and nothing changes. */
#include "tls/vaes_cipher.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

/* The shortest part of an IV that all records of a connection share. */
#define IV_FIXED_BYTES_MIN 4u

static bool param_size(const OSSL_PARAM *param, size_t *value)
{
    return OSSL_PARAM_get_size_t(param, value) == 1;
}

static bool cipher_set_tag(struct vaes_cipher *cipher, const OSSL_PARAM *param)
{
    if (param->data_type != OSSL_PARAM_OCTET_STRING || param->data == NULL || cipher->gcm.encrypts ||
        param->data_size == 0 || param->data_size > VAES_GCM_TAG_BYTES) {
        return false;
    }
    memcpy(cipher->tag, param->data, param->data_size);
    cipher->tag_bytes = (uint32_t)param->data_size;
    return true;
}

/* The header of a record of TLS 1.2; its length field counts what surrounds the data, and must not. */
static bool cipher_set_tls_aad(struct vaes_cipher *cipher, const OSSL_PARAM *param)
{
    if (param->data_type != OSSL_PARAM_OCTET_STRING || param->data == NULL ||
        param->data_size != VAES_CIPHER_TLS_AAD_BYTES) {
        return false;
    }
    const uint8_t *from = param->data;
    uint32_t bytes = (uint32_t)from[VAES_CIPHER_TLS_AAD_BYTES - 2] << 8 | from[VAES_CIPHER_TLS_AAD_BYTES - 1];
    uint32_t around = cipher->gcm.encrypts ? VAES_CIPHER_TLS_IV_BYTES : VAES_CIPHER_TLS_OVERHEAD;
    if (bytes < around) {
        return false;
    }
    bytes -= around;
    memcpy(cipher->tls_aad, from, VAES_CIPHER_TLS_AAD_BYTES);
    cipher->tls_aad[VAES_CIPHER_TLS_AAD_BYTES - 2] = (uint8_t)(bytes >> 8);
    cipher->tls_aad[VAES_CIPHER_TLS_AAD_BYTES - 1] = (uint8_t)bytes;
    cipher->tls_aad_set = true;
    return true;
}

/* The part of the IV that all records share; the rest counts up from a random value. */
static bool cipher_set_iv_fixed(struct vaes_cipher *cipher, const OSSL_PARAM *param)
{
    struct vaes_gcm *gcm = &cipher->gcm;
    uint8_t iv[VAES_GCM_IV_BYTES_MAX];
    if (param->data_type != OSSL_PARAM_OCTET_STRING || param->data == NULL) {
        return false;
    }
    size_t bytes = param->data_size == SIZE_MAX ? gcm->iv_bytes : param->data_size;
    if (bytes > gcm->iv_bytes ||
        (bytes < gcm->iv_bytes && (bytes < IV_FIXED_BYTES_MIN || gcm->iv_bytes - bytes < VAES_CIPHER_TLS_IV_BYTES))) {
        return false;
    }
    memcpy(iv, gcm->iv, gcm->iv_bytes);
    memcpy(iv, param->data, bytes);
    if (bytes < gcm->iv_bytes && gcm->encrypts &&
        RAND_bytes_ex(cipher->provider->context, iv + bytes, gcm->iv_bytes - bytes, 0) != 1) {
        return false;
    }
    vaes_gcm_iv(gcm, iv);
    cipher->iv_generated = true;
    return true;
}

/* The part of the IV that a record brought along. */
bool vaes_cipher_iv_rest(struct vaes_cipher *cipher, const uint8_t *from, size_t bytes)
{
    struct vaes_gcm *gcm = &cipher->gcm;
    uint8_t iv[VAES_GCM_IV_BYTES_MAX];
    if (!cipher->iv_generated || !gcm->key_set || gcm->encrypts || bytes == 0 || bytes > gcm->iv_bytes) {
        return false;
    }
    memcpy(iv, gcm->iv, gcm->iv_bytes);
    memcpy(iv + gcm->iv_bytes - bytes, from, bytes);
    vaes_gcm_iv(gcm, iv);
    return true;
}

static bool cipher_set_param(struct vaes_cipher *cipher, const OSSL_PARAM *param)
{
    size_t size;
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_TAG) == 0) {
        return cipher_set_tag(cipher, param);
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD) == 0) {
        return cipher_set_tls_aad(cipher, param);
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_IVLEN) == 0) {
        return param_size(param, &size) && vaes_gcm_iv_bytes(&cipher->gcm, size);
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED) == 0) {
        return cipher_set_iv_fixed(cipher, param);
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV) == 0) {
        return param->data_type == OSSL_PARAM_OCTET_STRING && param->data != NULL &&
               vaes_cipher_iv_rest(cipher, param->data, param->data_size);
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_KEYLEN) == 0) {
        return param_size(param, &size) && size == cipher->gcm.calls->key_bytes;
    }
    return true; /* libssl also tells what only other ciphers need */
}

int vaes_cipher_set(void *context, const OSSL_PARAM params[])
{
    for (const OSSL_PARAM *param = params; param != NULL && param->key != NULL; param++) {
        if (!cipher_set_param(context, param)) {
            return 0;
        }
    }
    return 1;
}

static bool cipher_get_tag(const struct vaes_cipher *cipher, OSSL_PARAM *param)
{
    return cipher->gcm.encrypts && cipher->gcm.state == VAES_GCM_DONE && param->data_size > 0 &&
           param->data_size <= VAES_GCM_TAG_BYTES &&
           OSSL_PARAM_set_octet_string(param, cipher->tag, param->data_size) == 1;
}

static bool cipher_get_iv(const struct vaes_cipher *cipher, OSSL_PARAM *param)
{
    const struct vaes_gcm *gcm = &cipher->gcm;
    return gcm->state != VAES_GCM_NO_IV && (OSSL_PARAM_set_octet_string(param, gcm->iv, gcm->iv_bytes) == 1 ||
                                            OSSL_PARAM_set_octet_ptr(param, gcm->iv, gcm->iv_bytes) == 1);
}

/* The whole IV of the next record is kept, and counts up as eight bytes of a big number when it is used. */
bool vaes_cipher_iv_next(struct vaes_cipher *cipher, uint8_t to[VAES_CIPHER_TLS_IV_BYTES])
{
    struct vaes_gcm *gcm = &cipher->gcm;
    uint8_t iv[VAES_GCM_IV_BYTES_MAX];
    if (!cipher->iv_generated || !gcm->key_set || gcm->iv_bytes < VAES_CIPHER_TLS_IV_BYTES) {
        return false;
    }
    memcpy(iv, gcm->iv, gcm->iv_bytes);
    uint8_t *counter = iv + gcm->iv_bytes - VAES_CIPHER_TLS_IV_BYTES;
    if (cipher->records > 0) {
        for (uint32_t i = VAES_CIPHER_TLS_IV_BYTES; i > 0 && ++counter[i - 1] == 0; i--) {
        }
    }
    cipher->records++;
    vaes_gcm_iv(gcm, iv);
    memcpy(to, counter, VAES_CIPHER_TLS_IV_BYTES);
    return cipher->records != 0;
}

static bool cipher_get_param(struct vaes_cipher *cipher, OSSL_PARAM *param)
{
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_TAG) == 0) {
        return cipher_get_tag(cipher, param);
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD) == 0) {
        return OSSL_PARAM_set_size_t(param, cipher->tls_aad_set ? VAES_GCM_TAG_BYTES : 0) == 1;
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_IVLEN) == 0) {
        return OSSL_PARAM_set_size_t(param, cipher->gcm.iv_bytes) == 1;
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_KEYLEN) == 0) {
        return OSSL_PARAM_set_size_t(param, cipher->gcm.calls->key_bytes) == 1;
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_AEAD_TAGLEN) == 0) {
        return OSSL_PARAM_set_size_t(param, cipher->tag_bytes > 0 ? cipher->tag_bytes : VAES_GCM_TAG_BYTES) == 1;
    }
    if (strcmp(param->key, OSSL_CIPHER_PARAM_IV) == 0 || strcmp(param->key, OSSL_CIPHER_PARAM_UPDATED_IV) == 0) {
        return cipher_get_iv(cipher, param);
    }
    return true;
}

int vaes_cipher_get(void *context, OSSL_PARAM params[])
{
    for (OSSL_PARAM *param = params; param != NULL && param->key != NULL; param++) {
        if (!cipher_get_param(context, param)) {
            return 0;
        }
    }
    return 1;
}

int vaes_cipher_describe(OSSL_PARAM params[], uint32_t key_bytes)
{
    const struct {
        const char *key;
        size_t value;
    } sizes[] = {
        {OSSL_CIPHER_PARAM_KEYLEN, key_bytes},
        {OSSL_CIPHER_PARAM_IVLEN, VAES_GCM_IV_BYTES},
        {OSSL_CIPHER_PARAM_BLOCK_SIZE, 1},
    };
    const struct {
        const char *key;
        int value;
    } flags[] = {
        {OSSL_CIPHER_PARAM_AEAD, 1},         {OSSL_CIPHER_PARAM_CUSTOM_IV, 1},
        {OSSL_CIPHER_PARAM_CTS, 0},          {OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, 0},
        {OSSL_CIPHER_PARAM_HAS_RAND_KEY, 0},
    };
    OSSL_PARAM *param = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);
    bool told = param == NULL || OSSL_PARAM_set_uint(param, EVP_CIPH_GCM_MODE) == 1;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        param = OSSL_PARAM_locate(params, sizes[i].key);
        told = told && (param == NULL || OSSL_PARAM_set_size_t(param, sizes[i].value) == 1);
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        param = OSSL_PARAM_locate(params, flags[i].key);
        told = told && (param == NULL || OSSL_PARAM_set_int(param, flags[i].value) == 1);
    }
    return told;
}

const OSSL_PARAM *vaes_cipher_describable(void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_uint(OSSL_CIPHER_PARAM_MODE, NULL),        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),     OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_BLOCK_SIZE, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_AEAD, NULL),         OSSL_PARAM_int(OSSL_CIPHER_PARAM_CUSTOM_IV, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_CTS, NULL),          OSSL_PARAM_int(OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_HAS_RAND_KEY, NULL), OSSL_PARAM_END,
    };
    (void)provider;
    return params;
}

const OSSL_PARAM *vaes_cipher_gettable(void *context, void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_IV, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_UPDATED_IV, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, NULL),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return params;
}

const OSSL_PARAM *vaes_cipher_settable(void *context, void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return params;
}
