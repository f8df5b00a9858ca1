# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deciding a saved record again: the same, or the first step that is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .decide import decide
from .names import refuse
from .record import VERSION

_DIGESTED = ("hosts", "requests", "policy")


def digest(value: Any) -> str:
    """Return the SHA-256 of a value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with the digests of its input and of what was decided, as it should be saved."""
    digests = {key: digest(record["input"][key]) for key in _DIGESTED}
    return {**record, "digests": {**digests, "decision": digest(record["requests"])}}


def replay(saved: Mapping[str, Any], functions: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return {identical, difference}: the saved input decided again, and the first thing that differs from the record.

    Raises:
        ItemError: this is no record, it is of another version, or its input was changed after it was sealed.
    """
    if not isinstance(saved, Mapping) or not {"version", "input", "requests"} <= saved.keys():
        refuse("this is no decision record: it must have version, input and requests; save the lookup's answer whole")
    if saved["version"] != VERSION:
        refuse(f"the record has version {saved['version']}, this collection replays version {VERSION}")
    for key, expected in (saved.get("digests") or {}).items():
        held = saved["requests"] if key == "decision" else saved["input"].get(key)
        if digest(held) != expected:
            refuse(f"the record's {key} do not have the digest that they were saved with: the file was changed")
    fresh = decide(saved["input"]["requests"], saved["input"]["hosts"], saved["input"]["policy"], functions)
    difference = first_difference(saved, json.loads(json.dumps(fresh)))
    return {"identical": difference is None, "difference": difference}


def first_difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return the first step in which two records differ, in words; None when they are the same."""
    for key in ("policy", "own_rules", "weighers", "hosts", "warnings"):
        path = _differs(was.get(key), now.get(key))
        if path is not None:
            return f"{key}{_told(path)}"
    if len(was["requests"]) != len(now["requests"]):
        return f"requests: {len(was['requests'])} then, {len(now['requests'])} now"
    for before, after in zip(was["requests"], now["requests"], strict=True):
        found = _request_difference(before, after)
        if found:
            return f"request {before['name']}: {found}"
    return None


def _request_difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return the first step of a request that differs: a filter, a weigher, an instance, then anything else."""
    names = [step["name"] for step in was["steps"]]
    if names != [step["name"] for step in now["steps"]]:
        return f"the steps are others: {', '.join(sorted({*names} ^ {step['name'] for step in now['steps']}))}"
    for before, after in zip(was["steps"], now["steps"], strict=True):
        if before != after:
            return f"step {before['name']}: {before['out']} hosts left then, {after['out']} now"
    for name, weigher in was["weighers"].items():
        path = _differs(weigher, now["weighers"].get(name))
        if path is not None:
            return f"weigher {name}{_told(path)}"
    for before, after in zip(was["instances"], now["instances"], strict=False):
        path = _differs(before, after)
        if path is not None:
            return f"instance {before['name']} on {before['host']} then, {after['host']} now{_told(path)}"
    path = _differs(was, now)
    return None if path is None else _told(path)


def _differs(was: Any, now: Any, path: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """Return where two values first differ, with both values last; None when they are the same."""
    if was == now:
        return None
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in [*was, *(key for key in now if key not in was)]:
            found = _differs(was.get(key), now.get(key), (*path, key))
            if found is not None:
                return found
    if isinstance(was, list) and isinstance(now, list):
        for place, (before, after) in enumerate(zip(was, now, strict=False)):
            found = _differs(before, after, (*path, place))
            if found is not None:
                return found
    return (*path, was, now)


def _told(path: tuple[Any, ...]) -> str:
    """Return a place and its two values in words."""
    *keys, was, now = path
    where = " ".join(str(key) for key in keys)
    return f"{' ' if where else ''}{where}: {was!r:.80} then, {now!r:.80} now"
