# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a run: records become checked, frozen arrays, one row per host, in the order of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .arrays import np
from .fields import FIELDS, NUMBERS
from .names import check_names, refuse


@dataclass(frozen=True)
class Fleet:
    """All hosts, sorted by name, so that the lowest row is the first name among equals.

    `columns` holds one float array per number of the record; `aggregate_sets` the distinct aggregate metadata and
    `aggregate_set` each row's position in it; `memo` what was derived from them once.
    """

    names: list[str]
    records: list[Mapping[str, Any]]
    columns: dict[str, np.ndarray]
    zones: list[str | None]
    aggregate_sets: list[dict[str, set[str]]]
    aggregate_set: np.ndarray
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, made only the first time that the key is asked for."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]

    def column(self, name: str) -> list[Any]:
        """Return one field of every record, None where it is missing."""
        return self.once(("field", name), lambda: [record.get(name) for record in self.records])

    def has_trait(self, trait: str) -> np.ndarray:
        """Return which hosts have the trait; a disabled host has COMPUTE_STATUS_DISABLED, as in Nova."""
        if trait == "COMPUTE_STATUS_DISABLED":
            return self.once(("trait", trait), lambda: ~self.flags("enabled"))
        return self.once(
            ("trait", trait), lambda: np.array([trait in traits for traits in self._trait_lists()], dtype=bool)
        )

    def _trait_lists(self) -> list[Sequence[str]]:
        """Return the traits of every host, those that are no list refused."""
        for row, traits in enumerate(self.column("traits")):
            if isinstance(traits, str):
                refuse(f"host {self.names[row]}: traits is the text {traits!r}; give a list")
        return [traits or () for traits in self.column("traits")]

    def flags(self, name: str) -> np.ndarray:
        """Return a yes-or-no field of every host; a missing one means yes."""
        return self.once(
            ("flag", name), lambda: np.array([flag is not False for flag in self.column(name)], dtype=bool)
        )

    def trouble(self, row: int) -> str:
        """Return in a word or two why a host takes nothing: it is disabled, for a reason if one is told, or down."""
        record = self.records[row]
        if record.get("enabled") is not False:
            return "down"
        reason = record.get("disabled_reason")
        return f"disabled ({reason})" if reason else "disabled"

    def per_aggregate_set(self, compute: Callable[[dict[str, set[str]]], Any], dtype: Any = object) -> np.ndarray:
        """Return, for every host, what the function says of its aggregate metadata; each distinct set is asked once."""
        answers = np.empty(len(self.aggregate_sets), dtype=dtype)
        for position, metadata in enumerate(self.aggregate_sets):
            answers[position] = compute(metadata)
        return answers[self.aggregate_set]


def load(records: Iterable[Mapping[str, Any]]) -> Fleet:
    """Return the fleet of these records; unknown fields, missing numbers and double names are refused by name."""
    hosts = sorted(records, key=_name_of)
    for record in hosts:
        if not record.keys() <= FIELDS:
            check_names(f"host {record['name']}: field", record, FIELDS)
    names = [record["name"] for record in hosts]
    for first, second in zip(names, names[1:], strict=False):
        if first == second:
            refuse(f"host {first} is given twice: host names must differ")
    sets, positions = _aggregate_sets(hosts)
    return Fleet(names, hosts, _columns(hosts), _zones(hosts), sets, positions)


def _name_of(record: Mapping[str, Any]) -> str:
    """Return the host's name or refuse the record."""
    name = record.get("name") if isinstance(record, Mapping) else None
    if not isinstance(name, str) or not name:
        refuse(f"a host has no name: {record!s:.120}")
    return name


def _columns(hosts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return the numbers of all records as arrays."""
    columns = {}
    for key, default in NUMBERS.items():
        values = [record.get(key) for record in hosts]
        if default is not None:
            values = [default if value is None else value for value in values]
        columns[key] = _numbers(hosts, key, values)
    columns["disk_available_least"] = _numbers(
        hosts,
        "disk_available_least",
        [np.inf if (least := record.get("disk_available_least")) is None else least for record in hosts],
    )
    columns["num_instances"] = _numbers(
        hosts,
        "num_instances",
        [
            len(record.get("instances") or ()) if (count := record.get("num_instances")) is None else count
            for record in hosts
        ],
    )
    return columns


def _numbers(hosts: Sequence[Mapping[str, Any]], key: str, values: list[Any]) -> np.ndarray:
    """Return the values as an array, or refuse the first host whose value is missing, no number or below zero."""
    try:
        column = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        column = np.array([_number_or_nan(value) for value in values])
    signed = key == "disk_available_least"
    bad = np.flatnonzero(np.isnan(column) | (False if signed else column < 0))
    if bad.size:
        host, value = hosts[bad[0]]["name"], values[bad[0]]
        problem = "is missing" if value is None else f"is {value!r}, not a number of at least 0"
        refuse(f"host {host}: {key} {problem}; gather the host's facts again or give the number")
    return column


def _number_or_nan(value: Any) -> float:
    """Return the value as a number, not-a-number when it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _aggregate_sets(hosts: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, set[str]]], np.ndarray]:
    """Return the distinct metadata of the hosts' aggregates and each host's position among them."""
    known: dict[tuple[str, ...], list[tuple[list[Mapping[str, Any]], int]]] = {}
    sets: list[dict[str, set[str]]] = []
    positions = np.zeros(len(hosts), dtype=np.intp)
    for row, record in enumerate(hosts):
        aggregates = record.get("aggregates") or []
        metadata = [aggregate.get("metadata") or {} for aggregate in aggregates]
        variants = known.setdefault(tuple(str(aggregate.get("name")) for aggregate in aggregates), [])
        for seen, position in variants:
            if seen == metadata:
                positions[row] = position
                break
        else:
            variants.append((metadata, len(sets)))
            positions[row] = len(sets)
            sets.append(_merged(metadata))
    return sets, positions


def _merged(metadata: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return the union of the metadata of several aggregates: key -> its whole values, as text."""
    merged: dict[str, set[str]] = {}
    for one in metadata:
        for key, value in one.items():
            merged.setdefault(str(key), set()).add(str(value))
    return merged


def split_values(values: Iterable[str]) -> set[str]:
    """Return the single words of comma-separated metadata values."""
    return {word.strip() for value in values for word in value.split(",")}


def _zones(hosts: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Return each host's availability zone: its own field, or that of one of its aggregates."""
    zones = []
    for record in hosts:
        zone = record.get("availability_zone")
        if zone is None:
            for aggregate in record.get("aggregates") or ():
                zone = zone or (aggregate.get("metadata") or {}).get("availability_zone")
        zones.append(zone)
    return zones
