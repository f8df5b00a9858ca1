# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the dicts that flow through the stages to values and back. Private to this collection."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

from .errors import ItemError


def _required(one: Field[Any]) -> bool:
    """Say whether the field has no default."""
    return one.default is MISSING and one.default_factory is MISSING


def known(kind: type, record: Any, where: str) -> dict[str, Any]:
    """Return the entries of the record that the dataclass has fields for; what a stage added beside them is left out.

    An entry that is None counts as not given. `where` names the record in the error, for example "ports[0] of web-1".
    """
    if not isinstance(record, dict):
        raise ItemError(f"{where} must be a mapping, not {type(record).__name__}", fault="request")
    missing = [one.name for one in fields(kind) if _required(one) and record.get(one.name) is None]
    if missing:
        raise ItemError(f"{where} has no '{missing[0]}': stage request fills it in", fault="request")
    return {one.name: record[one.name] for one in fields(kind) if record.get(one.name) is not None}


def many(kind: Any, records: Any, noun: str, owner: str) -> tuple[Any, ...]:
    """Return the values of a list of records; an error says, for example, "port 0 of web-1"."""
    return tuple(kind.from_record(one, f"{noun} {index} of {owner}") for index, one in enumerate(records or ()))


def number(value: Any, where: str) -> int:
    """Return a number that counts something: Ansible passes "2" as readily as 2."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ItemError(f"{where} is {value!r}, which is not a whole number", fault="request")
