/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the text form of certificates.  Happy path: one pass over a parsed certificate into fixed fields and a bounded
 * list of names.  Fails only when memory is out; odd contents are shown as they are, escaped. */
#include "tls/describe.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "engine/base/error.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_library.h"
#include "tls/openssl_pem.h"

static void describe_hex(char *text, uint32_t text_bytes, const uint8_t *data, uint32_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t used = 0;
    for (uint32_t i = 0; i < bytes && used + 3 <= text_bytes; i++) {
        text[used++] = digits[data[i] >> 4];
        text[used++] = digits[data[i] & 15];
    }
    text[used] = '\0';
}

void describe_distinguished_name(const X509_NAME *name, char *text, uint32_t bytes)
{
    text[0] = '\0';
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL) {
        return;
    }
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        char *data = NULL;
        long length = BIO_get_mem_data(bio, &data);
        if (length > 0) {
            weft_text_escape(text, bytes, data, (uint32_t)length);
        }
    }
    BIO_free(bio);
}

static void describe_time(const ASN1_TIME *time, char text[24])
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1 || strftime(text, 24, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        snprintf(text, 24, "unreadable");
    }
}

int64_t describe_not_after_s(const X509 *certificate)
{
    struct tm parts;
    return certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) == 1 ? timegm(&parts) : 0;
}

static void describe_validity(struct tls_description *description, const X509 *certificate)
{
    const ASN1_TIME *before = X509_get0_notBefore(certificate);
    const ASN1_TIME *after = X509_get0_notAfter(certificate);
    describe_time(before, description->not_before);
    describe_time(after, description->not_after);
    description->not_after_s = describe_not_after_s(certificate);
    description->not_yet_valid = X509_cmp_current_time(before) > 0;
    description->expired = X509_cmp_current_time(after) < 0;
    int days = 0;
    int seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, after) == 1) {
        description->days_left = days;
    }
}

static void describe_key(struct tls_description *description, const X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    char group[32] = "";
    size_t group_bytes = 0;
    if (key == NULL) {
        snprintf(description->key, sizeof description->key, "unknown");
    } else if (EVP_PKEY_get_group_name(key, group, sizeof group, &group_bytes) == 1) {
        bool p256 = strcmp(group, "prime256v1") == 0;
        snprintf(description->key, sizeof description->key, "%s %s", EVP_PKEY_get0_type_name(key),
                 p256 ? "P-256" : group);
    } else {
        snprintf(description->key, sizeof description->key, "%s %d", EVP_PKEY_get0_type_name(key),
                 EVP_PKEY_get_bits(key));
    }
    ERR_clear_error();
    int algorithm = X509_get_signature_nid(certificate);
    const char *name = OBJ_nid2sn(algorithm);
    snprintf(description->signature, sizeof description->signature, "%s", name == NULL ? "unknown" : name);
}

static const char *describe_name_kind(const GENERAL_NAME *name)
{
    switch (name->type) {
    case GEN_DNS:
        return "DNS";
    case GEN_URI:
        return "URI";
    case GEN_EMAIL:
        return "email";
    case GEN_IPADD:
        return "IP";
    default:
        return "other";
    }
}

static struct weft_span describe_name_bytes(const GENERAL_NAME *name)
{
    const ASN1_STRING *string = NULL;
    if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL) {
        string = name->d.ia5;
    } else if (name->type == GEN_IPADD) {
        string = name->d.iPAddress;
    }
    return string == NULL ? weft_span_of("?")
                          : (struct weft_span){ASN1_STRING_get0_data(string), (uint32_t)ASN1_STRING_length(string)};
}

static void describe_name_text(const GENERAL_NAME *name, struct weft_span value, char *text, uint32_t bytes)
{
    char address[INET6_ADDRSTRLEN];
    if (name->type == GEN_IPADD && (value.bytes == 4 || value.bytes == 16)) {
        inet_ntop(value.bytes == 4 ? AF_INET : AF_INET6, value.data, address, sizeof address);
        snprintf(text, bytes, "%s", address);
    } else {
        weft_text_escape(text, bytes, (const char *)value.data, value.bytes);
    }
}

static char *describe_name_value(const GENERAL_NAME *name)
{
    struct weft_span value = describe_name_bytes(name);
    uint32_t bytes = value.bytes * 4 + INET6_ADDRSTRLEN;
    char *text = calloc(1, bytes);
    if (text != NULL) {
        describe_name_text(name, value, text, bytes);
    }
    return text;
}

void describe_name(const GENERAL_NAME *name, char *text, uint32_t bytes)
{
    int used = snprintf(text, bytes, "%s:", describe_name_kind(name));
    if ((uint32_t)used < bytes) {
        describe_name_text(name, describe_name_bytes(name), text + used, bytes - (uint32_t)used);
    }
}

static enum weft_err describe_names(struct tls_description *description, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (description->name_count == TLS_NAMES_MAX) {
            description->names_left_out++;
            continue;
        }
        char *value = describe_name_value(name);
        if (value == NULL) {
            GENERAL_NAMES_free(names);
            return WEFT_ERR_NO_MEMORY;
        }
        description->names[description->name_count++] = (struct tls_name){describe_name_kind(name), value};
    }
    GENERAL_NAMES_free(names);
    return WEFT_OK;
}

enum weft_err describe_certificate(struct tls_description *description, X509 *certificate, struct weft_error *why)
{
    *description = (struct tls_description){0};
    describe_distinguished_name(X509_get_subject_name(certificate), description->subject, sizeof description->subject);
    describe_distinguished_name(X509_get_issuer_name(certificate), description->issuer, sizeof description->issuer);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    describe_hex(description->serial, sizeof description->serial, ASN1_STRING_get0_data(serial),
                 (uint32_t)ASN1_STRING_length(serial));
    describe_validity(description, certificate);
    describe_key(description, certificate);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int digest_bytes = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &digest_bytes) == 1) {
        describe_hex(description->fingerprint, sizeof description->fingerprint, digest, digest_bytes);
    }
    uint32_t flags = X509_get_extension_flags(certificate);
    description->is_ca = (flags & EXFLAG_CA) != 0;
    description->is_self_signed = (flags & EXFLAG_SS) != 0;
    description->server_auth = X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0) == 1;
    description->client_auth = X509_check_purpose(certificate, X509_PURPOSE_SSL_CLIENT, 0) == 1;
    if (describe_names(description, certificate) != WEFT_OK) {
        describe_fini(description);
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to describe a certificate");
    }
    ERR_clear_error();
    return WEFT_OK;
}

void describe_fini(struct tls_description *description)
{
    for (uint32_t i = 0; i < description->name_count; i++) {
        free(description->names[i].value);
    }
    *description = (struct tls_description){0};
}

static enum weft_err describe_all(STACK_OF(X509) * certificates, struct tls_description **list, uint32_t *count,
                                  struct weft_error *why)
{
    uint32_t total = (uint32_t)sk_X509_num(certificates);
    struct tls_description *made = calloc(total, sizeof *made);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to describe %u certificates", total);
    }
    for (uint32_t i = 0; i < total; i++) {
        enum weft_err err = describe_certificate(&made[i], sk_X509_value(certificates, (int)i), why);
        if (err != WEFT_OK) {
            tls_descriptions_destroy(made, total);
            return err;
        }
    }
    *list = made;
    *count = total;
    return WEFT_OK;
}

enum weft_err tls_describe_file(const char *path, struct tls_description **list, uint32_t *count,
                                struct weft_error *why)
{
    *list = NULL;
    *count = 0;
    struct pem_file file = {0};
    struct library library = {0};
    STACK_OF(X509) *certificates = NULL;
    enum weft_err err = pem_file_read(&file, "certificate", path, PEM_TRUST_BYTES_MAX, why);
    if (err == WEFT_OK) {
        err = library_open(&library, why);
    }
    if (err == WEFT_OK) {
        err = pem_certificates(&file, library.context, PEM_TRUST_MAX, &certificates, why);
    }
    if (err == WEFT_OK) {
        err = describe_all(certificates, list, count, why);
    }
    pem_certificates_free(certificates);
    library_close(&library);
    pem_file_fini(&file);
    return err;
}

void tls_descriptions_destroy(struct tls_description *list, uint32_t count)
{
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        describe_fini(&list[i]);
    }
    free(list);
}

/* Append to a bounded text; what does not fit is cut. */
static void describe_append(char *text, uint32_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void describe_append(char *text, uint32_t bytes, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, bytes - used, format, arguments);
    va_end(arguments);
}

static const char *describe_state(const struct tls_description *description)
{
    if (description->expired) {
        return ", EXPIRED";
    }
    return description->not_yet_valid ? ", NOT YET VALID" : "";
}

void tls_description_print(const struct tls_description *description, char *text, uint32_t bytes)
{
    text[0] = '\0';
    describe_append(text, bytes, "subject:      %s\n", description->subject);
    describe_append(text, bytes, "issuer:       %s%s\n", description->issuer,
                    description->is_self_signed ? " (self-signed)" : "");
    describe_append(text, bytes, "serial:       %s\n", description->serial);
    describe_append(text, bytes, "valid:        %s to %s (%d days left%s)\n", description->not_before,
                    description->not_after, description->days_left, describe_state(description));
    describe_append(text, bytes, "key:          %s, signed with %s\n", description->key, description->signature);
    describe_append(text, bytes, "use:         %s%s%s\n", description->is_ca ? " CA" : "",
                    description->server_auth ? " server" : "", description->client_auth ? " client" : "");
    for (uint32_t i = 0; i < description->name_count; i++) {
        describe_append(text, bytes, "name:         %s:%s\n", description->names[i].kind, description->names[i].value);
    }
    if (description->names_left_out > 0) {
        describe_append(text, bytes, "name:         and %u more\n", description->names_left_out);
    }
    describe_append(text, bytes, "SHA-256:      %s\n", description->fingerprint);
}

void tls_description_print_line(const struct tls_description *description, char *text, uint32_t bytes)
{
    text[0] = '\0';
    describe_append(text, bytes, "subject %s, issuer %s, names", description->subject, description->issuer);
    for (uint32_t i = 0; i < description->name_count; i++) {
        describe_append(text, bytes, " %s:%s", description->names[i].kind, description->names[i].value);
    }
    describe_append(text, bytes, "%s, notAfter %s (%d days left%s)", description->name_count == 0 ? " none" : "",
                    description->not_after, description->days_left, describe_state(description));
}
