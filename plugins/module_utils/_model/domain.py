# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exists of an instance on a host, and the steps from there to what is wanted. Private to this collection.

Pure: what exists and what is wanted in, a plan out. `_xml.read` makes the one, `_hypervisor.domains` takes its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from .changes import Change, card_steps, differences, drift, plug_steps
from .errors import ItemError
from .instance import Instance

OFF = ("shutdown", "crashed")
TO_ACTIVE = {
    "running": "",
    "nostate": "",
    "paused": "resume",
    "suspended": "wake",
    "shutdown": "start",
    "crashed": "start",
}


@dataclass(frozen=True)
class Shape:
    """The few things of a domain that somebody may have edited by hand: sizes, disk files, (mac, tap) of each card."""

    vcpus: int
    memory_mb: int
    disks: tuple[str, ...]
    cards: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Domain:
    """A domain as libvirt tells it.

    `instance` is what its definition remembers, None when it is not ours; `running` is what the guest was started
    with, which differs after a change for the next boot.
    """

    name: str
    uuid: str
    power_state: str
    shape: Shape
    instance: Instance | None = None
    running: Instance | None = None
    machine: str = ""
    domain_id: int | None = None
    vnc_port: int | None = None
    has_nvram: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """Return what stage domain adds to the instance record."""
        keys = ("power_state", "domain_id", "vnc_port", "machine")
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class Plan:
    """The steps for one instance, in order, and why: define, remember, start, resume, wake, stop, remove, clean.

    A running guest may also detach, attach or resize a volume: the word, a space and the volume's id; and unplug or
    plug a card: the word, a space and the port's id.
    """

    instance: Instance
    found: Domain | None = None
    steps: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    pending: tuple[Change, ...] = ()

    @property
    def before(self) -> dict[str, Any]:
        """Return the first half of the diff."""
        if self.found is None:
            return {"power_state": "absent", **({"console.log": "present"} if "clean" in self.steps else {})}
        return {"power_state": self.found.power_state, **{one.label: one.before for one in self.changes}}

    @property
    def after(self) -> dict[str, Any]:
        """Return the second half of the diff: what the steps lead to."""
        if {"remove", "clean"} & set(self.steps):
            return {"power_state": "absent"}
        moved = [one for one in self.steps if one in ("start", "resume", "wake", "stop")]
        kept = self.found.power_state if self.found else "shutdown"
        state = kept if not moved else "shutdown" if "stop" in moved else "running"
        return {"power_state": state, **{one.label: one.after for one in self.changes}}


def refuse_foreign(instance: Instance, found: Domain | None, holder: str) -> None:
    """Raise ItemError when the uuid or the name belongs to a domain that is not this instance; it stays untouched."""
    if found is not None and (found.instance is None or found.instance.uuid != instance.uuid):
        raise ItemError(
            f"domain {found.name} on this host has the uuid {found.uuid} of instance {instance.name} but was not "
            "made by us: it stays untouched; remove it or give the instance another name"
        )
    if holder and holder != instance.uuid:
        raise ItemError(
            f"the name {instance.domain} is taken on this host by another domain ({holder}): it stays untouched; "
            "rename it or give the instance another name"
        )
    if found is not None and found.name != instance.domain:
        raise ItemError(f"domain {found.name} of this host is instance {instance.name}: rename it to {instance.domain}")


def carried_over(old: Instance, new: Instance) -> Instance:
    """Return the wanted instance with what only the existing one knows: what its disk was made from, and its files.

    A catalogue entry that moves on (url, checksum) does not change a disk that was made from it, as in Nova.
    """
    image = replace(new.image, url=old.image.url, checksum=old.image.checksum, disk_format=old.image.disk_format)
    built = {(one.name, one.backend): one for one in old.volumes}
    volumes = []
    for one in new.volumes:
        last = built.get((one.name, one.backend))
        told = last is not None and not one.path
        volumes.append(replace(one, path=last.path, format=last.format, base=last.base) if told else one)
    known = {one.id: one.addresses for one in old.ports}
    ports = [one if one.addresses else replace(one, addresses=known.get(one.id, ())) for one in new.ports]
    return replace(
        new,
        image=image,
        volumes=tuple(volumes),
        ports=tuple(ports),
        config_drive_path=new.config_drive_path or old.config_drive_path,
        config_drive_bus=new.config_drive_bus or old.config_drive_bus,
        created_at=old.created_at or new.created_at,
    )


def power_steps(wanted: str, power_state: str) -> tuple[str, ...]:
    """Return the step from a power state to the wanted state of the instance, if one is needed."""
    if wanted == "stopped":
        return () if power_state in OFF else ("stop",)
    step = TO_ACTIVE[power_state]
    return (step,) if step else ()


def plan_present(
    wanted: Instance, shape_of: Callable[[Instance], Shape], found: Domain | None, holder: str = ""
) -> Plan:
    """Return the steps that make the wanted instance exist in its state; raises ItemError for what is refused.

    `shape_of` is the shape an instance gets on this host, `holder` the uuid of the domain that has its name there, or
    empty.
    """
    refuse_foreign(wanted, found, holder)
    if found is None:
        return Plan(wanted, None, ("define", *power_steps(wanted.state, "shutdown")))
    kept = carried_over(found.instance, wanted)
    changes = differences(found.instance, kept) + drift(asdict(found.shape), asdict(shape_of(found.instance)))
    refused = [one for one in changes if one.takes == "refused"]
    if refused:
        raise ItemError("; ".join(f"{one.sentence(wanted.name)}: {one.why}" for one in refused), fault="request")
    power = power_steps(wanted.state, found.power_state)
    goes_on = found.power_state not in OFF and "stop" not in power
    redefine = any(one.takes == "next boot" or one.field.startswith(("volume ", "port ")) for one in changes)
    running = found.running if goes_on else None
    plugs = (*card_steps(running, kept), *plug_steps(running, kept)) if running is not None else ()
    write = ("define",) if redefine else ("remember",) if changes else ()
    steps = write + plugs + power
    pending = [one for one in changes if one.takes == "next boot"]
    if not pending and found.running is not None:
        pending = [one for one in differences(found.running, kept) if one.takes == "next boot"]
    return Plan(kept, found, steps, changes, tuple(pending) if goes_on else ())


def plan_absent(wanted: Instance, found: Domain | None, has_console: bool) -> Plan:
    """Return the steps that remove the domain of the instance and its console log; what is not ours is not there."""
    ours = found is not None and found.instance is not None and found.instance.uuid == wanted.uuid
    steps = (("remove",) if ours else ()) + (("clean",) if has_console and (ours or found is None) else ())
    return Plan(wanted, found if ours else None, steps)
