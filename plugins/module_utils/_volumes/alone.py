# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume without an instance: made, extended and deleted in the same steps as the volumes of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._bulk import Outcome
from .._files import plainly
from .._model.errors import ItemError
from . import stage
from .backends import BACKENDS
from .volume import wanted


def planned(item: dict[str, Any], state_dir: str) -> Outcome:
    """Return what a run would do."""
    return _flat(stage.planned(owned(item), state_dir))


def provide(item: dict[str, Any], state_dir: str, run_dir: str, keys: stage.Keys | None = None) -> Outcome:
    """The volume is there, and as large as it should be unless a guest has it open."""
    return _flat(stage.provide(owned(item), state_dir, run_dir, keys))


def planned_removal(item: dict[str, Any], state_dir: str) -> Outcome:
    """Return what a run would delete."""
    _refuse_open(item, state_dir)
    return _flat(stage.planned_removal(owned(item), state_dir))


def withdraw(item: dict[str, Any], state_dir: str, run_dir: str) -> Outcome:
    """The volume is gone; one that a guest has open is refused."""
    _refuse_open(item, state_dir)
    return _flat(stage.withdraw(owned(item), state_dir, run_dir))


def owned(item: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an instance that has nothing but the volume, under the volume's own id."""
    if not item.get("id"):
        raise ItemError(
            f"volume {item.get('name')} has no 'id': only one with a life of its own can be alone", "request"
        )
    return {"name": item["name"], "uuid": item["id"], "volumes": [{**item, "delete_on_termination": True}]}


def _refuse_open(item: dict[str, Any], state_dir: str) -> None:
    (volume,) = wanted(owned(item), state_dir)
    backend = BACKENDS[volume.backend]
    with plainly(f"volume {volume.name} could not be read"):
        if backend.state(volume) == "ready" and backend.in_use(volume):
            raise ItemError(f"volume {volume.name} is in use by a guest: detach it first", fault="request")


def _flat(outcome: Outcome) -> Outcome:
    (facts,) = outcome.facts.get("volumes") or [{}]
    return replace(outcome, facts={key: facts[key] for key in ("path", "format", "size", "next_boot") if key in facts})
