"""Certificates made by the OpenSSL command line, once for a run of the tests."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PASSWORD = "open-sesame"

_CA = """\
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
rand_serial = yes
policy = any
[any]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Identity:
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """``server`` names localhost and 127.0.0.1; ``expired`` does too, and ran out long ago."""

    folder: Path
    ca: Path
    other_ca: Path
    server: Identity
    expired: Identity
    misnamed: Identity  # signed by `ca` for another host
    client: Identity
    stranger: Identity  # signed by `other_ca`
    encrypted_key: Path  # of `server`, with PASSWORD


@cache
def certificates() -> Certificates:
    """Make them.  Fails saying so when there is no ``openssl``."""
    assert shutil.which("openssl"), "openssl is missing: install it with your package manager"
    folder = Path(tempfile.mkdtemp(prefix="carebus-certificates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    workshop = _Workshop(folder)
    ca = workshop.authority("ca")
    other = workshop.authority("other-ca")
    here = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    server = workshop.identity("server", ca, here)
    encrypted = folder / "encrypted.key"
    workshop.openssl(
        *("pkey", "-in", str(server.key), "-out", str(encrypted)),
        *("-aes-256-cbc", "-passout", f"pass:{PASSWORD}"),
    )
    return Certificates(
        folder=folder,
        ca=ca.certificate,
        other_ca=other.certificate,
        server=server,
        expired=workshop.identity("expired", ca, here, until="20200201000000Z"),
        misnamed=workshop.identity("misnamed", ca, "subjectAltName=DNS:elsewhere.example"),
        client=workshop.identity("client", ca, "extendedKeyUsage=clientAuth"),
        stranger=workshop.identity("stranger", other, here),
        encrypted_key=encrypted,
    )


class _Workshop:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"

    def _key(self, name: str) -> Path:
        path = self.folder / f"{name}.key"
        curve = ("-pkeyopt", "ec_paramgen_curve:P-256")
        self.openssl("genpkey", "-algorithm", "EC", *curve, "-out", str(path))
        return path

    def authority(self, name: str) -> Identity:
        key = self._key(name)
        path = self.folder / f"{name}.pem"
        self.openssl(
            *("req", "-x509", "-new", "-key", str(key), "-subj", f"/CN=Test {name}"),
            *("-days", "30", "-out", str(path)),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        return Identity(path, key)

    def identity(
        self, name: str, by: Identity, extension: str, *, until: str = "20990101000000Z"
    ) -> Identity:
        key = self._key(name)
        request = self.folder / f"{name}.csr"
        path = self.folder / f"{name}.pem"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(extension + "\n")
        (self.folder / "index.txt").write_text("")
        (self.folder / "ca.conf").write_text(_CA)
        self.openssl("req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-out", str(request))
        self.openssl(  # only `openssl ca` can make a certificate that ran out
            *("ca", "-batch", "-notext", "-md", "sha256", "-config", "ca.conf"),
            *("-cert", str(by.certificate), "-keyfile", str(by.key)),
            *("-startdate", "20200101000000Z", "-enddate", until),
            *("-extfile", str(extensions), "-in", str(request), "-out", str(path)),
        )
        return Identity(path, key)
