/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the order of calls of a message; the mathematics is libipsec-mb's.  Happy path: IV, AAD, data, tag; the AAD is
 * gathered and handed over with the first data.  Failure modes: a call out of order or out of bounds is refused. */
#include "tls/vaes_gcm.h"

#include <string.h>

#include "engine/base/assert.h"

/* The mode's counter has 32 bits, and its first two values are taken. */
#define MESSAGE_BYTES_MAX ((UINT64_C(1) << 36) - 32)

void vaes_gcm_calls_init(struct vaes_gcm_calls *calls, const IMB_MGR *library, uint32_t key_bytes)
{
    WEFT_ASSERT(key_bytes == 16 || key_bytes == 32);
    if (key_bytes == 32) {
        *calls = (struct vaes_gcm_calls){
            .pre = library->gcm256_pre,
            .init = library->gcm256_init,
            .init_var_iv = library->gcm256_init_var_iv,
            .update = {library->gcm256_dec_update, library->gcm256_enc_update},
            .finalize = {library->gcm256_dec_finalize, library->gcm256_enc_finalize},
            .whole = {library->gcm256_dec, library->gcm256_enc},
        };
    } else {
        *calls = (struct vaes_gcm_calls){
            .pre = library->gcm128_pre,
            .init = library->gcm128_init,
            .init_var_iv = library->gcm128_init_var_iv,
            .update = {library->gcm128_dec_update, library->gcm128_enc_update},
            .finalize = {library->gcm128_dec_finalize, library->gcm128_enc_finalize},
            .whole = {library->gcm128_dec, library->gcm128_enc},
        };
    }
    calls->key_bytes = key_bytes;
}

void vaes_gcm_init(struct vaes_gcm *gcm, const struct vaes_gcm_calls *calls)
{
    WEFT_ASSERT((uintptr_t)gcm % _Alignof(struct vaes_gcm) == 0);
    memset(gcm, 0, sizeof *gcm);
    gcm->calls = calls;
    gcm->iv_bytes = VAES_GCM_IV_BYTES;
}

void vaes_gcm_key(struct vaes_gcm *gcm, const uint8_t *key)
{
    gcm->calls->pre(key, &gcm->key);
    gcm->key_set = true;
}

void vaes_gcm_iv(struct vaes_gcm *gcm, const uint8_t *iv)
{
    memcpy(gcm->iv, iv, gcm->iv_bytes);
    gcm->state = VAES_GCM_READY;
    gcm->aad_bytes = 0;
    gcm->bytes = 0;
}

bool vaes_gcm_iv_bytes(struct vaes_gcm *gcm, uint64_t bytes)
{
    if (bytes == 0 || bytes > VAES_GCM_IV_BYTES_MAX) {
        return false;
    }
    if (bytes != gcm->iv_bytes && gcm->state != VAES_GCM_NO_IV) {
        gcm->state = VAES_GCM_DONE;
    }
    gcm->iv_bytes = (uint32_t)bytes;
    return true;
}

bool vaes_gcm_aad(struct vaes_gcm *gcm, const uint8_t *from, uint64_t bytes)
{
    if (gcm->state != VAES_GCM_READY || bytes > VAES_GCM_AAD_BYTES_MAX - gcm->aad_bytes) {
        return false;
    }
    memcpy(gcm->aad + gcm->aad_bytes, from, bytes);
    gcm->aad_bytes += (uint32_t)bytes;
    return true;
}

static void gcm_begin(struct vaes_gcm *gcm)
{
    if (gcm->iv_bytes == VAES_GCM_IV_BYTES) {
        gcm->calls->init(&gcm->key, &gcm->running, gcm->iv, gcm->aad, gcm->aad_bytes);
    } else {
        gcm->calls->init_var_iv(&gcm->key, &gcm->running, gcm->iv, gcm->iv_bytes, gcm->aad, gcm->aad_bytes);
    }
    gcm->state = VAES_GCM_RUNNING;
}

/* Is there a message under way, with room for so many bytes more? */
static bool gcm_goes_on(const struct vaes_gcm *gcm, uint64_t bytes)
{
    return gcm->key_set && (gcm->state == VAES_GCM_READY || gcm->state == VAES_GCM_RUNNING) &&
           bytes <= MESSAGE_BYTES_MAX - gcm->bytes;
}

bool vaes_gcm_update(struct vaes_gcm *gcm, uint8_t *to, const uint8_t *from, uint64_t bytes)
{
    if (!gcm_goes_on(gcm, bytes)) {
        return false;
    }
    if (gcm->state == VAES_GCM_READY) {
        gcm_begin(gcm);
    }
    if (bytes > 0) {
        gcm->calls->update[gcm->encrypts](&gcm->key, &gcm->running, to, from, bytes);
    }
    gcm->bytes += bytes;
    return true;
}

bool vaes_gcm_tag(struct vaes_gcm *gcm, uint8_t tag[VAES_GCM_TAG_BYTES])
{
    if (!gcm_goes_on(gcm, 0)) {
        return false;
    }
    if (gcm->state == VAES_GCM_READY) {
        gcm_begin(gcm);
    }
    gcm->calls->finalize[gcm->encrypts](&gcm->key, &gcm->running, tag, VAES_GCM_TAG_BYTES);
    gcm->state = VAES_GCM_DONE;
    return true;
}

bool vaes_gcm_whole(struct vaes_gcm *gcm, const uint8_t *aad, uint64_t aad_bytes, uint8_t *to, const uint8_t *from,
                    uint64_t bytes, uint8_t tag[VAES_GCM_TAG_BYTES])
{
    if (gcm->state != VAES_GCM_READY || gcm->aad_bytes > 0 || gcm->iv_bytes != VAES_GCM_IV_BYTES ||
        !gcm_goes_on(gcm, bytes)) {
        return false;
    }
    /* One call of libipsec-mb instead of three: each writes a word that all threads share. */
    gcm->calls->whole[gcm->encrypts](&gcm->key, &gcm->running, to, from, bytes, gcm->iv, aad, aad_bytes, tag,
                                     VAES_GCM_TAG_BYTES);
    gcm->state = VAES_GCM_DONE;
    return true;
}
