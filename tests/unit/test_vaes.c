/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: AES-GCM of the VAES provider is that of OpenSSL's default provider, whatever way it is asked.
 * Method: the same random calls to both, through the interface that libssl uses: keys, IVs of any length, additional
 * data and data in pieces, tags of any length, copies in mid-stream, records of TLS 1.2; each answer and each refusal
 * is compared.  Where this machine or build has no VAES, that is what is tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "engine/base/prng.h"
#include "tls/crypto.h"
#include "tls/openssl_vaes.h"

#define CASES 20000u
#define DATA_MAX 5000u
#define AAD_MAX 256u
#define TAG_BYTES 16

struct pair {
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *standard;
    OSSL_PROVIDER *vaes;
    EVP_CIPHER *ciphers[2][2]; /* by provider, by key size */
    struct prng prng;
};

static const char *const names[] = {"AES-128-GCM", "AES-256-GCM"};

static int pair_setup(void **state)
{
    static struct pair pair;
    *state = NULL;
    if (vaes_obstacle() != NULL) {
        printf("no VAES here: %s\n", vaes_obstacle());
        return 0;
    }
    pair.library = OSSL_LIB_CTX_new();
    pair.standard = OSSL_PROVIDER_load(pair.library, "default");
    assert_int_equal(OSSL_PROVIDER_add_builtin(pair.library, VAES_PROVIDER, vaes_provider_init), 1);
    pair.vaes = OSSL_PROVIDER_load(pair.library, VAES_PROVIDER);
    assert_non_null(pair.vaes);
    for (uint32_t size = 0; size < 2; size++) {
        pair.ciphers[0][size] = EVP_CIPHER_fetch(pair.library, names[size], "provider=default");
        pair.ciphers[1][size] = EVP_CIPHER_fetch(pair.library, names[size], VAES_PROPERTIES);
        assert_non_null(pair.ciphers[0][size]);
        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(pair.ciphers[1][size])), VAES_PROVIDER);
    }
    prng_init(&pair.prng, 20261124);
    *state = &pair;
    return 0;
}

static int pair_teardown(void **state)
{
    struct pair *pair = *state;
    if (pair != NULL) {
        for (uint32_t i = 0; i < 4; i++) {
            EVP_CIPHER_free(pair->ciphers[i / 2][i % 2]);
        }
        OSSL_PROVIDER_unload(pair->vaes);
        OSSL_PROVIDER_unload(pair->standard);
        OSSL_LIB_CTX_free(pair->library);
    }
    return 0;
}

static uint32_t below(struct pair *pair, uint32_t limit)
{
    return (uint32_t)prng_below(&pair->prng, limit);
}

static void random_fill(struct pair *pair, uint8_t *to, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)prng_next(&pair->prng);
    }
}

/* One message, for both providers in the same pieces. */
struct message {
    bool encrypts;
    uint32_t size; /* of the key: index */
    uint32_t iv_bytes;
    uint32_t aad_bytes;
    uint32_t data_bytes;
    uint32_t tag_bytes;
    uint32_t piece_max;
    uint32_t copy_at; /* the context is replaced by a copy before this piece */
    uint64_t pieces_seed;
    uint8_t key[32];
    uint8_t iv[128];
    uint8_t aad[AAD_MAX];
    uint8_t tag[TAG_BYTES];
    uint8_t data[DATA_MAX];
};

static void message_draw(struct pair *pair, struct message *message)
{
    message->encrypts = true;
    message->size = below(pair, 2);
    message->iv_bytes = below(pair, 2) == 0 ? 12 : 1 + below(pair, 128);
    message->aad_bytes = below(pair, 2) == 0 ? below(pair, 20) : below(pair, AAD_MAX + 1);
    message->data_bytes = below(pair, 3) == 0 ? below(pair, DATA_MAX + 1) : below(pair, 300);
    message->tag_bytes = 1 + below(pair, TAG_BYTES);
    message->piece_max = 1 + below(pair, DATA_MAX);
    message->copy_at = below(pair, 8);
    message->pieces_seed = prng_next(&pair->prng);
    random_fill(pair, message->key, sizeof message->key);
    random_fill(pair, message->iv, sizeof message->iv);
    random_fill(pair, message->aad, message->aad_bytes);
    random_fill(pair, message->data, message->data_bytes);
}

static bool run_pieces(EVP_CIPHER_CTX **context, const struct message *message, struct prng *prng, bool aad,
                       uint8_t *to)
{
    const uint8_t *from = aad ? message->aad : message->data;
    uint32_t bytes = aad ? message->aad_bytes : message->data_bytes;
    uint32_t piece_number = 0;
    for (uint32_t at = 0; at < bytes; piece_number++) {
        int length = -1;
        uint32_t piece = 1 + (uint32_t)prng_below(prng, message->piece_max);
        piece = piece > bytes - at ? bytes - at : piece;
        if (piece_number == message->copy_at) {
            EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();
            assert_int_equal(EVP_CIPHER_CTX_copy(copy, *context), 1);
            EVP_CIPHER_CTX_free(*context);
            *context = copy;
        }
        if (EVP_CipherUpdate(*context, aad ? NULL : to + at, &length, from + at, (int)piece) != 1 ||
            length != (int)piece) {
            return false;
        }
        at += piece;
    }
    return true;
}

/* @return whether all calls succeeded; the data and, encrypting, the tag are in `to` and `tag` */
static bool run(EVP_CIPHER *cipher, const struct message *message, uint8_t *to, uint8_t *tag)
{
    struct prng prng;
    int length;
    prng_init(&prng, message->pieces_seed);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool ok =
        EVP_CipherInit_ex2(context, cipher, NULL, NULL, message->encrypts, NULL) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)message->iv_bytes, NULL) == 1 &&
        EVP_CipherInit_ex2(context, NULL, message->key, NULL, -1, NULL) == 1 &&
        EVP_CipherInit_ex2(context, NULL, NULL, message->iv, -1, NULL) == 1 &&
        (message->encrypts || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)message->tag_bytes,
                                                  (void *)(uintptr_t)message->tag) == 1) &&
        run_pieces(&context, message, &prng, true, NULL) && run_pieces(&context, message, &prng, false, to) &&
        EVP_CipherFinal_ex(context, to + message->data_bytes, &length) == 1 && length == 0 &&
        (!message->encrypts || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)message->tag_bytes, tag) == 1);
    EVP_CIPHER_CTX_free(context);
    return ok;
}

/* Now the other way; sometimes with one bit changed, which neither may accept. */
static void open_both(struct pair *pair, struct message *message, const uint8_t *sealed, const uint8_t *tag)
{
    static uint8_t opened[2][DATA_MAX + TAG_BYTES];
    static uint8_t plain[DATA_MAX];
    uint8_t unused[TAG_BYTES];
    bool damaged = below(pair, 4) == 0;
    memcpy(plain, message->data, message->data_bytes);
    memcpy(message->data, sealed, message->data_bytes);
    memcpy(message->tag, tag, message->tag_bytes);
    message->encrypts = false;
    if (damaged) {
        message->tag[below(pair, message->tag_bytes)] ^= (uint8_t)(1u << below(pair, 8));
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(run(pair->ciphers[i][message->size], message, opened[i], unused), !damaged);
    }
    if (!damaged) {
        assert_memory_equal(opened[0], plain, message->data_bytes);
        assert_memory_equal(opened[1], plain, message->data_bytes);
    }
}

static void gcm__random_calls__as_the_default_provider(void **state)
{
    struct pair *pair = *state;
    static struct message message;
    static uint8_t sealed[2][DATA_MAX + TAG_BYTES];
    uint8_t tags[2][TAG_BYTES];
    for (uint32_t i = 0; pair != NULL && i < CASES; i++) {
        message_draw(pair, &message);
        for (uint32_t p = 0; p < 2; p++) {
            assert_true(run(pair->ciphers[p][message.size], &message, sealed[p], tags[p]));
        }
        assert_memory_equal(sealed[0], sealed[1], message.data_bytes);
        assert_memory_equal(tags[0], tags[1], message.tag_bytes);
        open_both(pair, &message, sealed[1], tags[1]);
    }
}

/* A record of TLS 1.2 goes through one call.  The explicit part of the IV is random at first: only the other end can
 * compare. */
static EVP_CIPHER_CTX *record_context(EVP_CIPHER *cipher, bool encrypts, const uint8_t *key, const uint8_t *iv)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex2(context, cipher, key, NULL, encrypts, NULL), 1);
    assert_true(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_IV_FIXED, 4, (void *)(uintptr_t)iv) > 0);
    return context;
}

/* @return the bytes of the record, or of its data; negative if it was refused */
static int record_run(EVP_CIPHER_CTX *context, uint64_t number, uint8_t *record, uint32_t bytes)
{
    int length = -1;
    uint32_t told = EVP_CIPHER_CTX_is_encrypting(context) ? bytes - TAG_BYTES : bytes;
    uint8_t aad[13] = {0};
    memcpy(aad, &number, sizeof number);
    aad[8] = 23;
    aad[9] = 3;
    aad[10] = 3;
    aad[11] = (uint8_t)(told >> 8);
    aad[12] = (uint8_t)told;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_TLS1_AAD, sizeof aad, aad) <= 0) {
        return -2;
    }
    return EVP_CipherUpdate(context, record, &length, record, (int)bytes) == 1 ? length : -1;
}

static void records__of_tls_1_2__each_end_opens_the_others(void **state)
{
    struct pair *pair = *state;
    static uint8_t record[8 + DATA_MAX + TAG_BYTES];
    static uint8_t plain[DATA_MAX];
    uint8_t key[32];
    for (uint32_t i = 0; pair != NULL && i < 400; i++) {
        uint32_t size = i / 2 % 2;
        uint32_t sealer = i % 2;
        random_fill(pair, key, sizeof key);
        EVP_CIPHER_CTX *seal = record_context(pair->ciphers[sealer][size], true, key, key + 7);
        EVP_CIPHER_CTX *open = record_context(pair->ciphers[1 - sealer][size], false, key, key + 7);
        uint64_t explicit[2] = {0};
        for (uint64_t number = 0; number < 6; number++) {
            uint32_t bytes = below(pair, DATA_MAX + 1);
            random_fill(pair, plain, bytes);
            memcpy(record + 8, plain, bytes);
            /* Sealing, the length counts the explicit IV; opening, the tag too. */
            assert_int_equal(record_run(seal, number, record, 8 + bytes + TAG_BYTES), 8 + bytes + TAG_BYTES);
            memcpy(&explicit[number % 2], record, 8);
            assert_true(number == 0 || explicit[0] != explicit[1]);
            bool damaged = number == 5;
            record[8 + below(pair, bytes + TAG_BYTES)] ^= damaged;
            int opened = record_run(open, number, record, 8 + bytes + TAG_BYTES);
            if (damaged) {
                assert_true(opened <= 0);
            } else {
                assert_int_equal(opened, bytes);
                assert_memory_equal(record + 8, plain, bytes);
            }
        }
        EVP_CIPHER_CTX_free(seal);
        EVP_CIPHER_CTX_free(open);
    }
}

static void gcm__used_wrongly__refused(void **state)
{
    struct pair *pair = *state;
    uint8_t bytes[256] = {0};
    int length;
    if (pair == NULL) {
        return;
    }
    EVP_CIPHER *cipher = pair->ciphers[1][1];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex2(context, cipher, NULL, bytes, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(context, bytes, &length, bytes, 16), 0); /* no key */
    assert_int_equal(EVP_EncryptInit_ex2(context, cipher, bytes, bytes, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, bytes), 0); /* encrypting */
    assert_int_equal(EVP_EncryptUpdate(context, bytes, &length, bytes, 16), 1);
    assert_int_equal(EVP_EncryptUpdate(context, NULL, &length, bytes, 16), 0);           /* AAD behind data */
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, bytes), 0); /* not ended */
    assert_int_equal(EVP_EncryptFinal_ex(context, bytes, &length), 1);
    assert_int_equal(EVP_EncryptUpdate(context, bytes, &length, bytes, 16), 0); /* the IV is used up */
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 129, NULL), 0);
    assert_int_equal(EVP_EncryptInit_ex2(context, NULL, NULL, bytes, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(context, NULL, &length, bytes, 200), 1);
    assert_int_equal(EVP_EncryptUpdate(context, NULL, &length, bytes, 57), 0); /* more AAD than is gathered */
    assert_int_equal(EVP_DecryptInit_ex2(context, NULL, NULL, bytes, NULL), 1);
    assert_int_equal(EVP_DecryptFinal_ex(context, bytes, &length), 0); /* no tag to compare with */
    EVP_CIPHER_CTX_free(context);
}

static void provider__self_test__passes(void **state)
{
    struct pair *pair = *state;
    if (pair != NULL) {
        assert_true(vaes_self_test(pair->library));
    }
}

static void choice__each_word__as_it_says(void **state)
{
    enum weft_crypto used;
    char text[TLS_CRYPTO_TEXT_BYTES];
    struct weft_error why = {.code = WEFT_OK};
    assert_int_equal(tls_crypto_describe(WEFT_CRYPTO_OPENSSL, &used, text, &why), WEFT_OK);
    assert_int_equal(used, WEFT_CRYPTO_OPENSSL);
    assert_int_equal(tls_crypto_describe(WEFT_CRYPTO_AUTO, &used, text, &why), WEFT_OK);
    bool old = OpenSSL_version_num() < 0x30100000ul;
    assert_int_equal(used, *state != NULL && old ? WEFT_CRYPTO_VAES : WEFT_CRYPTO_OPENSSL);
    if (*state == NULL && old) {
        assert_non_null(strstr(text, vaes_obstacle()));
    }
    enum weft_err err = tls_crypto_describe(WEFT_CRYPTO_VAES, &used, text, &why);
    assert_int_equal(err, *state != NULL ? WEFT_OK : WEFT_ERR_TLS);
    if (err != WEFT_OK) {
        assert_non_null(strstr(why.text, "set crypto: openssl"));
    }
}

/* Debian has no FIPS module; a machine with one may pass. */
static void choice__fips_without_its_module__refused(void **state)
{
    enum weft_crypto used;
    char text[TLS_CRYPTO_TEXT_BYTES];
    struct weft_error why = {.code = WEFT_OK};
    (void)state;
    if (tls_crypto_describe(WEFT_CRYPTO_FIPS, &used, text, &why) == WEFT_OK) {
        assert_int_equal(used, WEFT_CRYPTO_FIPS);
        return;
    }
    assert_int_equal(why.code, WEFT_ERR_TLS);
    assert_non_null(strstr(why.text, "no FIPS module"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(provider__self_test__passes),
        cmocka_unit_test(gcm__random_calls__as_the_default_provider),
        cmocka_unit_test(records__of_tls_1_2__each_end_opens_the_others),
        cmocka_unit_test(gcm__used_wrongly__refused),
        cmocka_unit_test(choice__each_word__as_it_says),
        cmocka_unit_test(choice__fips_without_its_module__refused),
    };
    return cmocka_run_group_tests(tests, pair_setup, pair_teardown);
}
