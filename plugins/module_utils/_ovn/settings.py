# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the databases of OVN and Open vSwitch are told once: where to listen, where the central is, and certificates.

Private.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .. import _ovsdb as ovsdb
from .._files import plainly, write_whole
from .._model.errors import ItemError

SOUTH = "/run/ovn/ovnsb_db.sock"
ROLE = "ovn-controller"
OURS = "virtfleet"


def rows(path: str, database: str, table: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    found = ovsdb.transact(path, database, [ovsdb.select(table, columns)])[0]["rows"]
    return [{key: ovsdb.decoded(value) for key, value in row.items()} for row in found]


def secured(path: str, database: str, root: str, files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the operations that give a database these certificates, none where it has them; others' are refused."""
    have = rows(path, database, "SSL", ("private_key", "certificate", "ca_cert", "external_ids"))
    if have and {key: have[0][key] for key in files} == dict(files):
        return []
    if have and OURS not in have[0]["external_ids"]:
        told = f"{database} of this host has certificates of somebody else ({have[0]['certificate']})"
        raise ItemError(f"{told}: remove them, or leave OVN to who set them up")
    row = {**files, "external_ids": ovsdb.encoded({OURS: "ovn"})}
    return [
        {"op": "insert", "table": "SSL", "row": row, "uuid-name": "ssl"},
        {"op": "update", "table": root, "where": [], "row": {"ssl": ["named-uuid", "ssl"]}},
    ]


def central(files: Mapping[str, str], port: int, path: str = SOUTH) -> list[dict[str, Any]]:
    """Return what the southbound database is to be told: hosts come over TLS, and may change what is theirs."""
    operations = secured(path, "OVN_Southbound", "SB_Global", files)
    target = f"pssl:{port}"
    have = rows(path, "OVN_Southbound", "Connection", ("_uuid", "target", "role"))
    if any(one["target"] == target and one["role"] == ROLE for one in have):
        return operations
    row = {"target": target, "role": ROLE, "external_ids": ovsdb.encoded({OURS: "ovn"})}
    where: list[Any] = []
    return [
        *operations,
        {"op": "insert", "table": "Connection", "row": row, "uuid-name": "listen"},
        {
            "op": "mutate",
            "table": "SB_Global",
            "where": where,
            "mutations": [["connections", "insert", ["named-uuid", "listen"]]],
        },
    ]


def chassis(files: Mapping[str, str], wanted: Mapping[str, str], path: str = ovsdb.SWITCH) -> list[dict[str, Any]]:
    """Return what the switch of a host is to be told; one that belongs to another OVN is refused."""
    operations = secured(path, "Open_vSwitch", "Open_vSwitch", files)
    known = rows(path, "Open_vSwitch", "Open_vSwitch", ("external_ids",))[0]["external_ids"]
    remote = known.get("ovn-remote", "")
    if remote and remote != wanted["ovn-remote"] and known.get(OURS) != "ovn":
        raise ItemError(f"this host belongs to another OVN already ({remote}): take it out there first")
    gone, new = differing(known, {**wanted, OURS: "ovn"})
    if not gone and not new:
        return operations
    keys = ["set", sorted({*gone, *new})]
    changes = [["external_ids", "delete", keys], ["external_ids", "insert", ovsdb.encoded(new)]]
    return [*operations, {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": changes}]


def differing(known: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return what a host is to forget and what it is to know of itself; a host name that it has stays.

    Open vSwitch writes its own at each boot of a host with systemd, and a host may not change it on the central: from
    then on nothing of what it says would be taken there.
    """
    asked = {key: value for key, value in wanted.items() if key != "hostname" or not known.get("hostname")}
    gone = [key for key, value in asked.items() if not value and key in known]
    return gone, {key: value for key, value in asked.items() if value and known.get(key) != value}


def named(path: str, name: str) -> bool:
    """Say whether the file that Open vSwitch takes the name of the host from has another."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip() != name
    except OSError:
        return True


def write_name(path: str, name: str) -> None:
    """The host has that name after a restart, too."""
    with plainly(f"cannot write {path}"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_whole(path, f"{name}\n".encode())
