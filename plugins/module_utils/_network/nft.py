# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading our ruleset, and knowing whether it still stands as we loaded it. Private.

What was loaded is remembered in the run directory, which a reboot empties as it empties the kernel's tables: the digest
of our text, and the digest of what the kernel listed right after. Whoever flushes the ruleset or takes an element out
changes the listing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import socket
import struct
import subprocess

from .._model.errors import ItemError
from .groups import STATE
from .ruleset import GUARD, NAT
from .saved import replace

# Of linux/netfilter/nf_tables.h; the number of the subsystem is in the upper byte.
GET_GENERATION, NEW_GENERATION = 0x0A10, 0x0A0F
OURS = {f"bridge {GUARD}", f"ip {NAT}", f"inet {STATE}"}
PROBE = """\
table bridge virtfleet_probe {
    chain probe {
        type filter hook prerouting priority 0; policy accept;
        ct state established accept
    }
}
"""


def nft(*arguments: str, stdin: str = "") -> str:
    """Return what nft says."""
    try:
        done = subprocess.run(["nft", *arguments], input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ItemError("nft is not installed on this host: install the package nftables")
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise ItemError(f"nft refused the rules of this host: {words[0]}")
    return done.stdout


@functools.lru_cache(maxsize=1)
def tracks_bridges() -> bool:
    """Say whether this kernel knows the state of connections between the ports of a bridge (nf_conntrack_bridge).

    It is asked with rules that are only checked. One without needs br_netfilter, which shows frames to the inet tables.
    """
    try:
        nft("-c", "-f", "-", stdin=PROBE)
    except ItemError:
        return False
    return True


def digest(content: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(content.encode()).hexdigest()


def listing() -> str:
    """Return our tables as the kernel has them, empty when there are none."""
    names = [line.partition(" ")[2] for line in nft("list", "tables").splitlines()]
    return "".join(nft("list", "table", *name.split()) for name in sorted(OURS.intersection(names)))


def note(run_dir: str) -> str:
    """Return the file that remembers what was loaded."""
    return os.path.join(run_dir, "ports.rules")


def generation() -> int:
    """Return the number that the kernel gives its rules anew whenever anybody changes any; 0 if it does not say."""
    with contextlib.suppress(OSError, struct.error), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as kernel:
        kernel.send(struct.pack("=IHHII", 20, GET_GENERATION, 1, 1, 0) + b"\0" * 4)
        answer = kernel.recv(4096)
        if struct.unpack_from("=H", answer, 4)[0] == NEW_GENERATION:
            return int(struct.unpack_from("!I", answer, 24)[0])
    return 0


def stands(rules: str, run_dir: str) -> bool:
    """Say whether these rules are what was loaded last and nobody changed them since.

    Where nobody changed any rule at all, which the kernel counts, ours need not be listed to be compared.
    """
    remembered: list[str] = []
    with contextlib.suppress(OSError), open(note(run_dir), encoding="ascii") as file:
        remembered = file.read().split()
    if len(remembered) != 3 or remembered[0] != digest(rules):
        return False
    untouched = remembered[2] != "0" and remembered[2] == str(generation())
    return untouched or remembered[1] == digest(listing())


def load(rules: str, run_dir: str) -> None:
    """Replace our tables by these in one transaction; no frame meets half of it."""
    nft("-f", "-", stdin=rules)
    before = generation()
    listed = digest(listing())
    counted = before if before == generation() else 0
    replace(note(run_dir), f"{digest(rules)} {listed} {counted}\n", 0o600)


def blocked_forwarding() -> list[str]:
    """Return the forward chains of others that drop by default ("ip filter FORWARD"): an accept of ours cannot help."""
    table, chain, found = "", "", []
    for line in nft("list", "chains").splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif re.search(r"hook forward .*policy drop", line) and table not in OURS and not table.startswith("ip6 "):
            found.append(f"{table} {chain}")
    return found
