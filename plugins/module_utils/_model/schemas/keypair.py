# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a keypair. Private to this collection."""

from __future__ import annotations

from .words import text

KEYPAIR = text(
    "A public key as in authorized_keys.",
    maxLength=16384,
    pattern=r"^(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\r\n]*)?\n?$",
    **{"x-valid": "one public key line such as 'ssh-ed25519 AAAA... comment'", "x-secret": True},
)
