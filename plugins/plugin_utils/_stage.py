# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stage does to the records of a host: which its module takes, and what becomes of all of them. Private."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Record = dict[str, Any]

HERE = "virtfleet_here"
KILLED = (137, -9)  # SIGKILL, as a shell tells it and as Python does


def here(variables: Mapping[str, Any]) -> list[Record]:
    """Return the records that the stage before left in the variable `virtfleet_here`, which it registered."""
    return list((variables.get(HERE) or {}).get("instances") or [])


def to_make(record: Record) -> bool:
    """Say whether a stage has something to do for the record: it has not failed and is not to be deleted."""
    return not record.get("failed") and record.get("todo") not in ("none", "wait", "delete")


def to_unmake(record: Record) -> bool:
    """Say whether the record is to leave nothing behind: never one that existed before the run and that only failed.

    Each step takes what the one before could take away: a disk or a port of a guest that may still run is left alone.
    """
    if record.get("undone") is False:
        return False
    return record.get("todo") == "delete" or (bool(record.get("failed")) and not record.get("existing"))


def made(record: Record, told: Record, stage: str) -> Record:
    """Return the record after a stage; once changed stays changed, whichever stage it was."""
    changed = bool(record.get("changed") or told.get("changed"))
    return {**record, **told, "changed": changed, **({"failed_in": stage} if told.get("failed") else {})}


def unmade(record: Record, told: Record, stage: str) -> Record:
    """Return the record after the undo of a stage: it keeps its reason, and its claim where something is left."""
    if not told.get("failed"):
        changed = bool(record.get("changed") or told.get("changed"))
        return {**record, "undone": True, "changed": changed}
    reasons = [record["msg"]] if record.get("failed") and record.get("msg") else []
    message = "; ".join([*reasons, f"could not be undone: {told['msg']}"])
    return {**record, "undone": False, "failed": True, "fault": "host", "msg": message}


def why(module: str, result: Mapping[str, Any]) -> str:
    """Return why a module told nothing of the records: it was killed, it broke, or what Ansible says."""
    code, name = result.get("rc"), module.rpartition(".")[2]
    if code in KILLED:
        return (
            f"module {name} was killed on the host (exit code {code}): was its memory full? see dmesg, then run again"
        )
    if code and "module_stdout" in result:
        said = (str(result.get("module_stderr") or "").strip().splitlines() or ["nothing"])[-1]
        return f"module {name} broke off on the host (exit code {code}) and said {said}: run again with -vvv"
    return str(result.get("msg") or "the host could not go on: run again with -vvv")


def lost(asked: Iterable[Record], reason: str) -> list[Record]:
    """Return what a module would have told that could not even begin."""
    return [{"uuid": one["uuid"], "failed": True, "fault": "host", "msg": reason} for one in asked]


def cut_off(records: list[Record], asked: Iterable[Record], stage: str) -> list[Record]:
    """Return all records of a host that was lost in a stage: `failed_in` says how far those came that were in it."""
    reason = {"failed": True, "fault": "host", "failed_in": stage}
    named = {one["uuid"] for one in asked}
    return [{**one, **reason} if one["uuid"] in named and not one.get("failed") else one for one in records]


def merged(
    records: list[Record],
    told: Iterable[Record],
    take: Callable[[Record, Record, str], Record] = made,
    stage: str = "",
) -> list[Record]:
    """Return all records, same length and order, with what the module told of those it took."""
    by_uuid = {one["uuid"]: one for one in told}
    return [take(one, by_uuid[one["uuid"]], stage) if one["uuid"] in by_uuid else one for one in records]
