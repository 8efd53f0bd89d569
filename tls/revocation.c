/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the choice among revocation lists.  Happy path: each list of the file is kept, one per issuer.  OpenSSL 3.0
 * chooses between two lists of one issuer by lastUpdate, whatever their numbers say, and ignores a newer one that was
 * issued in the same second; so it never gets to see two.  Failure modes: no list in the file, damage, too many, two
 * that cannot be told apart. */
#include "tls/openssl_revocation.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_library.h"

void revocation_fini(struct revocation *revocation)
{
    for (uint32_t i = 0; i < revocation->count; i++) {
        X509_CRL_free(revocation->lists[i]);
    }
    memset(revocation, 0, sizeof *revocation);
}

static X509_CRL **revocation_find(struct revocation *revocation, const X509_NAME *issuer)
{
    for (uint32_t i = 0; i < revocation->count; i++) {
        if (X509_NAME_cmp(X509_CRL_get_issuer(revocation->lists[i]), issuer) == 0) {
            return &revocation->lists[i];
        }
    }
    return NULL;
}

bool revocation_covers(const struct revocation *revocation, const X509_NAME *issuer)
{
    for (uint32_t i = 0; i < revocation->count; i++) {
        if (X509_NAME_cmp(X509_CRL_get_issuer(revocation->lists[i]), issuer) == 0) {
            return true;
        }
    }
    return false;
}

/* Above 0: `one` is newer; 0: they cannot be told apart. */
static int list_compare(X509_CRL *one, X509_CRL *other)
{
    ASN1_INTEGER *numbers[2] = {X509_CRL_get_ext_d2i(one, NID_crl_number, NULL, NULL),
                                X509_CRL_get_ext_d2i(other, NID_crl_number, NULL, NULL)};
    int order = 0;
    if (numbers[0] != NULL && numbers[1] != NULL) {
        order = ASN1_INTEGER_cmp(numbers[0], numbers[1]);
    } else if (numbers[0] == NULL && numbers[1] == NULL) {
        order = ASN1_TIME_compare(X509_CRL_get0_lastUpdate(one), X509_CRL_get0_lastUpdate(other));
    }
    ASN1_INTEGER_free(numbers[0]);
    ASN1_INTEGER_free(numbers[1]);
    return order;
}

/* Takes the list. */
static enum weft_err revocation_add(struct revocation *revocation, const struct pem_file *file, X509_CRL *list,
                                    struct weft_error *why)
{
    X509_CRL **known = revocation_find(revocation, X509_CRL_get_issuer(list));
    if (known == NULL && revocation->count == REVOCATION_LISTS_MAX) {
        X509_CRL_free(list);
        return weft_error_set(why, WEFT_ERR_CONFIG, "%s %s: holds lists of more than %u issuers", file->what,
                              file->path, REVOCATION_LISTS_MAX);
    }
    if (known == NULL) {
        revocation->lists[revocation->count++] = list;
        return WEFT_OK;
    }
    int order = list_compare(list, *known);
    if (order == 0 && X509_CRL_match(list, *known) != 0) {
        char issuer[160];
        describe_distinguished_name(X509_CRL_get_issuer(list), issuer, sizeof issuer);
        X509_CRL_free(list);
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "%s %s: holds two different lists of %s with the same number; leave only the newest one",
                              file->what, file->path, issuer);
    }
    if (order > 0) {
        X509_CRL_free(*known);
        *known = list;
    } else {
        X509_CRL_free(list);
    }
    return WEFT_OK;
}

static enum weft_err revocation_read(struct revocation *revocation, const struct pem_file *file, BIO *bio,
                                     OSSL_LIB_CTX *library, struct weft_error *why)
{
    enum weft_err err = WEFT_OK;
    while (err == WEFT_OK) {
        X509_CRL *list = X509_CRL_new_ex(library, NULL);
        if (list == NULL) {
            return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the revocation lists of %s", file->path);
        }
        if (PEM_read_bio_X509_CRL(bio, &list, NULL, NULL) == NULL) {
            X509_CRL_free(list);
            break;
        }
        err = revocation_add(revocation, file, list, why);
    }
    unsigned long cause = ERR_peek_last_error();
    if (err == WEFT_OK && ERR_GET_REASON(cause) != PEM_R_NO_START_LINE) {
        err = library_error(why, WEFT_ERR_CONFIG, "%s %s: revocation list %u of it is damaged", file->what, file->path,
                            revocation->count + 1);
    }
    ERR_clear_error();
    return err;
}

enum weft_err revocation_parse(struct revocation *revocation, const struct pem_file *file, OSSL_LIB_CTX *library,
                               struct weft_error *why)
{
    memset(revocation, 0, sizeof *revocation);
    ERR_clear_error();
    BIO *bio = BIO_new_mem_buf(file->text, (int)file->bytes);
    if (bio == NULL) {
        return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for the revocation lists of %s", file->path);
    }
    enum weft_err err = revocation_read(revocation, file, bio, library, why);
    BIO_free(bio);
    if (err == WEFT_OK && revocation->count == 0) {
        err = weft_error_set(
            why, WEFT_ERR_CONFIG,
            "%s %s: holds no PEM revocation list (-----BEGIN X509 CRL-----); give the issuer's list in PEM", file->what,
            file->path);
    }
    if (err != WEFT_OK) {
        revocation_fini(revocation);
    }
    return err;
}

bool revocation_install(const struct revocation *revocation, X509_STORE *store)
{
    bool ok =
        revocation->count == 0 || X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
    for (uint32_t i = 0; ok && i < revocation->count; i++) {
        ok = X509_STORE_add_crl(store, revocation->lists[i]) == 1;
    }
    return ok;
}
