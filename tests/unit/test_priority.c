/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a priority string means what is written in docs/manual/priority-strings.md, and a wrong one is refused in one
 * line that says where and what would be right.  Method: strings and what comes of them, in tables; that GnuTLS agrees
 * is for tests/interop/test_priority.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tls/priority.h"
#include "tls/priority_table.h"

#define ALL "NONE:+VERS-ALL:+CIPHER-ALL:+KX-ALL:+MAC-ALL:+GROUP-ALL:+SIGN-ALL"

static struct priority taken(const char *text)
{
    struct priority priority;
    struct weft_error why = {.code = WEFT_OK};
    enum weft_err err = priority_parse(&priority, text, &why);
    if (err != WEFT_OK) {
        print_error("%s: %s\n", text, why.text);
    }
    assert_int_equal(err, WEFT_OK);
    return priority;
}

static bool has_suite(const struct priority *priority, const char *name)
{
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        if (strcmp(priority->suites[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_dropped(const struct priority *priority, const char *name)
{
    for (uint32_t i = 0; i < priority->dropped_count; i++) {
        if (strcmp(priority->dropped[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void priority__wrong__one_line_with_place_and_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *said; /* all of it */
    } cases[] = {
        {"", "is empty; write a keyword such as NORMAL, or leave it out"},
        {"   ", "is empty; write a keyword such as NORMAL, or leave it out"},
        {":NORMAL", "nothing stands at character 1; write a token there, or remove the ':'"},
        {"NORMAL:", "nothing stands at character 8; write a token there, or remove the ':'"},
        {"NORMAL: :%COMPAT", "nothing stands at character 9; write a token there, or remove the ':'"},
        {"NORML", "\"NORML\" at character 1 is not known; nearest is \"NORMAL\""},
        {"NORMAL :-RSA", "\"NORMAL \" at character 1 is not known; nearest is \"NORMAL\""},
        {"NORMAL:NONE", "\"NONE\" at character 8: can only be the first"},
        {"NORMAL:AES-256-GCM", "\"AES-256-GCM\" at character 8: begin it with '+' to add it, or with '-' to remove it"},
        {"NORMAL:+AES-256-GMC", "\"+AES-256-GMC\" at character 8 is not known; nearest is \"+AES-256-GCM\""},
        {"NORMAL:-VERS-TLS13", "\"-VERS-TLS13\" at character 8 is not known; nearest is \"-VERS-TLS1.3\""},
        {"NORMAL:  !AEDA", "\"!AEDA\" at character 10 is not known; nearest is \"!AEAD\""},
        {"NORMAL:+SECURE265", "\"+SECURE265\" at character 8 is not known; nearest is \"+SECURE256\""},
        {"NORMAL:%SERVER_PRECEDANCE",
         "\"%SERVER_PRECEDANCE\" at character 8 is not known; nearest is \"%SERVER_PRECEDENCE\""},
        {"NORMAL:%compat", "\"%compat\" at character 8 is not known; nearest is \"%COMPAT\""},
        {"NORMAL:-SECURE256", "\"-SECURE256\" at character 8: a keyword can be added, but not removed; remove names, "
                              "such as -AES-128-CBC"},
        {"@SYSTEM", "\"@SYSTEM\" at character 1: names of the system's GnuTLS configuration are not read; write out "
                    "what it stands for, such as NORMAL"},
        {"NORMAL:@X,Y", "\"@X,Y\" at character 8: names of the system's GnuTLS configuration are not read; write out "
                        "what it stands for, such as NORMAL"},
        {"NORMAL:+VERS-TLS1.1", "\"+VERS-TLS1.1\" at character 8: weft has TLS 1.2 and 1.3 only; leave it out, or take "
                                "\"+VERS-TLS1.3\""},
        {"NORMAL:+VERS-SSL3.0", "\"+VERS-SSL3.0\" at character 8: weft has TLS 1.2 and 1.3 only; leave it out, or take "
                                "\"+VERS-TLS1.3\""},
        {"NORMAL:+VERS-DTLS1.2", "\"+VERS-DTLS1.2\" at character 8: weft has TLS 1.2 and 1.3 only; leave it out, or "
                                 "take \"+VERS-TLS1.2\""},
        {"NORMAL:+VERS-DTLS-ALL", "\"+VERS-DTLS-ALL\" at character 8: weft has TLS 1.2 and 1.3 only; leave it out"},
        {"NORMAL:+CAMELLIA-256-GCM", "\"+CAMELLIA-256-GCM\" at character 8: OpenSSL has no TLS suite with it; leave it "
                                     "out, or take \"+CAMELLIA-256-CBC\""},
        {"NORMAL:+NULL", "\"+NULL\" at character 8: it does not encrypt; leave it out, or take \"+AES-256-GCM\""},
        {"NORMAL:+ANON-ECDH",
         "\"+ANON-ECDH\" at character 8: it authenticates nobody; leave it out, or take \"+ECDHE-ECDSA\""},
        {"NORMAL:+SIGN-RSA-SHA1", "\"+SIGN-RSA-SHA1\" at character 8: OpenSSL refuses signatures with SHA-1 as too "
                                  "weak; leave it out, or take \"+SIGN-RSA-SHA512\""},
        {"NORMAL:+GOST", "\"+GOST\" at character 8: OpenSSL has no GOST; leave it out"},
        {"NORMAL:+CTYPE-RAWPK",
         "\"+CTYPE-RAWPK\" at character 8: weft authenticates by X.509 certificates only; leave it out"},
        {"NORMAL:+COMP-DEFLATE", "\"+COMP-DEFLATE\" at character 8: weft does not compress below TLS; leave it out"},
        {"NORMAL:%VERIFY_DISABLE_CRL_CHECKS", "\"%VERIFY_DISABLE_CRL_CHECKS\" at character 8: it would have weft take "
                                              "certificates that are not sound; leave it out"},
        {"NORMAL:%FORCE_ETM", "\"%FORCE_ETM\" at character 8: OpenSSL cannot demand it; remove suites with CBC "
                              "instead, by \"-MAC-ALL:+AEAD\""},
        {"NORMAL:-VERS-ALL", "leaves no version of TLS that weft has; add \"+VERS-TLS1.3\" or \"+VERS-TLS1.2\""},
        {"NONE", "leaves no version of TLS that weft has; add \"+VERS-TLS1.3\" or \"+VERS-TLS1.2\""},
        {"NORMAL:-VERS-TLS1.2", "leaves TLS 1.3 beside versions below 1.2, without 1.2, which GnuTLS does not offer; "
                                "add \"-VERS-ALL:+VERS-TLS1.3\""},
        {"NORMAL:-SIGN-ALL", "leaves no signature algorithm that suffices; add \"+SIGN-ALL\""},
        {"NORMAL:-SIGN-ALL:+SIGN-DSA-SHA256", "leaves no signature algorithm that suffices; add \"+SIGN-ALL\""},
        {"NORMAL:-MAC-ALL", "leaves no cipher suite; it needs ciphers (\"+CIPHER-ALL\"), MACs (\"+AEAD\"), groups "
                            "(\"+GROUP-ALL\") and, for TLS 1.2, key exchanges (\"+ECDHE-ECDSA\", \"+ECDHE-RSA\")"},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct priority priority;
        struct weft_error why = {.code = WEFT_OK};
        assert_int_equal(priority_parse(&priority, cases[i].text, &why), WEFT_ERR_CONFIG);
        assert_string_equal(why.text, cases[i].said);
    }
}

static void priority__too_long__refused(void **state)
{
    static char text[PRIORITY_TEXT_BYTES_MAX + 2];
    struct priority priority;
    struct weft_error why = {.code = WEFT_OK};
    (void)state;
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "NORMAL:", 7);
    memcpy(text + PRIORITY_TEXT_BYTES_MAX - 4, "-RSA", 5);
    taken(text);
    memcpy(text + PRIORITY_TEXT_BYTES_MAX - 3, "-RSA", 5);
    assert_int_equal(priority_parse(&priority, text, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "longer than 2048 characters"));
}

static void priority__too_many_tokens__refused(void **state)
{
    static char text[PRIORITY_TEXT_BYTES_MAX];
    struct priority priority;
    struct weft_error why = {.code = WEFT_OK};
    (void)state;
    memcpy(text, "NORMAL", 7);
    for (uint32_t i = 1; i < PRIORITY_TOKENS_MAX; i++) {
        memcpy(text + strlen(text), ":-MD5", 6);
    }
    taken(text);
    memcpy(text + strlen(text), ":-MD5", 6);
    assert_int_equal(priority_parse(&priority, text, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "too many tokens"));
}

static void priority__token_too_long__its_beginning_told(void **state)
{
    struct priority priority;
    struct weft_error why = {.code = WEFT_OK};
    (void)state;
    char text[200] = "NORMAL:+";
    memset(text + 8, 'A', 150);
    assert_int_equal(priority_parse(&priority, text, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "AAA...\" at character 8 is not known"));
}

static void priority__keywords__contain_what_they_say(void **state)
{
    (void)state;
    struct priority priority = taken("NORMAL");
    assert_int_equal(priority.version_count, 2);
    assert_int_equal(priority.versions[0], TLS_VERSION_1_3);
    assert_int_equal(priority.versions[1], TLS_VERSION_1_2);
    assert_string_equal(priority.suites[0]->name, "TLS_AES_256_GCM_SHA384");
    assert_string_equal(priority.suites[4]->name, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    assert_int_equal(priority.suite_count, 29);
    assert_int_equal(priority.verify_level, 0);
    assert_true(has_dropped(&priority, "VERS-TLS1.1") && has_dropped(&priority, "VERS-DTLS1.0"));
    assert_true(has_dropped(&priority, "SIGN-RSA-SHA1") && !has_dropped(&priority, "VERS-TLS1.2"));
    priority = taken("PERFORMANCE");
    assert_string_equal(priority.suites[0]->name, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(priority.suites[4]->name, "TLS_RSA_WITH_AES_128_GCM_SHA256");
    priority = taken("PFS");
    assert_false(has_suite(&priority, "TLS_RSA_WITH_AES_256_GCM_SHA384"));
    assert_true(has_suite(&priority, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"));
    priority = taken("SECURE256");
    assert_false(has_suite(&priority, "TLS_AES_128_GCM_SHA256"));
    assert_string_equal(priority.groups[0]->name, "secp384r1");
    assert_int_equal(priority.verify_level, 3);
    priority = taken("SUITEB192");
    assert_int_equal(priority.suite_count, 1);
    assert_int_equal(priority.versions[0], TLS_VERSION_1_2);
    assert_int_equal(priority.signature_count, 1);
    assert_int_equal(priority.verify_level, 4);
    assert_int_equal(taken("SECURE").verify_level, 2);
}

static void priority__names__added_behind_removed_and_once(void **state)
{
    (void)state;
    struct priority priority = taken("secure256:+aes-128-gcm:+aes-256-gcm:!CHACHA20-POLY1305: +curve-x25519");
    assert_string_equal(priority.suites[0]->name, "TLS_AES_256_GCM_SHA384");
    assert_string_equal(priority.suites[1]->name, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(priority.groups[priority.group_count - 1]->name, "x25519");
    assert_false(has_suite(&priority, "TLS_CHACHA20_POLY1305_SHA256"));
    priority = taken(ALL ":-SIGN-ALL:+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-EdDSA-Ed25519");
    assert_int_equal(priority.signature_count, 2);
    assert_string_equal(priority.signatures[0]->name, "ecdsa_secp256r1_sha256");
    priority = taken(ALL ":-GROUP-DH-ALL:+GROUP-SECP224R1:-GROUP-EC-ALL");
    assert_int_equal(priority.group_count, 1);
    assert_int_equal(taken(ALL ":-GROUP-ALL:+GROUP-X448").group_count, 1);
    priority = taken(ALL ":-CTYPE-X509:-CTYPE-RAWPK:-COMP-ALL:+COMP-NULL:-ARCFOUR-128:-VERS-SSL3.0:-KX-GOST-ALL");
    assert_int_equal(priority.suite_count, 29);
}

static void priority__version_without_suite__dropped(void **state)
{
    (void)state;
    struct priority priority = taken("NORMAL:-AEAD");
    assert_int_equal(priority.version_count, 1);
    assert_int_equal(priority.versions[0], TLS_VERSION_1_2);
    assert_true(has_dropped(&priority, "VERS-TLS1.3"));
    priority = taken("NORMAL:-KX-ALL");
    assert_int_equal(priority.version_count, 1);
    assert_int_equal(priority.versions[0], TLS_VERSION_1_3);
    assert_true(has_dropped(&priority, "VERS-TLS1.2"));
    priority = taken("NORMAL:-GROUP-ALL");
    assert_false(has_suite(&priority, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"));
    assert_true(has_suite(&priority, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"));
}

static void priority__specials__set_what_they_say(void **state)
{
    (void)state;
    assert_int_equal(taken("NORMAL").flags, 0);
    assert_int_equal(taken("NORMAL:%SERVER_PRECEDENCE").flags, PRIORITY_SERVER_PRECEDENCE);
    assert_int_equal(taken("NORMAL:%NO_ETM:%NO_SESSION_HASH").flags, PRIORITY_NO_ETM | PRIORITY_NO_SESSION_HASH);
    assert_int_equal(taken("NORMAL:%DUMBFW:%FALLBACK_SCSV:%DISABLE_TLS13_COMPAT_MODE").flags,
                     PRIORITY_PADDING | PRIORITY_FALLBACK_SCSV | PRIORITY_NO_TLS13_COMPAT);
    assert_int_equal(taken("SECURE256:%PROFILE_ULTRA").verify_level, 4);
    assert_int_equal(taken("SECURE256:%PROFILE_LOW:+SECURE256").verify_level, 1);
    assert_int_equal(taken("SECURE256:%FORCE_ETM:%NO_TICKETS:%SAFE_RENEGOTIATION").flags, 0);
    struct priority priority = taken("NORMAL:%COMPAT:%COMPAT");
    assert_string_equal(priority.dropped[0], "%COMPAT");
    assert_string_not_equal(priority.dropped[1], "%COMPAT");
}

static void priority__every_special_and_name__translated_or_refused(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PRIORITY_NAME_COUNT; i++) {
        char text[64];
        struct priority priority;
        snprintf(text, sizeof text, "NORMAL:+%s", priority_names[i].text);
        assert_int_equal(priority_parse(&priority, text, NULL) == WEFT_OK, priority_names[i].absent == NULL);
        bool translated = priority_names[i].kind == PRIORITY_GROUP       ? priority_group_find((uint8_t)i) != NULL
                          : priority_names[i].kind == PRIORITY_SIGNATURE ? priority_signature_find((uint8_t)i) != NULL
                                                                         : priority_names[i].absent == NULL;
        assert_int_equal(translated, priority_names[i].absent == NULL);
    }
    for (uint32_t i = 0; i < priority_special_count; i++) {
        char text[64];
        struct priority priority;
        snprintf(text, sizeof text, "SECURE256:%s", priority_specials[i].text);
        assert_int_equal(priority_parse(&priority, text, NULL) != WEFT_OK,
                         priority_specials[i].effect == EFFECT_REFUSED);
    }
}

static void priority__default__forward_secrecy_and_aead_by_cpu(void **state)
{
    (void)state;
    static const char *const firsts[] = {"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"};
    static const char *const lasts[] = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"};
    for (uint32_t aes = 0; aes < 2; aes++) {
        struct priority priority;
        priority_default(&priority, aes == 1);
        assert_int_equal(priority.version_count, 2);
        assert_int_equal(priority.suite_count, 9);
        assert_int_equal(priority.dropped_count, 0);
        assert_int_equal(priority.flags, PRIORITY_SERVER_PRECEDENCE);
        assert_string_equal(priority.suites[0]->name, firsts[aes]);
        assert_string_equal(priority.suites[8]->name, lasts[aes]);
        assert_string_equal(priority.groups[0]->name, "x25519");
        for (uint32_t i = 0; i < priority.suite_count; i++) {
            assert_int_equal(priority.suites[i]->mac, NAME_AEAD);
            assert_true(i < 3 || strncmp(priority.suites[i]->name, "TLS_ECDHE_", 10) == 0);
        }
    }
}

static void priority__suites_as_text__by_version_and_within_bounds(void **state)
{
    (void)state;
    char text[PRIORITY_LIST_BYTES];
    struct priority priority = taken("SUITEB128:+VERS-TLS1.3");
    assert_true(priority_suites_text(&priority, TLS_VERSION_1_3, text, sizeof text));
    assert_string_equal(text, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256");
    assert_true(priority_suites_text(&priority, TLS_VERSION_1_2, text, 60));
    assert_string_equal(text, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_false(priority_suites_text(&priority, TLS_VERSION_1_2, text, 59));
    priority = taken("NORMAL:+CAMELLIA-256-CBC:+CAMELLIA-128-CBC:+AES-256-CCM-8:+AES-128-CCM-8:+DHE-DSS:+SHA256:"
                     "+SHA384");
    assert_int_equal(priority.suite_count, priority_suite_count);
    assert_true(priority_suites_text(&priority, TLS_VERSION_1_2, text, sizeof text));
}

static void priorities__two_strings__meet_or_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        enum weft_reason reason;
    } cases[] = {
        {"NORMAL", "NORMAL", WEFT_REASON_NONE},
        {"SECURE256", "NORMAL:-VERS-ALL:+VERS-TLS1.3", WEFT_REASON_NONE},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3", WEFT_REASON_TLS_VERSION},
        {"NORMAL:-CIPHER-ALL:+AES-256-GCM", "NORMAL:-CIPHER-ALL:+AES-128-GCM", WEFT_REASON_TLS_NO_SHARED_CIPHER},
        {"NORMAL:-GROUP-ALL:+GROUP-X25519:-DHE-RSA:-RSA", "NORMAL:-GROUP-ALL:+GROUP-SECP256R1:-DHE-RSA:-RSA",
         WEFT_REASON_TLS_NO_SHARED_CIPHER},
        {"NORMAL:-GROUP-ALL:+GROUP-X25519:+RSA", "NORMAL:-GROUP-ALL:+GROUP-SECP256R1:+RSA", WEFT_REASON_NONE},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519", "NORMAL:-GROUP-ALL:+GROUP-SECP256R1",
         WEFT_REASON_TLS_NO_SHARED_CIPHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct priority a = taken(cases[i].a);
        struct priority b = taken(cases[i].b);
        assert_int_equal(priority_meet(&a, &b), cases[i].reason);
        assert_int_equal(priority_meet(&b, &a), cases[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priority__wrong__one_line_with_place_and_remedy),
        cmocka_unit_test(priority__too_long__refused),
        cmocka_unit_test(priority__too_many_tokens__refused),
        cmocka_unit_test(priority__token_too_long__its_beginning_told),
        cmocka_unit_test(priority__keywords__contain_what_they_say),
        cmocka_unit_test(priority__names__added_behind_removed_and_once),
        cmocka_unit_test(priority__version_without_suite__dropped),
        cmocka_unit_test(priority__specials__set_what_they_say),
        cmocka_unit_test(priority__every_special_and_name__translated_or_refused),
        cmocka_unit_test(priority__default__forward_secrecy_and_aead_by_cpu),
        cmocka_unit_test(priorities__two_strings__meet_or_the_reason),
        cmocka_unit_test(priority__suites_as_text__by_version_and_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
