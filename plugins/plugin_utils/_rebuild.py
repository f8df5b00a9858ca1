# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what runs differs from the spec, and what a rebuild could not decide. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..module_utils._model.changes import differences
from ..module_utils._model.errors import ItemError
from ..module_utils._model.instance import Instance
from ._findings import Found, finding

POWER_OF_STATE = {"active": ("running",), "stopped": ("shutdown", "crashed")}
Record = Mapping[str, Any]


def undecided(restored: Iterable[Record]) -> list[Found]:
    """Return what module rebuild could not decide."""
    return [
        finding("undecided", one["name"], one.get("host") or "-", *_parted(one["msg"]))
        for one in restored
        if one.get("failed")
    ]


def _parted(sentence: str) -> tuple[str, str]:
    """Return the evidence and the way out of a sentence that has both."""
    evidence, dummy, remedy = sentence.rpartition("; ")
    return (evidence, remedy) if evidence else (sentence, "look at it by hand, then rebuild with -e rebuild_merge=true")


def spec_differences(found: Iterable[Record], wanted: Iterable[Record]) -> list[Found]:
    """Return how what the domains remember differs from the records that stage request made of the spec."""
    places: dict[str, list[Record]] = {}
    for one in found:
        places.setdefault(one["uuid"], []).append(one)
    asked = {one["uuid"]: one for one in wanted}
    told = [_missing(one) for uuid, one in asked.items() if uuid not in places and one["state"] != "absent"]
    told += [_extra(one) for uuid, there in places.items() if uuid not in asked for one in there]
    for uuid in asked.keys() & places.keys():
        for one in places[uuid]:
            told += _differing(one, asked[uuid])
    return sorted(told, key=lambda one: (one["host"], one["what"], one["name"]))


def _label(record: Record) -> str:
    """Return the name as delete.yml takes it."""
    project = record.get("project") or "default"
    return record["name"] if project == "default" else f"{project}/{record['name']}"


def _missing(record: Record) -> Found:
    """Return that an instance of the spec is on no host."""
    return finding("missing", _label(record), "-", "the spec has it and no host does", "boot.yml makes it")


def _extra(one: Record) -> Found:
    """Return that an instance is not in the spec."""
    name = _label(one["record"])
    evidence = f"it is {one['state']} here and the spec has no such instance"
    return finding("extra", name, one["host"], evidence, f"add it to the spec, or delete.yml -e names={name}")


def _differing(one: Record, wanted: Record) -> list[Found]:
    """Return how one instance differs from what the spec says of it."""
    name, host = _label(one["record"]), one["host"]
    if wanted["state"] == "absent":
        return [finding("extra", name, host, f"it is {one['state']} here and the spec says absent", "boot.yml")]
    told = []
    changes = _changes(one["record"], wanted)
    if changes:
        evidence = "the spec says otherwise: " + "; ".join(changes)
        told.append(finding("changed", name, host, evidence, "boot.yml --check --diff says what becomes of it"))
    if one["state"] not in POWER_OF_STATE.get(wanted["state"], (one["state"],)):
        evidence = f"it is {one['state']} here and the spec says {wanted['state']}"
        told.append(finding("power", name, host, evidence, "boot.yml"))
    return told


def _changes(record: Record, wanted: Record) -> list[str]:
    """Return the differences in words; addresses that the registry chose are none."""
    try:
        before, after = Instance.from_record(dict(record)), Instance.from_record(_with_addresses(wanted, record))
    except ItemError as error:
        return [str(error)]
    found = [f"{one.field} {one.before!r} -> {one.after!r}" for one in differences(before, after)]
    return found + _networks(record, wanted)


def _with_addresses(wanted: Record, record: Record) -> dict[str, Any]:
    """Return the wanted record, each of its ports with the addresses it has."""
    given = {port["id"]: port.get("addresses") or [] for port in record.get("ports") or ()}
    ports = [{**port, "addresses": given.get(port["id"], [])} for port in wanted.get("ports") or ()]
    return {**wanted, "ports": ports, "host": record.get("host") or ""}


def _networks(record: Record, wanted: Record) -> list[str]:
    """Return the ports that are in another network or have another fixed address."""
    there = {port["id"]: port for port in record.get("ports") or ()}
    return [
        f"port {position} {key} {there[port['id']].get(key)!r} -> {port.get(key)!r}"
        for position, port in enumerate(wanted.get("ports") or ())
        for key in ("network", "fixed_ip")
        if port["id"] in there and (there[port["id"]].get(key) or None) != (port.get(key) or None)
    ]
