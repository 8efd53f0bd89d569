# SPDX-License-Identifier: Apache-2.0
"""Certificate authorities by the openssl program: leaves with any dates, names and keys, and revocation lists."""

import os
import subprocess

LEAF = """[leaf]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage={usage}
subjectAltName={names}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
CA = """[authority]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
"""
USAGE = "serverAuth,clientAuth"
NAMES = "IP:127.0.0.1,DNS:n1.example"


def openssl(*words, text=None):
    done = subprocess.run(["openssl", *words], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr}")
    return done.stdout


class Authority:
    """A CA by the openssl program, with a database for its revocation lists."""

    def __init__(self, folder, name, parent=None):
        self.folder, self.name, self.parent = folder, name, parent
        self.database = self.path("db")
        open(self.database, "w", encoding="utf-8").close()
        with open(self.path("cnf"), "w", encoding="utf-8") as file:
            file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.database}\ndefault_md=sha256\n"
                       f"crlnumber={self.path('number')}\ndefault_crl_days=30\n" + CA)
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path("key"))
        self.sign("authority", self.path("key"), self.path("crt"), CA, f"/CN={name}", parent or self,
                  days=("-1", "3650"))

    def path(self, kind):
        return os.path.join(self.folder, f"{self.name}.{kind}")

    def sign(self, section, key, to, extensions, subject, signer, days=("-1", "365"), serial=None, digest="sha256"):
        """A certificate with dates in days from now; openssl x509 can only begin now, so openssl ca signs."""
        request, config = to + ".csr", to + ".ext"
        with open(config, "w", encoding="utf-8") as file:
            file.write(extensions)
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        with open(signer.path("serial"), "w", encoding="utf-8") as file:
            file.write(serial or os.urandom(8).hex().replace("8", "7", 1).rjust(16, "1"))
        with open(to + ".cnf", "w", encoding="utf-8") as file:
            file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={signer.database}\nserial={signer.path('serial')}\n"
                       f"new_certs_dir={self.folder}\ndefault_md={digest}\npolicy=p\nunique_subject=no\n"
                       f"[p]\ncommonName=optional\n{extensions}")
        begin, end = (date(day) for day in days)
        own = ["-selfsign"] if signer is self and section == "authority" else ["-cert", signer.path("crt")]
        openssl("ca", "-batch", "-config", to + ".cnf", "-keyfile", signer.path("key"), *own, "-in", request, "-out",
                to, "-notext", "-startdate", begin, "-enddate", end, "-extensions", section)
        return to

    def leaf(self, name, usage=USAGE, names=NAMES, key=None, extensions=None, **how):
        key_path = os.path.join(self.folder, name + ".key")
        openssl(*(key or ("ecparam", "-name", "prime256v1", "-genkey", "-noout")), "-out", key_path)
        text = (extensions or LEAF).format(usage=usage, names=names)
        return self.sign("leaf", key_path, os.path.join(self.folder, name + ".crt"), text, f"/CN={name}", self, **how)

    def revoke(self, certificate):
        openssl("ca", "-config", self.path("cnf"), "-keyfile", self.path("key"), "-cert", self.path("crt"), "-revoke",
                certificate)

    def crl(self, name, number="01", days=("-1", "30")):
        path = os.path.join(self.folder, name)
        with open(self.path("number"), "w", encoding="utf-8") as file:
            file.write(number)
        openssl("ca", "-config", self.path("cnf"), "-keyfile", self.path("key"), "-cert", self.path("crt"), "-gencrl",
                "-crl_lastupdate", date(days[0]), "-crl_nextupdate", date(days[1]), "-out", path)
        return path


def rsa(bits):
    return "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"


def date(days):
    text = subprocess.run(["date", "-u", "-d", f"{days} days", "+%Y%m%d%H%M%SZ"], capture_output=True, text=True,
                          check=True).stdout
    return text.strip()


def bundle(path, *parts):
    with open(path, "w", encoding="utf-8") as file:
        for part in parts:
            with open(part, encoding="utf-8") as source:
                file.write(source.read())
    return path
