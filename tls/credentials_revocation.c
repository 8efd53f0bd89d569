/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what can be said of revocation lists before the first peer comes.  Happy path: each list is of an issuer that is
 * known, is signed by it, and its time has not passed.  What stops the node: a list whose time has passed, unless
 * crl_expired is warn, one that is not valid yet, and one that its issuer has not signed; each of these would refuse
 * every peer of that issuer.  What only warns: a list of somebody unknown, which is never looked at, one that is about
 * to expire, and one that revokes the node's own certificate. */
#include <time.h>

#include <openssl/err.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/openssl_credentials.h"
#include "tls/openssl_describe.h"

#define DAY_S INT64_C(86400)
/* A list is about to expire in the last third of its life, and no sooner than this before its end. */
#define LIST_WARNING_DAYS 30

#define WHEN_BYTES 40u

struct list_times {
    int64_t life_s;
    int64_t left_s; /* until nextUpdate; INT64_MAX: it has none */
    bool early;
    char next[WHEN_BYTES];
};

static int64_t seconds_between(const ASN1_TIME *from, const ASN1_TIME *to) /* from NULL: now */
{
    int days = 0;
    int seconds = 0;
    return ASN1_TIME_diff(&days, &seconds, from, to) == 1 ? days * DAY_S + seconds : INT64_MAX;
}

static void list_print_time(const ASN1_TIME *when, char text[WHEN_BYTES])
{
    struct tm parts;
    if (ASN1_TIME_to_tm(when, &parts) != 1 || strftime(text, WHEN_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        text[0] = '\0';
    }
}

static struct list_times list_look(const X509_CRL *list)
{
    struct list_times times = {.life_s = INT64_MAX, .left_s = INT64_MAX};
    const ASN1_TIME *last = X509_CRL_get0_lastUpdate(list);
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    times.early = X509_cmp_current_time(last) > 0;
    if (next != NULL) {
        times.life_s = seconds_between(last, next);
        times.left_s = seconds_between(NULL, next);
        list_print_time(next, times.next);
    }
    return times;
}

static X509 *issuer_in_chain(const X509_NAME *name, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_NAME_cmp(X509_get_subject_name(sk_X509_value(chain, i)), name) == 0) {
            return sk_X509_value(chain, i);
        }
    }
    return NULL;
}

/* Did anybody sign it whom we know by that name?  Two CAs of one name are possible. */
static bool list_is_signed(X509_CRL *list, X509_STORE *store, STACK_OF(X509) * chain, bool *known)
{
    const X509_NAME *name = X509_CRL_get_issuer(list);
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    X509 *certificate = issuer_in_chain(name, chain);
    bool is_signed = certificate != NULL && X509_CRL_verify(list, X509_get0_pubkey(certificate)) == 1;
    *known = certificate != NULL;
    for (int i = 0; !is_signed && i < sk_X509_OBJECT_num(objects); i++) {
        certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (certificate != NULL && X509_NAME_cmp(X509_get_subject_name(certificate), name) == 0) {
            *known = true;
            is_signed = X509_CRL_verify(list, X509_get0_pubkey(certificate)) == 1;
        }
    }
    ERR_clear_error();
    return is_signed;
}

static enum weft_err list_check_times(struct tls_credentials *credentials, const struct list_times *times,
                                      const char *issuer, bool *warned, struct weft_error *why)
{
    const struct pem_file *file = &credentials->revocation;
    int64_t warning_s = times->life_s / 3 < LIST_WARNING_DAYS * DAY_S ? times->life_s / 3 : LIST_WARNING_DAYS * DAY_S;
    if (times->early) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "%s %s: the list of %s is not valid yet; give its newest list, or set the clock",
                              file->what, file->path, issuer);
    }
    if (times->left_s < 0 && !credentials->rules.crl_expired_ok) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "%s %s: the list of %s expired at %s, and every peer of this issuer would be refused; "
                              "give its newest list, or set crl_expired: warn",
                              file->what, file->path, issuer, times->next);
    }
    if (*warned || times->left_s >= warning_s) {
        return WEFT_OK;
    }
    *warned = true;
    if (times->left_s < 0) {
        credentials_warn(credentials, "%s %s: the list of %s expired at %s; what was revoked since then is admitted",
                         file->what, file->path, issuer, times->next);
    } else {
        credentials_warn(credentials, "%s %s: the list of %s expires at %s, in %d days", file->what, file->path, issuer,
                         times->next, (int)(times->left_s / DAY_S));
    }
    return WEFT_OK;
}

static void list_check_own(struct tls_credentials *credentials, X509_CRL *list, X509 *leaf, const char *issuer)
{
    X509_REVOKED *entry = NULL;
    if (leaf != NULL && X509_NAME_cmp(X509_get_issuer_name(leaf), X509_CRL_get_issuer(list)) == 0 &&
        X509_CRL_get0_by_cert(list, &entry, leaf) == 1) {
        credentials_warn(credentials, "certificate %s: revoked by %s; peers that know its list will refuse it",
                         credentials->certificate.path, issuer);
    }
}

enum weft_err credentials_check_revocation(struct tls_credentials *credentials, const struct revocation *revocation,
                                           X509_STORE *store, STACK_OF(X509) * chain, struct weft_error *why)
{
    const struct pem_file *file = &credentials->revocation;
    bool warned_time = false;
    bool warned_unknown = false;
    for (uint32_t i = 0; i < revocation->count; i++) {
        X509_CRL *list = revocation->lists[i];
        const struct list_times times = list_look(list);
        char issuer[160];
        bool known = false;
        describe_distinguished_name(X509_CRL_get_issuer(list), issuer, sizeof issuer);
        WEFT_TRY(list_check_times(credentials, &times, issuer, &warned_time, why));
        if (!list_is_signed(list, store, chain, &known) && known) {
            return weft_error_set(why, WEFT_ERR_CONFIG,
                                  "%s %s: the list of %s is not signed by the certificate of that name in truststore "
                                  "%s; give that issuer's own list",
                                  file->what, file->path, issuer, credentials->trust.path);
        }
        if (!known && !warned_unknown) {
            warned_unknown = true;
            credentials_warn(credentials,
                             "%s %s: %s, whose list it holds, is not in truststore %s; the list counts only for peers "
                             "that show that issuer's certificate",
                             file->what, file->path, issuer, credentials->trust.path);
        }
        list_check_own(credentials, list, sk_X509_value(chain, 0), issuer);
    }
    return WEFT_OK;
}
