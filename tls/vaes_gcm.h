/* SPDX-License-Identifier: Apache-2.0 */
/* AES-128 and AES-256 in Galois/Counter mode by libipsec-mb, as one message after another under one key.
 *
 * A message: vaes_gcm_iv, then any number of vaes_gcm_aad, then any number of vaes_gcm_update, then vaes_gcm_tag. False
 * is a call out of that order, one for which key or IV is missing, or more bytes than the mode allows; nothing is
 * changed then.  The struct holds all state, has no pointer into itself, and may be copied byte by byte to an address
 * that suits it; wipe it afterwards. */
#ifndef TLS_VAES_GCM_H
#define TLS_VAES_GCM_H

#include <stdbool.h>
#include <stdint.h>

/* libipsec-mb aligns its keys only where this is defined, and stores to them with instructions that need it. */
#ifndef LINUX
#define LINUX
#endif
#include <intel-ipsec-mb.h>

#define VAES_GCM_TAG_BYTES 16u
#define VAES_GCM_IV_BYTES 12u
#define VAES_GCM_IV_BYTES_MAX 128u
/* libipsec-mb wants it as one piece, so pieces are gathered.  TLS has 5 or 13 bytes. */
#define VAES_GCM_AAD_BYTES_MAX 256u

enum vaes_gcm_state {
    VAES_GCM_NO_IV = 0,
    VAES_GCM_READY,   /* an IV is set, no data yet */
    VAES_GCM_RUNNING, /* data went through */
    VAES_GCM_DONE,    /* this IV is used up */
};

/* What libipsec-mb does for one size of keys: index 1 encrypts, 0 decrypts. */
struct vaes_gcm_calls {
    uint32_t key_bytes;
    aes_gcm_pre_t pre;
    aes_gcm_init_t init;
    aes_gcm_init_var_iv_t init_var_iv;
    aes_gcm_enc_dec_update_t update[2];
    aes_gcm_enc_dec_finalize_t finalize[2];
    aes_gcm_enc_dec_t whole[2];
};

struct vaes_gcm {
    struct gcm_key_data key;
    struct gcm_context_data running;
    const struct vaes_gcm_calls *calls; /* alive as long as the struct */
    uint64_t bytes;                     /* of this message, so far */
    uint32_t iv_bytes;                  /* 1 to VAES_GCM_IV_BYTES_MAX */
    uint32_t aad_bytes;
    bool key_set;
    bool encrypts;
    uint8_t state; /* enum vaes_gcm_state */
    uint8_t iv[VAES_GCM_IV_BYTES_MAX];
    uint8_t aad[VAES_GCM_AAD_BYTES_MAX];
};

/* The calls of a library that was initialised.  @param key_bytes 16 or 32 */
void vaes_gcm_calls_init(struct vaes_gcm_calls *calls, const IMB_MGR *library, uint32_t key_bytes);
/* An instance without key and IV, for IVs of 12 bytes. */
void vaes_gcm_init(struct vaes_gcm *gcm, const struct vaes_gcm_calls *calls);
void vaes_gcm_key(struct vaes_gcm *gcm, const uint8_t *key);
/* The IV of the next message, iv_bytes long. */
void vaes_gcm_iv(struct vaes_gcm *gcm, const uint8_t *iv);
/* Another length: an IV that was set is void. */
bool vaes_gcm_iv_bytes(struct vaes_gcm *gcm, uint64_t bytes);
bool vaes_gcm_aad(struct vaes_gcm *gcm, const uint8_t *from, uint64_t bytes);
/* @param to may be `from` */
bool vaes_gcm_update(struct vaes_gcm *gcm, uint8_t *to, const uint8_t *from, uint64_t bytes);
/* Ends the message.  Decrypting, the tag is what it should have been: compare it in constant time. */
bool vaes_gcm_tag(struct vaes_gcm *gcm, uint8_t tag[VAES_GCM_TAG_BYTES]);
/* A whole message with the IV that is set. */
bool vaes_gcm_whole(struct vaes_gcm *gcm, const uint8_t *aad, uint64_t aad_bytes, uint8_t *to, const uint8_t *from,
                    uint64_t bytes, uint8_t tag[VAES_GCM_TAG_BYTES]);

#endif
