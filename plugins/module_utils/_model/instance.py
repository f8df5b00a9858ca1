# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One instance, as it flows through the stages and as its domain remembers it. Private to this collection."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from . import config_drive
from .errors import ItemError
from .flavor import Flavor
from .image import Image
from .port import Port
from .record import known, many
from .volume import Volume

STATES = ("active", "stopped", "absent")
WAITS = ("running", "address", "agent", "console", "ssh")
# What stands for the parts that need not be known of an instance to remove it.
UNKNOWN = {
    "flavor": {"name": "", "vcpus": 0, "memory_mb": 0, "disk_gb": 0},
    "image": {"name": ""},
    "spec_digest": "",
}
CHOICES = {
    "state": STATES,
    "config_drive": config_drive.KINDS,
    "config_drive_format": config_drive.FORMATS,
    "wait_for": WAITS,
}


@dataclass(frozen=True)
class Instance:
    """The instance record without what only one run is interested in; these fields, and no others, are remembered.

    A secret has no field here, so none can reach a domain's metadata.
    """

    name: str
    uuid: str
    domain: str
    flavor: Flavor
    image: Image
    spec_digest: str
    project: str = "default"
    host: str = ""
    hostname: str = ""
    state: str = "active"
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    keys: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    availability_zone: str | None = None
    server_group: dict[str, Any] | None = None
    wait_for: str = "running"
    config_drive: str = "none"
    config_drive_format: str = "iso9660"
    config_drive_bus: str = ""
    config_drive_path: str = ""
    user_data_digest: str = ""
    created_at: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Instance:
        """Return the instance of a record; raises ItemError naming what it lacks."""
        name = record.get("name", "an instance") if isinstance(record, dict) else "an instance"
        given = known(cls, record, name)
        for key, choices in CHOICES.items():
            if given.get(key, choices[0]) not in choices:
                told = f"{key} of {name} is '{given[key]}': it must be one of {', '.join(choices)}"
                raise ItemError(told, fault="request")
        given["flavor"] = Flavor.from_record(given["flavor"], f"the flavor of {name}")
        given["image"] = Image.from_record(given["image"], f"the image of {name}")
        given["volumes"] = many(Volume, given.get("volumes"), "volume", name)
        given["ports"] = many(Port, given.get("ports"), "port", name)
        return cls(**given)

    @classmethod
    def to_remove(cls, record: dict[str, Any]) -> Instance:
        """Return the instance of a record that is to go; of one that a killed run left nothing but names is known."""
        given = (
            {key: value for key, value in record.items() if value is not None} if isinstance(record, dict) else record
        )
        return cls.from_record({**UNKNOWN, **given} if isinstance(given, dict) else given)

    def as_record(self) -> dict[str, Any]:
        """Return the record this instance can be rebuilt from."""
        return {**asdict(self), "volumes": [one.as_record() for one in self.volumes]}
