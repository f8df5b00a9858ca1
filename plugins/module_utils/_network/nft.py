# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading our ruleset, and knowing whether it still stands as we loaded it. Private.

What was loaded is remembered in the run directory, which a reboot empties as it empties the kernel's tables: the digest
of what the rules are made of, and the number that the kernel gave its rules with them. Whoever changes any rule of the
host changes that number; then what the kernel lists is compared with what it lists of the same rules loaded elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import struct
import subprocess
from collections.abc import Callable

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


def listing() -> str:
    """Return our tables as the kernel has them, empty when there are none."""
    names = [line.partition(" ")[2] for line in nft("list", "tables").splitlines()]
    return "".join(nft("list", "table", *name.split()) for name in sorted(OURS.intersection(names)))


def blocks(listed: str) -> list[str]:
    """Return the chains and sets of a listing, each with its table: in which order they were made means nothing."""
    found, table = [], ""
    for part in re.split(r"\n(?=\t(?:chain|set|map) |table )", "\n" + listed):
        table = part.partition("\n")[0] if part.startswith("table ") else table
        found.append(f"{table}\n{part.rstrip(chr(10) + '}' + chr(9) + ' ')}")
    return sorted(found)


def meant(rules: str) -> str:
    """Return what the kernel lists of these rules, loaded into an empty network namespace of their own."""
    words = ["unshare", "--net", "sh", "-c", "nft -f - && nft list ruleset"]
    try:
        return subprocess.run(words, input=rules, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "cannot be told"


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


def stands(key: str, rules: Callable[[], str], run_dir: str) -> int:
    """Return the generation in which the kernel has exactly these rules, 0 if it has others.

    Where they were loaded last, and nobody changed any rule of the host since, which the kernel counts, they need not
    be listed to be compared. `key` is the digest of all that they are made of.
    """
    remembered: list[str] = []
    with contextlib.suppress(OSError), open(note(run_dir), encoding="ascii") as file:
        remembered = file.read().split()
    now = generation()
    if len(remembered) != 2 or remembered[0] != key:
        return 0
    if now and remembered[1] == str(now):
        return now
    return (now or -1) if blocks(listing()) == blocks(meant(rules())) else 0


def load(rules: str, run_dir: str, key: str, since: int = 0) -> None:
    """Replace our tables by these, or change those of a generation, in one transaction; no frame meets half of it.

    Who is killed before the note is written leaves one of other rules, so that all is loaded again.
    """
    before = since or generation()
    nft("-f", "-", stdin=rules)
    after = generation()
    replace(note(run_dir), f"{key} {after if after == before + 1 else 0}\n", 0o600)


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
