# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a stage of the pipeline is, in words. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NAME_WIDTH = 14
MOST_PENDING = 3
MOST_HOSTS = 5
# What Ansible puts before the sentence of an error, most of all before those of our own lookups and filters.
WRAPPING = re.compile(r"^(.*? plugin 'virtfleet\.compute\.\w+' failed|Task failed): ", re.DOTALL)

Key = tuple[str, int]


def key_of(record: Mapping[str, Any]) -> Key:
    """Return what tells instances apart; one that is tried on another host counts anew."""
    return str(record.get("uuid") or record.get("name")), int(record.get("attempts") or 1)


@dataclass
class Stage:
    """A stage that runs: what became of each instance so far, who is still at it, and what it waits for.

    Times are seconds of one clock, which the caller reads.
    """

    name: str
    began: float
    told: set[Key] = field(default_factory=set)
    instances: dict[Key, dict[str, Any]] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    running: dict[str, float] = field(default_factory=dict)
    pending: dict[str, list[str]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    changed: bool = False
    task: str = ""

    def note(self, host: str, result: Mapping[str, Any]) -> None:
        """The stage knows what a task did on a host; an instance that failed in it, or before it, stays failed."""
        self.changed = self.changed or bool(result.get("changed"))
        self.pending.pop(host, None)
        if result.get("pending"):
            # It goes on after the claims are renewed.
            return self.note_pending(host, result)
        for record in records_of(result):
            if self.name == "reschedule" and (record.get("todo") != "create" or not record.get("tried")):
                continue
            key = key_of(record)
            if key not in self.told and not self.instances.get(key, {}).get("failed"):
                self.instances[key] = dict(record)

    def note_pending(self, host: str, result: Mapping[str, Any]) -> None:
        """The stage knows what a host still waits for."""
        self.pending[host] = [waited_for(one) for one in result.get("pending") or []]
        self.asked[host] = len(records_of(result))

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Return the instances that failed in this stage."""
        return [one for one in self.instances.values() if one.get("failed")]

    def line(self, now: float) -> str:
        """Return how the stage ended, or how far it is if it goes on later; nothing if there was nothing to do."""
        if self.pending:
            return self.progress(now)
        total, failed = len(self.instances), len(self.failed)
        if total:
            parts = [f"{total - failed} of {total} instances"] + ([f"{failed} failed"] if failed else [])
        elif self.hosts:
            parts = [f"{len(self.hosts)} host{'s' if len(self.hosts) > 1 else ''}"]
        else:
            return ""
        return self.spaced(*parts, *([f"{now - self.began:.1f} s"] if now - self.began >= 0.1 else []))

    def progress(self, now: float) -> str:
        """Return how many instances are through and what the others wait for."""
        waiting = [text for texts in self.pending.values() for text in texts]
        total = max(sum(self.asked.values()), len(waiting))
        more = f" and {len(waiting) - MOST_PENDING} more" if len(waiting) > MOST_PENDING else ""
        told = "; ".join(waiting[:MOST_PENDING]) + more
        return self.spaced(f"{total - len(waiting)} of {total}", *filter(None, [told]), f"{now - self.began:.0f} s")

    def heartbeat(self, now: float) -> str:
        """Return who is still at the task, or an empty string."""
        if not self.running:
            return ""
        hosts = sorted(self.running)
        more = f" and {len(hosts) - MOST_HOSTS} more" if len(hosts) > MOST_HOSTS else ""
        on = ", ".join(hosts[:MOST_HOSTS]) + more
        doing = "still running" if self.name else f"'{self.task}' still running"
        return self.spaced(f"{doing} on {on}", f"{now - min(self.running.values()):.0f} s")

    def spaced(self, *parts: str) -> str:
        """Return a line about the stage."""
        return f"{self.name:<{NAME_WIDTH - 1}} " + "   ".join(parts)


def records_of(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the instance records in a result: those a module was asked for, or a fact that was set to such a list."""
    for value in (result.get("instances"), *(result.get("ansible_facts") or {}).values()):
        if isinstance(value, (list, tuple)) and value and all(is_instance(one) for one in value):
            asked = result.get("asked")
            return [one for one in value if asked is None or one["uuid"] in asked]
    return []


def is_instance(value: Any) -> bool:
    """Tell whether the value looks like an instance record."""
    return isinstance(value, Mapping) and bool(value.get("uuid") and value.get("name"))


def waited_for(pending: Any) -> str:
    """Return what a host waits for, given as a text or as a mapping with name and reason."""
    if not isinstance(pending, Mapping):
        return str(pending)
    reason = next((pending[key] for key in ("waiting_for", "reason", "msg") if pending.get(key)), "")
    return f"{pending.get('name', '')}: {reason}" if reason else str(pending.get("name", ""))


def sentence(result: Mapping[str, Any]) -> str:
    """Return why a task failed, in its own words."""
    text = str(result.get("msg") or result.get("censored") or result.get("module_stderr") or "no reason was given")
    if result.get("module_stdout") or result.get("module_stderr"):
        text += " (run again with -vvv to see all of it)"
    return WRAPPING.sub("", text.strip())


def failures(failed: Iterable[Mapping[str, Any]], most: int = 10) -> list[str]:
    """Return a line for each failed instance, and how many more there are."""
    listed = list(failed)
    lines = [f"{' ' * NAME_WIDTH}{one.get('name')}: {one.get('msg') or 'no reason was given'}" for one in listed[:most]]
    return lines + ([f"{' ' * NAME_WIDTH}and {len(listed) - most} more"] if len(listed) > most else [])
