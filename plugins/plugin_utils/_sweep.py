# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sweep takes of what an audit found, and what became of it. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._findings import Found

Record = Mapping[str, Any]


def guards(found: Iterable[Found], hosts: Iterable[str] | None = None) -> list[dict[str, str]]:
    """Return the instances, of these hosts if any are given, that other runs are kept away from during the sweep."""
    here = None if hosts is None else set(hosts)
    owned = [one for one in found if one["gc"] and one.get("owner") and (here is None or one["host"] in here)]
    owners = {one["owner"]: one for one in owned}
    return [{"name": uuid, "uuid": uuid, "host": one["host"]} for uuid, one in sorted(owners.items())]


def to_sweep(found: Iterable[Found], host: str, guarded: Iterable[Record]) -> list[dict[str, Any]]:
    """Return what the sweep takes from one host: what belongs to an instance only where that could be guarded."""
    refused = {one["uuid"] for one in guarded if one.get("failed")}
    return [
        {"kind": one["what"], **{key: one[key] for key in ("name", "owner", "evidence", "remedy")}}
        for one in found
        if one["gc"] and one["host"] == host and one["what"] != "claim" and one["owner"] not in refused
    ]


def swept(
    found: Iterable[Found], results: Mapping[str, Iterable[Record]], guarded: Iterable[Record], rehearsed: bool = False
) -> list[Found]:
    """Return the findings with what the sweep did to each: `done` is one word, and why it stays is in its evidence.

    Args:
        results: by host what module traces returned.
        guarded: what module guards returned.
        rehearsed: whether nothing was really removed.
    """
    told = {(host, one["kind"], one["name"]): one for host, traces in results.items() for one in traces}
    refused = {one["uuid"]: one["msg"] for one in guarded if one.get("failed")}
    word = "would go" if rehearsed else "removed"
    return [_after(one, told.get((one["host"], one["what"], one["name"])), refused, word) for one in found]


def _after(one: Found, told: Record | None, refused: Mapping[str, str], word: str) -> Found:
    """Return one finding after the sweep."""
    if not one["gc"]:
        return {**one, "done": "kept"}
    why = refused.get(one.get("owner") or "") or (told or {}).get("msg")
    if why or (told is None and one["what"] != "claim"):
        return {**one, "done": "kept", "gc": False, "evidence": f"{one['evidence']}; kept: {why or 'it was not swept'}"}
    return {**one, "done": word}


def releasable(
    guarded: Iterable[Record], after: Iterable[Found], hosts: Iterable[str] | None = None
) -> list[dict[str, Any]]:
    """Return the guards of which nothing stayed; the others expire, and the next sweep takes them up."""
    here = None if hosts is None else set(hosts)
    stayed = {one.get("owner") for one in after if one.get("done") == "kept" and one.get("owner")}
    return [
        {key: one[key] for key in ("name", "uuid", "host")}
        for one in guarded
        if one.get("guarded")
        and not one.get("failed")
        and one["uuid"] not in stayed
        and (here is None or one["host"] in here)
    ]
