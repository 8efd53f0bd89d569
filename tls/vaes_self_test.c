/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the provider for answers that are known before anything is entrusted to it: a published message per key size,
 * and a long one, for which the code is another, that the default provider seals as well. */
#include <string.h>

#include <openssl/evp.h>

#include "tls/openssl_vaes.h"
#include "tls/vaes_gcm.h"

#define KNOWN_BYTES 60u
#define LONG_BYTES 2049u /* all widths of the code, and a rest */

static const uint8_t known_iv[VAES_GCM_IV_BYTES] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
                                                    0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
static const uint8_t known_aad[] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                                    0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
static const uint8_t known_key[32] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f,
                                      0x94, 0x67, 0x30, 0x83, 0x08, 0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65,
                                      0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
static const uint8_t known_plain[KNOWN_BYTES] = {
    0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26,
    0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31,
    0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49,
    0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
static const uint8_t known_sealed128[KNOWN_BYTES + VAES_GCM_TAG_BYTES] = {
    0x42, 0x83, 0x1e, 0xc2, 0x21, 0x77, 0x74, 0x24, 0x4b, 0x72, 0x21, 0xb7, 0x84, 0xd0, 0xd4, 0x9c, 0xe3, 0xaa, 0x21,
    0x2f, 0x2c, 0x02, 0xa4, 0xe0, 0x35, 0xc1, 0x7e, 0x23, 0x29, 0xac, 0xa1, 0x2e, 0x21, 0xd5, 0x14, 0xb2, 0x54, 0x66,
    0x93, 0x1c, 0x7d, 0x8f, 0x6a, 0x5a, 0xac, 0x84, 0xaa, 0x05, 0x1b, 0xa3, 0x0b, 0x39, 0x6a, 0x0a, 0xac, 0x97, 0x3d,
    0x58, 0xe0, 0x91, 0x5b, 0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb, 0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47};
static const uint8_t known_sealed256[KNOWN_BYTES + VAES_GCM_TAG_BYTES] = {
    0x52, 0x2d, 0xc1, 0xf0, 0x99, 0x56, 0x7d, 0x07, 0xf4, 0x7f, 0x37, 0xa3, 0x2a, 0x84, 0x42, 0x7d, 0x64, 0x3a, 0x8c,
    0xdc, 0xbf, 0xe5, 0xc0, 0xc9, 0x75, 0x98, 0xa2, 0xbd, 0x25, 0x55, 0xd1, 0xaa, 0x8c, 0xb0, 0x8e, 0x48, 0x59, 0x0d,
    0xbb, 0x3d, 0xa7, 0xb0, 0x8b, 0x10, 0x56, 0x82, 0x88, 0x38, 0xc5, 0xf6, 0x1e, 0x63, 0x93, 0xba, 0x7a, 0x0a, 0xbc,
    0xc9, 0xf6, 0x62, 0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b};

static bool seal(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, const uint8_t *from, uint32_t bytes, uint8_t *to)
{
    int length;
    return EVP_EncryptInit_ex2(context, cipher, known_key, known_iv, NULL) == 1 &&
           EVP_EncryptUpdate(context, NULL, &length, known_aad, sizeof known_aad) == 1 &&
           EVP_EncryptUpdate(context, to, &length, from, (int)bytes) == 1 && length == (int)bytes &&
           EVP_EncryptFinal_ex(context, to + bytes, &length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, VAES_GCM_TAG_BYTES, to + bytes) == 1;
}

/* In place; sealed is followed by the tag. */
static bool open_sealed(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, uint8_t *sealed, uint32_t bytes)
{
    int length;
    return EVP_DecryptInit_ex2(context, cipher, known_key, known_iv, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, VAES_GCM_TAG_BYTES, sealed + bytes) == 1 &&
           EVP_DecryptUpdate(context, NULL, &length, known_aad, sizeof known_aad) == 1 &&
           EVP_DecryptUpdate(context, sealed, &length, sealed, (int)bytes) == 1 && length == (int)bytes &&
           EVP_DecryptFinal_ex(context, sealed + bytes, &length) == 1;
}

static bool known_right(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, const uint8_t *answer)
{
    uint8_t sealed[KNOWN_BYTES + VAES_GCM_TAG_BYTES];
    return seal(context, cipher, known_plain, KNOWN_BYTES, sealed) && memcmp(sealed, answer, sizeof sealed) == 0 &&
           open_sealed(context, cipher, sealed, KNOWN_BYTES) && memcmp(sealed, known_plain, KNOWN_BYTES) == 0;
}

static bool long_right(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, const EVP_CIPHER *reference)
{
    uint8_t plain[LONG_BYTES];
    uint8_t sealed[LONG_BYTES + VAES_GCM_TAG_BYTES];
    uint8_t expected[LONG_BYTES + VAES_GCM_TAG_BYTES];
    for (uint32_t i = 0; i < LONG_BYTES; i++) {
        plain[i] = (uint8_t)(i * 7 + i / 256);
    }
    if (!seal(context, cipher, plain, LONG_BYTES, sealed) || !seal(context, reference, plain, LONG_BYTES, expected) ||
        memcmp(sealed, expected, sizeof sealed) != 0) {
        return false;
    }
    bool opened = open_sealed(context, cipher, sealed, LONG_BYTES) && memcmp(sealed, plain, LONG_BYTES) == 0;
    expected[LONG_BYTES / 2] ^= 1;
    return opened && !open_sealed(context, cipher, expected, LONG_BYTES);
}

static bool cipher_right(OSSL_LIB_CTX *library, const char *name, const uint8_t *answer)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, name, "provider=" VAES_PROVIDER);
    EVP_CIPHER *reference = EVP_CIPHER_fetch(library, name, "provider=default");
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool right = cipher != NULL && reference != NULL && context != NULL && known_right(context, cipher, answer) &&
                 long_right(context, cipher, reference);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(reference);
    EVP_CIPHER_free(cipher);
    return right;
}

bool vaes_self_test(OSSL_LIB_CTX *context)
{
    return cipher_right(context, "AES-128-GCM", known_sealed128) &&
           cipher_right(context, "AES-256-GCM", known_sealed256);
}
