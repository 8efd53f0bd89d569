# SPDX-License-Identifier: Apache-2.0
"""What GnuTLS itself makes of a priority string, read from `gnutls-cli --list`, in weft's terms: restricted to what
OpenSSL and weft have.  Also a generator of priority strings."""
import os
import re
import subprocess

GROUPS = {"GROUP-" + name.upper(): name for name in (
    "secp256r1", "secp384r1", "secp521r1", "secp224r1", "x25519", "x448", "ffdhe2048", "ffdhe3072", "ffdhe4096",
    "ffdhe6144", "ffdhe8192")}
# SHA-1 is missing on purpose: OpenSSL refuses it.
SIGNATURES = {
    "SIGN-RSA-SHA224": "rsa_pkcs1_sha224", "SIGN-RSA-SHA256": "rsa_pkcs1_sha256", "SIGN-RSA-SHA384": "rsa_pkcs1_sha384",
    "SIGN-RSA-SHA512": "rsa_pkcs1_sha512", "SIGN-RSA-PSS-SHA256": "rsa_pss_pss_sha256",
    "SIGN-RSA-PSS-SHA384": "rsa_pss_pss_sha384", "SIGN-RSA-PSS-SHA512": "rsa_pss_pss_sha512",
    "SIGN-RSA-PSS-RSAE-SHA256": "rsa_pss_rsae_sha256", "SIGN-RSA-PSS-RSAE-SHA384": "rsa_pss_rsae_sha384",
    "SIGN-RSA-PSS-RSAE-SHA512": "rsa_pss_rsae_sha512", "SIGN-ECDSA-SHA224": "ecdsa_sha224",
    "SIGN-ECDSA-SHA256": "ecdsa_secp256r1_sha256", "SIGN-ECDSA-SHA384": "ecdsa_secp384r1_sha384",
    "SIGN-ECDSA-SHA512": "ecdsa_secp521r1_sha512", "SIGN-ECDSA-SECP256R1-SHA256": "ecdsa_secp256r1_sha256",
    "SIGN-ECDSA-SECP384R1-SHA384": "ecdsa_secp384r1_sha384", "SIGN-ECDSA-SECP521R1-SHA512": "ecdsa_secp521r1_sha512",
    "SIGN-EdDSA-Ed25519": "ed25519", "SIGN-EdDSA-Ed448": "ed448", "SIGN-DSA-SHA224": "dsa_sha224",
    "SIGN-DSA-SHA256": "dsa_sha256", "SIGN-DSA-SHA384": "dsa_sha384", "SIGN-DSA-SHA512": "dsa_sha512"}
VERSIONS = {"VERS-TLS1.3": "TLSv1.3", "VERS-TLS1.2": "TLSv1.2"}

LEVELS = ["NORMAL", "LEGACY", "PERFORMANCE", "PFS", "SECURE", "SECURE128", "SECURE192", "SECURE256", "SUITEB128",
          "SUITEB192"]
CIPHERS = ["AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305", "AES-256-CCM", "AES-128-CCM", "AES-256-CCM-8",
           "AES-128-CCM-8", "AES-256-CBC", "AES-128-CBC", "CAMELLIA-256-CBC", "CAMELLIA-128-CBC"]
KXS = ["ECDHE-ECDSA", "ECDHE-RSA", "RSA", "DHE-RSA", "DHE-DSS"]
MACS = ["AEAD", "SHA1", "SHA256", "SHA384"]
BULKS = ["VERS-ALL", "VERS-TLS-ALL", "CIPHER-ALL", "KX-ALL", "MAC-ALL", "GROUP-ALL", "CURVE-ALL", "GROUP-EC-ALL",
         "GROUP-DH-ALL", "SIGN-ALL", "CTYPE-ALL", "COMP-ALL"]
# What weft has not can be removed all the same.
ABSENT = ["VERS-TLS1.1", "VERS-TLS1.0", "VERS-SSL3.0", "VERS-DTLS1.2", "VERS-DTLS-ALL", "3DES-CBC", "ARCFOUR-128",
          "CAMELLIA-256-GCM", "ANON-ECDH", "PSK", "MD5", "SIGN-RSA-SHA1", "SIGN-ECDSA-SHA1", "SIGN-RSA-MD5",
          "GROUP-SECP192R1", "COMP-DEFLATE", "CTYPE-X509", "CTYPE-OPENPGP"]
SPECIALS = ["%SERVER_PRECEDENCE", "%COMPAT", "%NO_TICKETS", "%PROFILE_MEDIUM", "%SAFE_RENEGOTIATION", "%NO_ETM",
            "%LATEST_RECORD_VERSION", "%NO_SESSION_HASH", "%DUMBFW"]


def openssl_suites():
    """Suites that OpenSSL offers with a certificate, as numbers on the wire; those of TLS 1.3 that it has, but does not
    offer by default, as well."""
    said = subprocess.run(["openssl", "ciphers", "-s", "-V", "ALL:COMPLEMENTOFALL"], capture_output=True, text=True,
                          check=True).stdout
    suites = {tuple(int(part, 16) for part in line.split()[0].split(",")) for line in said.splitlines()}
    return suites | {(0x13, 0x04), (0x13, 0x05)}


def environment():
    """Without the system's own restrictions."""
    return dict(os.environ, GNUTLS_SYSTEM_PRIORITY_FILE="/dev/null")


def gnutls_read(text):
    """What gnutls-cli says, as lists; None where it refuses the string."""
    done = subprocess.run(["gnutls-cli", "--list", "--priority", text], capture_output=True, text=True,
                          env=environment(), check=False)
    if done.returncode != 0 or "Protocols: " not in done.stdout:
        return None
    read = {"suites": []}
    for line in done.stdout.splitlines():
        suite = re.match(r"(TLS_\S+)\s+0x(..), 0x(..)\s", line)
        if suite:
            read["suites"].append((suite[1], (int(suite[2], 16), int(suite[3], 16))))
        for title in ("Protocols", "Groups", "PK-signatures"):
            if line.startswith(title + ": "):
                read[title] = line.split(": ", 1)[1].split(", ")
    return read


def once(names):
    return list(dict.fromkeys(names))


def expected(text, suites_known):
    """What weft must say; None where weft must refuse.  Three things differ, because OpenSSL cannot do them: a version
    without a suite, TLS 1.2 suites with an elliptic key exchange but without any group, and versions before 1.2."""
    read = gnutls_read(text)
    if read is None:
        return None
    groups = [GROUPS[name] for name in read["Groups"] if name in GROUPS]
    signatures = once(SIGNATURES[name] for name in read["PK-signatures"] if name in SIGNATURES)
    offered = [VERSIONS[name] for name in read["Protocols"] if name in VERSIONS]
    suites = []
    for name, number in read["suites"]:
        version = "TLSv1.3" if number[0] == 0x13 else "TLSv1.2"
        if number not in suites_known or version not in offered or (name.startswith("TLS_ECDHE") and not groups):
            continue
        suites.append((version, number))
    versions = [version for version in offered if any(version == of for of, _ in suites)] if signatures else []
    if not versions:
        return None
    return {"versions": versions, "suites": [number for _, number in suites], "groups": groups,
            "signatures": signatures}


def generate(random):
    """One priority string; most mean something."""
    text = [random.choice(LEVELS + ["NONE"])]
    if text[0] == "NONE":
        text += ["+VERS-TLS1.3"] * random.randrange(2) + ["+VERS-TLS1.2"] * random.randrange(2)
        for names in (CIPHERS, KXS, MACS, list(GROUPS), list(SIGNATURES)):
            text += ["+" + name for name in random.sample(names, random.randrange(1, len(names)))]
        text += random.sample(["+CIPHER-ALL", "+KX-ALL", "+AEAD", "+GROUP-ALL", "+SIGN-ALL"], random.randrange(6))
    for _ in range(random.randrange(7)):
        kind = random.randrange(10)
        if kind < 2:
            name = random.choice(BULKS)
            text.append("-" + name)
            if random.randrange(4) > 0:
                text += refill(random, name)
        elif kind == 2:
            text.append(random.choice(["+", ""]) + random.choice(LEVELS))
        elif kind == 3:
            text.append(random.choice("-!") + random.choice(ABSENT))
        elif kind == 4:
            text.append(random.choice(SPECIALS))
        elif kind == 5:
            text.append("+" + random.choice(BULKS))
        else:
            names = random.choice([CIPHERS, KXS, MACS, list(GROUPS), list(SIGNATURES), list(VERSIONS)])
            text.append(random.choice("++-!") + random.choice(names))
    joined = random.choice([":", ":", ": "]).join(text)
    return joined.lower() if "%" not in joined and random.randrange(10) == 0 else joined


def refill(random, bulk):
    """Something for what was just emptied."""
    names = {"VERS": list(VERSIONS), "CIPHER": CIPHERS, "KX": KXS, "MAC": MACS, "GROUP": list(GROUPS),
             "CURVE": list(GROUPS), "SIGN": list(SIGNATURES)}.get(bulk.split("-")[0], [])
    return ["+" + name for name in random.sample(names, random.randrange(1, len(names) + 1))] if names else []
