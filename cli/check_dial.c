/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's words are written as they are safe to read; its names are quoted. */
#include "cli/check_dial.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file_argument.h"
#include "cli/name_text.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/base/uuid.h"
#include "engine/io/resolver.h"
#include "topology/cluster/remedy.h"
#include "topology/cluster/trial.h"

static enum weft_err dial_resolve(const char *name, uint16_t port, struct address *to, struct weft_error *why)
{
    struct resolver *resolver = NULL;
    WEFT_TRY(resolver_create(&resolver, RESOLVER_LIMIT_NS, NULL, why));
    enum weft_err err = resolver_ask(resolver, name, to, why);
    resolver_destroy(resolver);
    to->port = port;
    return err;
}

/* @return ok | INVALID: not HOST:PORT | as resolver_ask */
static enum weft_err dial_parse(const char *text, struct address *to, struct weft_error *why)
{
    if (address_parse_with_port(to, text) == WEFT_OK && to->port != 0) {
        return WEFT_OK;
    }
    char name[RESOLVER_NAME_BYTES_MAX + 1];
    const char *colon = strrchr(text, ':');
    size_t bytes = colon != NULL ? (size_t)(colon - text) : 0;
    const char *digits = colon != NULL ? colon + 1 : "";
    unsigned long port = strtoul(digits, NULL, 10);
    bool number = digits[0] != '\0' && strspn(digits, "0123456789") == strlen(digits) && strlen(digits) <= 5;
    if (bytes == 0 || bytes >= sizeof name || memchr(text, ':', bytes) != NULL || !number || port == 0 ||
        port > UINT16_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "'%s' is not HOST:PORT, such as 192.0.2.7:7001 or [2001:db8::7]:7001", text);
    }
    memcpy(name, text, bytes);
    name[bytes] = '\0';
    return dial_resolve(name, (uint16_t)port, to, why);
}

static bool peer_is_at(const struct weft_peer_options *peer, const struct address *to)
{
    for (uint32_t i = 0; i < WEFT_PEER_ADDRESSES_MAX && peer->addresses[i] != NULL; i++) {
        struct address address;
        if (address_parse(&address, peer->addresses[i], to->port) == WEFT_OK && address_same_ip(&address, to)) {
            return true;
        }
    }
    return false;
}

/* What the port is for, by the entry of the peer if there is one, else by our own ports.
 * @return ok | INVALID: it is neither */
static enum weft_err dial_security(const struct config *config, const struct check_dial *dial, const struct address *to,
                                   bool *tls, struct weft_error *why)
{
    uint16_t plain = config_storage_port(config);
    uint16_t secure = config_ssl_storage_port(config);
    *tls = dial->security == CHECK_SECURITY_TLS;
    if (dial->security != CHECK_SECURITY_BY_PORT) {
        return WEFT_OK;
    }
    for (uint32_t i = 0; i < config->options.peer_count; i++) {
        const struct weft_peer_options *peer = &config->options.peers[i];
        if (peer_is_at(peer, to)) {
            plain = peer->storage_port != 0 ? peer->storage_port : plain;
            secure = peer->ssl_storage_port != 0 ? peer->ssl_storage_port : secure;
            break;
        }
    }
    *tls = to->port == secure;
    if (to->port != secure && to->port != plain) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "port %u is neither the storage_port (%u) nor the ssl_storage_port (%u) there: say "
                              "--security plain or --security tls",
                              to->port, plain, secure);
    }
    return WEFT_OK;
}

static void dial_print(const char *where, bool tls, const struct trial_result *result)
{
    const struct weft_error *error = &result->error;
    printf("%s %s: %s", where, tls ? "tls" : "plain", result->reached ? "reached" : "not reached");
    if (!result->reached) {
        struct remedy remedy = remedy_of(error, result->told);
        const char *reason = weft_reason_name(error->reason);
        bool more = error->text[0] != '\0' && strcmp(error->text, reason) != 0;
        printf(": %s%s%s\n", reason, more ? ": " : "", more ? error->text : "");
        printf("  said by      %s\n  change       %s: %s\n", result->told ? "the peer" : "this node",
               remedy_side_name(remedy.side), remedy.text);
    } else {
        putchar('\n');
    }
    if (result->secured) {
        printf("  tls          %s, %s, certificate %s\n", result->facts.version, result->facts.cipher,
               result->facts.peer_verified ? "verified" : "not shown");
    }
    if (result->has_hello) {
        char id[UUID_TEXT_BYTES];
        uuid_print(result->hello.id, id);
        printf("  peer         %s, cluster ", id);
        name_text_print(result->hello.cluster);
        fputs(", dc ", stdout);
        name_text_print(result->hello.dc);
        fputs(", rack ", stdout);
        name_text_print(result->hello.rack);
        printf(", %u shard%s\n", result->hello.shards, result->hello.shards == 1 ? "" : "s");
    } else if (result->reached) {
        puts("  peer         no weft node: it says no hello");
    }
}

static json_t *dial_failure_json(const struct trial_result *result)
{
    if (result->reached) {
        return json_null();
    }
    struct remedy remedy = remedy_of(&result->error, result->told);
    return json_pack("{s:s, s:o, s:s, s:s, s:s}", "reason", weft_reason_name(result->error.reason), "text",
                     name_text_json(result->error.text), "said_by", result->told ? "peer" : "self", "change_on",
                     remedy_side_name(remedy.side), "change", remedy.text);
}

static json_t *dial_hello_json(const struct trial_result *result)
{
    char id[UUID_TEXT_BYTES];
    if (!result->has_hello) {
        return json_null();
    }
    uuid_print(result->hello.id, id);
    return json_pack("{s:s, s:o, s:o, s:o, s:i}", "id", id, "cluster", name_text_json(result->hello.cluster), "dc",
                     name_text_json(result->hello.dc), "rack", name_text_json(result->hello.rack), "shards",
                     (int)result->hello.shards);
}

static bool dial_print_json(const char *where, bool tls, const struct trial_result *result)
{
    json_t *secure = result->secured ? json_pack("{s:s, s:s, s:b}", "version", result->facts.version, "cipher",
                                                 result->facts.cipher, "verified", (int)result->facts.peer_verified)
                                     : json_null();
    json_t *object = json_pack("{s:b, s:s, s:s, s:o, s:o, s:o}", "reached", (int)result->reached, "address", where,
                               "security", tls ? "tls" : "plain", "failure", dial_failure_json(result), "tls", secure,
                               "peer", dial_hello_json(result));
    bool ok = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
}

void check_dial_undialed(const struct check_dial *dial, enum weft_err err, const char *text)
{
    if (!dial->json) {
        return;
    }
    json_t *failure = json_pack("{s:s, s:o, s:s, s:s, s:n}", "reason", weft_err_name(err), "text", name_text_json(text),
                                "said_by", "self", "change_on", "here", "change");
    json_t *object = json_pack("{s:b, s:o, s:n, s:o, s:n, s:n}", "reached", 0, "address", name_text_json(dial->to),
                               "security", "failure", failure, "tls", "peer");
    (void)json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
    json_decref(object);
    putchar('\n');
}

int check_dial_run(const struct config *config, const struct check_dial *dial)
{
    struct weft_error why = {0};
    struct trial trial = {.tls = false};
    struct trial_result result;
    char where[ADDRESS_TEXT_BYTES];
    enum weft_err err = dial_parse(dial->to, &trial.to, &why);
    if (err == WEFT_OK) {
        err = dial_security(config, dial, &trial.to, &trial.tls, &why);
    }
    int code = err == WEFT_ERR_INVALID ? 2 : 1;
    if (err == WEFT_OK) {
        err = trial_run(&config->options, &trial, &result, &why);
    }
    if (err != WEFT_OK) {
        check_dial_undialed(dial, err, why.text);
        fprintf(stderr, "weft check: --dial: %s\n", why.text);
        return code;
    }
    address_print(&trial.to, where);
    bool written = true;
    if (dial->json) {
        written = dial_print_json(where, trial.tls, &result);
    } else {
        dial_print(where, trial.tls, &result);
    }
    return file_argument_printed("weft check") && written && result.reached ? 0 : 1;
}
