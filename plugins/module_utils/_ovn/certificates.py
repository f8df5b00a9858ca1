# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for what OVN says over the network: keys stay where they are made, requests and certificates travel.

Made with the program openssl; elliptic curves, for they are quick. Private.
"""

from __future__ import annotations

import os
import subprocess
import tempfile

from .._files import plainly, write_whole
from .._model.errors import ItemError

KEY, CERTIFICATE, AUTHORITY = "key.pem", "cert.pem", "ca.pem"
AUTHORITY_KEY = "ca-key.pem"
DAYS = {"authority": 3650, "host": 1825}
MONTH = 30 * 86400


def openssl(*arguments: str, stdin: str = "") -> str:
    """Return what openssl prints."""
    try:
        done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ItemError("openssl is not installed on this host: install the package openssl")
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["no reason given"]
        raise ItemError(f"openssl {arguments[0]} failed: {words[-1]}")
    return done.stdout


def new_key(path: str) -> None:
    """There is a key that root alone may read."""
    if not os.path.exists(path):
        with plainly(f"cannot write {path}"):
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            write_whole(
                path, openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").encode(), 0o600
            )


def authority(folder: str) -> bool:
    """The authority is there; say whether it was made now."""
    certificate = os.path.join(folder, AUTHORITY)
    if os.path.exists(certificate) and os.path.exists(os.path.join(folder, AUTHORITY_KEY)):
        return False
    key = os.path.join(folder, AUTHORITY_KEY)
    new_key(key)
    about = ["-subj", "/CN=virtfleet OVN", "-days", str(DAYS["authority"])]
    extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    text = openssl("req", "-x509", "-new", "-sha256", "-key", key, *about, *extensions)
    with plainly(f"cannot write {certificate}"):
        write_whole(certificate, text.encode(), 0o644)
    return True


def valid(folder: str, name: str) -> bool:
    """Say whether the host has a certificate of that name for its key, good for another month."""
    paths = [os.path.join(folder, one) for one in (KEY, CERTIFICATE, AUTHORITY)]
    if not all(map(os.path.exists, paths)):
        return False
    try:
        openssl("x509", "-in", paths[1], "-noout", "-checkend", str(MONTH))
        openssl("verify", "-CAfile", paths[2], paths[1])
        same = openssl("x509", "-in", paths[1], "-noout", "-pubkey") == openssl("pkey", "-in", paths[0], "-pubout")
        return same and f"CN={name}" in openssl("x509", "-in", paths[1], "-noout", "-subject").replace(" ", "")
    except ItemError:
        return False


def request(folder: str, name: str) -> str:
    """Return the request for a certificate; the key that belongs to it stays on the host."""
    new_key(os.path.join(folder, KEY))
    return openssl("req", "-new", "-sha256", "-key", os.path.join(folder, KEY), "-subj", f"/CN={name}")


def signed(folder: str, name: str, text: str) -> str:
    """Return the certificate for a request; what it is called says the controller, not the request."""
    with tempfile.NamedTemporaryFile("w", suffix=".ext") as extensions:
        extensions.write("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n")
        extensions.flush()
        key, certificate = (os.path.join(folder, one) for one in (AUTHORITY_KEY, AUTHORITY))
        public = openssl("req", "-noout", "-pubkey", "-verify", stdin=text)
        with tempfile.NamedTemporaryFile("w", suffix=".pub") as file:
            file.write(public)
            file.flush()
            issued = ["-CA", certificate, "-CAkey", key, "-CAcreateserial", "-days", str(DAYS["host"]), "-sha256"]
            named = ["-set_serial", str(int.from_bytes(os.urandom(15), "big")), "-subj", f"/CN={name}"]
            named += ["-force_pubkey", file.name, "-extfile", extensions.name]
            return openssl("x509", "-req", *[one for one in issued if one != "-CAcreateserial"], *named, stdin=text)


def install(folder: str, certificate: str, authority_text: str) -> bool:
    """The host has its certificate and that of the authority; say whether they were written now."""
    changed = False
    for name, text in ((AUTHORITY, authority_text), (CERTIFICATE, certificate)):
        path = os.path.join(folder, name)
        if os.path.exists(path) and read(folder, name) == text:
            continue
        with plainly(f"cannot write {path}"):
            write_whole(path, text.encode(), 0o644)
        changed = True
    return changed


def read(folder: str, name: str) -> str:
    """Return a certificate."""
    with plainly("a certificate cannot be read"), open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()
