/* SPDX-License-Identifier: Apache-2.0 */
/* The block server_encryption_options.
 *
 * Happy path: a scope, a certificate and its key, a trust store, and whether clients must show a certificate.
 *
 * Failure modes: here a misunderstanding would mean plaintext, so everything that is not fully understood is an error:
 * a block that is no block, a key that is unknown or not supported yet, a scope that is not exactly one of the five
 * words, files that cannot be read, paths that nobody filled in, and a trust store that would trust everybody. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/config_decoder.h"
#include "tls/priority.h"
#include "topology/cluster/policy.h"

#define CERTIFICATE_DEFAULT "scylla.crt"
#define KEYFILE_DEFAULT "scylla.key"
/* The bits of a file's mode that are for everybody. */
#define MODE_OTHERS 07u
/* The word for the system's trust store. */
#define TRUSTSTORE_SYSTEM "system"

static bool value_is_unset(const struct yaml_node *value)
{
    return yaml_node_is_null(value) || (value->kind == YAML_TREE_SCALAR && value->bytes == 0);
}

void decoder_internode_encryption(struct config_decoder *decoder, const struct yaml_node *value)
{
    int scope;
    if (decoder_word(decoder, value, &scope)) {
        decoder->config->options.encryption = (enum weft_encryption)scope;
        decoder->scope = value;
    }
}

/* A path that stands for one that somebody was to fill in. */
static bool path_is_placeholder(const char *path)
{
    static const char *const beginnings[] = {"/path/to/", "path/to/", "./path/to/", "<"};
    for (uint32_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (strncmp(path, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    return strchr(path, '<') != NULL && strchr(path, '>') != NULL;
}

const char *decoder_written_path(struct config_decoder *decoder, const struct yaml_node *value)
{
    const char *path = value_is_unset(value) ? NULL : decoder_text(decoder, value);
    if (path == NULL) {
        return NULL;
    }
    if (path_is_placeholder(path)) {
        decoder_error(decoder, value, "\"%.64s\" is a placeholder; write the path of the file, or remove the key",
                      path);
        return NULL;
    }
    if (path[0] == '~' || strchr(path, '$') != NULL) {
        decoder_error(decoder, value, "\"%.64s\": ~ and variables are not expanded; write the path out", path);
        return NULL;
    }
    return path;
}

void decoder_certificate(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->certificate = decoder_written_path(decoder, value) != NULL ? value : NULL;
}

void decoder_keyfile(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->keyfile = decoder_written_path(decoder, value) != NULL ? value : NULL;
}

void decoder_truststore(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->truststore = decoder_written_path(decoder, value) != NULL ? value : NULL;
}

void decoder_crl(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (decoder_written_path(decoder, value) == NULL) {
        return;
    }
    if (decoder->crl != NULL && strcmp(decoder->crl->text, value->text) != 0) {
        decoder_error(decoder, value, "\"%.64s\", but %s in line %u says \"%.64s\"; keep one of them", value->text,
                      decoder->crl->key, decoder->crl->line, decoder->crl->text);
        return;
    }
    decoder->crl = value;
}

void decoder_client_auth(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool required = false;
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    if (strcasecmp(text, "optional") == 0) {
        decoder->config->options.tls.client_auth = WEFT_CLIENT_AUTH_OPTIONAL;
        return;
    }
    if (config_scalar_bool(&required, text, NULL) != WEFT_OK) {
        decoder_error(decoder, value, "\"%.64s\" is not one of true, false or optional", text);
        return;
    }
    decoder->client_auth = required ? value : NULL;
    decoder->config->options.tls.client_auth = required ? WEFT_CLIENT_AUTH_REQUIRED : WEFT_CLIENT_AUTH_NONE;
}

/* The key without a value is left out; with an empty one it is a string that allows nothing. */
void decoder_priority_string(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct priority priority;
    struct weft_error why = {0};
    const char *text = yaml_node_is_null(value) ? NULL : decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    if (path_is_placeholder(text)) {
        decoder_error(decoder, value, "\"%.64s\" is a placeholder; write a priority string, or remove the key", text);
    } else if (priority_parse(&priority, text, &why) != WEFT_OK) {
        decoder_error(decoder, value, "%s", why.text);
    } else {
        decoder->config->options.priority_string = text;
    }
}

void decoder_endpoint_verification(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool on = false;
    if (decoder_bool(decoder, value, &on)) {
        decoder->config->options.require_endpoint_verification = on;
        decoder->endpoint_verification = on ? value : NULL;
    }
}

/* The block's keys stand beside it, and are told one by one. */
static bool encryption_keys_outside(const struct config_decoder *decoder)
{
    for (const struct yaml_node *value = decoder->root->first; value != NULL; value = value->next) {
        if (config_schema_find(CONFIG_BLOCK_ENCRYPTION, value->key) != NULL) {
            return true;
        }
    }
    return false;
}

void decoder_encryption(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (yaml_node_is_null(value) && encryption_keys_outside(decoder)) {
        return;
    }
    if (value->kind != YAML_TREE_MAPPING) {
        decoder_error(decoder, value, "is %s; indent its keys below it, such as internode_encryption: none",
                      yaml_node_kind_name(value));
        return;
    }
    decoder_block(decoder, value, CONFIG_BLOCK_ENCRYPTION);
}

/* A path was written that is none, and that has been told: the default is not what was meant. */
static bool encryption_key_wrong(const struct config_decoder *decoder, const char *key)
{
    const struct yaml_node *block = yaml_node_member(decoder->root, "server_encryption_options");
    const struct yaml_node *value = block != NULL ? yaml_node_member(block, key) : NULL;
    return value != NULL && !value_is_unset(value);
}

/* The file of a key, or its default, checked.  secret: it holds a private key or its password   who: what needs it, for
 * the message */
static const char *encryption_file(struct config_decoder *decoder, const struct yaml_node *written,
                                   const char *standard, const char *key, bool secret, const char *who)
{
    const struct config_surroundings *surroundings = decoder->surroundings;
    struct weft_error why = {0};
    const struct yaml_node *at = written != NULL ? written : decoder->scope;
    if (written == NULL && encryption_key_wrong(decoder, key)) {
        return NULL;
    }
    const char *path = decoder_path(decoder, written != NULL ? written->text : standard);
    uint32_t mode = 0;
    if (path != NULL && surroundings->check_file(surroundings->ctx, path, &mode, &why) != WEFT_OK) {
        decoder_error_as(decoder, at, key, "%s; %s needs a readable file", why.text, who);
        return NULL;
    }
    if (path != NULL && secret && (mode & MODE_OTHERS) != 0) {
        decoder_warning_as(decoder, at, key, "%s is open to every user of this machine (mode %04o); chmod 600 it", path,
                           mode);
    }
    return path;
}

static bool truststore_is_system(const struct config_decoder *decoder)
{
    return decoder->truststore != NULL && strcmp(decoder->truststore->text, TRUSTSTORE_SYSTEM) == 0;
}

static void encryption_files(struct config_decoder *decoder)
{
    struct weft_tls_options *tls = &decoder->config->options.tls;
    enum weft_encryption scope = decoder->config->options.encryption;
    char who[64];
    if (scope == WEFT_ENCRYPTION_NONE && decoder->keyfile == NULL && !encryption_key_wrong(decoder, "keyfile")) {
        decoder_error(decoder, decoder->certificate, "has no keyfile; write the key's path too, or remove it");
        return;
    }
    snprintf(who, sizeof who,
             scope == WEFT_ENCRYPTION_NONE ? "a certificate beside internode_encryption: none"
                                           : "internode_encryption: %s",
             weft_encryption_name(scope));
    tls->certificate = encryption_file(decoder, decoder->certificate, CERTIFICATE_DEFAULT, "certificate", false, who);
    tls->keyfile = encryption_file(decoder, decoder->keyfile, KEYFILE_DEFAULT, "keyfile", true, who);
    if (decoder->keyfile_password != NULL) {
        decoder->config->options.keyfile_password_file =
            encryption_file(decoder, decoder->keyfile_password, NULL, "keyfile_password_file", true, "the keyfile");
    }
    tls->certificate_in_block = decoder->certificate != NULL;
    if (truststore_is_system(decoder)) {
        tls->truststore = TRUSTSTORE_SYSTEM;
    } else if (decoder->truststore != NULL) {
        tls->truststore = encryption_file(decoder, decoder->truststore, NULL, "truststore", false, "checking peers");
    }
}

/* Needed or not: a list that cannot be read is not the one that was meant. */
static void encryption_crl_finish(struct config_decoder *decoder, bool tls_used)
{
    struct weft_node_options *options = &decoder->config->options;
    if (decoder->crl != NULL) {
        options->certificate_revocation_list =
            encryption_file(decoder, decoder->crl, NULL, decoder->crl->key, false, "noticing revoked certificates");
        if (!tls_used) {
            decoder_warning(decoder, decoder->crl,
                            "has no effect: internode_encryption is none and no certificate is "
                            "configured; write internode_encryption, or remove this");
        }
    } else if (options->crl_expired == WEFT_CRL_EXPIRED_WARN) {
        decoder_warning(decoder, yaml_node_member(yaml_node_member(decoder->root, "weft"), "crl_expired"),
                        "has no effect without certificate_revocation_list; write that too, or remove this");
    }
}

/* The plaintext that comes in without showing a certificate. */
static const char *plaintext_links(enum weft_encryption scope)
{
    switch (scope) {
    case WEFT_ENCRYPTION_NONE:
        return "all plaintext links, which are most or all of them";
    case WEFT_ENCRYPTION_RACK:
        return "links within the rack";
    case WEFT_ENCRYPTION_DC:
        return "links within the data centre";
    case WEFT_ENCRYPTION_TRANSITIONAL:
        return "every link that a peer opens in plaintext";
    case WEFT_ENCRYPTION_ALL:
        break;
    }
    return NULL;
}

static void encryption_client_auth_finish(struct config_decoder *decoder, bool tls_used)
{
    enum weft_encryption scope = decoder->config->options.encryption;
    const struct yaml_node *at = decoder->client_auth;
    const char *bypassing = plaintext_links(scope);
    if (tls_used && decoder->truststore == NULL && !decoder->config->options.require_endpoint_verification) {
        decoder_error(decoder, at,
                      "with the system's trust store would admit any certificate of any public authority; "
                      "set truststore or require_endpoint_verification, or write truststore: system if that is "
                      "meant");
    }
    if (bypassing == NULL) {
        return;
    }
    if (decoder->client_auth_plaintext_refused) {
        decoder_error(decoder, at,
                      "is bypassed by %s, and weft: require_client_auth_plaintext is refuse; use "
                      "internode_encryption: all",
                      bypassing);
    } else if (!tls_used) {
        decoder_warning(decoder, at,
                        "has no effect: internode_encryption is none and no certificate is configured; write "
                        "internode_encryption, or remove this");
    } else {
        decoder_warning(decoder, at,
                        "is bypassed by %s; only TLS links show a certificate, and with internode_encryption: all "
                        "every link is one",
                        bypassing);
    }
}

/* What is asked for and cannot be had: who shows no certificate proves nothing by it. */
static void encryption_endpoint_finish(struct config_decoder *decoder, bool tls_used)
{
    const struct yaml_node *at = decoder->endpoint_verification;
    bool optional = decoder->config->options.tls.client_auth == WEFT_CLIENT_AUTH_OPTIONAL;
    if (at == NULL) {
        if (decoder->spiffe_ids != NULL) {
            decoder_warning_as(decoder, decoder->spiffe_ids, "spiffe_ids",
                               "has no effect without require_endpoint_verification");
        }
    } else if (!tls_used) {
        decoder_warning(decoder, at, "has no effect: internode_encryption is none and no certificate is configured");
    } else if (decoder->client_auth == NULL) {
        decoder_warning(decoder, at,
                        "but require_client_auth is %s: who connects without a certificate proves nothing, and is "
                        "admitted; set it to true",
                        optional ? "optional" : "false");
    }
}

static void encryption_port_finish(struct config_decoder *decoder, bool certificate_written)
{
    enum weft_encryption scope = decoder->config->options.encryption;
    if (!decoder->ssl_storage_port_off) {
        return;
    }
    if (policy_has_tls_listener(scope, false)) {
        decoder_error(decoder, decoder->ssl_storage_port,
                      "0 opens no TLS listener, but internode_encryption: %s needs one; write a port, such as 7001",
                      weft_encryption_name(scope));
    } else if (certificate_written) {
        decoder_warning(decoder, decoder->ssl_storage_port, "0: no TLS listener, the certificate is not used");
        decoder->config->options.tls.certificate_in_block = false;
    }
}

static void encryption_location_finish(struct config_decoder *decoder)
{
    const struct weft_node_options *options = &decoder->config->options;
    const struct location own = {options->dc, options->rack};
    if (decoder->scope != NULL && policy_own_location_missing(options->encryption, &own)) {
        decoder_warning(decoder, decoder->scope,
                        "the own location is unknown, so every link is TLS and no plaintext is admitted; set weft: dc "
                        "and rack");
    }
}

void decoder_encryption_finish(struct config_decoder *decoder)
{
    enum weft_encryption scope = decoder->config->options.encryption;
    bool written = decoder->certificate != NULL;
    bool tls_used = policy_needs_certificate(scope) || (written && !decoder->ssl_storage_port_off);
    encryption_port_finish(decoder, written);
    if (tls_used) {
        encryption_files(decoder);
    } else if (decoder->keyfile != NULL && !written) {
        decoder_warning(decoder, decoder->keyfile, "has no effect without certificate");
    }
    if (!tls_used && decoder->keyfile_password != NULL) {
        decoder_warning(decoder, decoder->keyfile_password, "has no effect: no keyfile is used");
    }
    if (decoder->client_auth != NULL) {
        encryption_client_auth_finish(decoder, tls_used);
    }
    encryption_endpoint_finish(decoder, tls_used);
    encryption_crl_finish(decoder, tls_used);
    encryption_location_finish(decoder);
}
