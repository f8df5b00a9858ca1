# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an existing instance can take, difference by difference. Private to this collection.

Each is taken `live` (only our record changes), at the `next boot` (the definition changes, the running guest does not)
or is `refused` (it would destroy data, or cannot be done to an instance that exists).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from .instance import Instance
from .port import Port
from .volume import SERVED, Volume

AGAIN = "delete the instance and boot it again"
ORDER = {"refused": 0, "next boot": 1, "live": 2}


@dataclass(frozen=True)
class Change:
    """One difference between an instance that exists and the one that is wanted."""

    field: str
    before: Any
    after: Any
    takes: str
    why: str = ""

    @property
    def label(self) -> str:
        """Return what the change is called in a diff: the field, and what takes it if it is not taken at once."""
        return self.field if self.takes == "live" else f"{self.field} ({self.takes})"

    def sentence(self, name: str = "") -> str:
        """Return the change in words."""
        owner = f" of {name}" if name else ""
        if self.takes == "refused":
            return f"{self.field}{owner} cannot change from {self.before!r} to {self.after!r}"
        return f"{self.field}{owner}: {self.before!r} -> {self.after!r} ({self.takes})"


def _pick(*path: str) -> Callable[[Instance], Any]:
    """Return a function that reads a field."""

    def read(instance: Instance) -> Any:
        value: Any = instance
        for name in path:
            value = getattr(value, name)
        return value

    return read


def _cards(instance: Instance) -> list[dict[str, Any]]:
    """Return what a guest's cards are made from."""
    return [{"id": one.id, "mac": one.mac, "tap": one.tap, "mtu": one.mtu} for one in instance.ports]


def _filters(instance: Instance) -> dict[str, Any]:
    """Return by the place of each port what it lets pass, in words short enough for a diff."""
    return {
        f"{place} ({one.network})": {
            "port_security": one.port_security,
            "port_isolated": one.port_isolated,
            "security_groups": one.security_groups,
            "allowed_address_pairs": one.allowed_address_pairs,
            **({"qos": one.qos} if one.qos else {}),
            **({"floating_ip": one.floating_ip} if one.floating_ip else {}),
        }
        for place, one in enumerate(instance.ports)
    }


def _addresses(instance: Instance) -> dict[str, list[str]]:
    """Return the addresses of each port that the config drive tells the guest."""
    return {one.id: [address.address for address in one.addresses] for one in instance.ports}


def _networks(instance: Instance) -> dict[str, list[dict[str, Any]]]:
    """Return what the config drive tells the guest about its networks beside that."""
    keys = ("cidr", "gateway", "dns", "routes")
    return {one.id: [{key: each.get(key) for key in keys} for each in one.subnets] for one in instance.ports}


# field, how to read it, what takes it, why. What is not listed (host, created_at, image url ...) makes no difference.
FIELDS = (
    ("image.name", _pick("image", "name"), "refused", f"the root disk was made from it; {AGAIN}"),
    ("availability_zone", _pick("availability_zone"), "refused", f"the instance has its place already; {AGAIN}"),
    ("server_group", _pick("server_group"), "refused", f"a group is joined at the first boot; {AGAIN}"),
    ("image.properties", _pick("image", "properties"), "next boot", ""),
    ("flavor.vcpus", _pick("flavor", "vcpus"), "next boot", ""),
    ("flavor.memory_mb", _pick("flavor", "memory_mb"), "next boot", ""),
    ("flavor.extra_specs", _pick("flavor", "extra_specs"), "next boot", ""),
    ("hostname", _pick("hostname"), "next boot", ""),
    ("config_drive", _pick("config_drive"), "next boot", ""),
    ("config_drive_format", _pick("config_drive_format"), "next boot", ""),
    ("user_data", _pick("user_data_digest"), "next boot", ""),
    ("keys", _pick("keys"), "next boot", ""),
    ("ports", _cards, "next boot", ""),
    ("addresses", _addresses, "next boot", ""),
    ("subnets", _networks, "next boot", ""),
    ("filters", _filters, "live", ""),
    ("flavor.name", _pick("flavor", "name"), "live", ""),
    ("state", _pick("state"), "live", ""),
    ("wait_for", _pick("wait_for"), "live", ""),
    ("metadata", _pick("metadata"), "live", ""),
    ("tags", _pick("tags"), "live", ""),
)
# These may differ although the digest of the specification does not.
BESIDE_THE_SPEC = {"state", "wait_for", "metadata", "tags"}


def _sizes(old: Instance, new: Instance) -> list[Change]:
    """Return the changes of the flavor's disk sizes: a disk grows, it does not shrink."""
    found = []
    for name in ("disk_gb", "ephemeral_gb", "swap_mb"):
        before, after = getattr(old.flavor, name), getattr(new.flavor, name)
        if after != before:
            takes, why = ("next boot", "") if after > before else ("refused", f"a disk cannot shrink; {AGAIN}")
            found.append(Change(f"flavor.{name}", before, after, takes, why))
    return found


def _volumes(old: Instance, new: Instance) -> list[Change]:
    """Return the changes of the volumes: one may come or grow, none may shrink or move to another backend.

    Only what has a life of its own may go, unless the guest boots from it; a virtio disk comes and goes live.
    """
    before, after = ({one.name: one for one in each.volumes} for each in (old, new))
    found = [_gone(before[name]) for name in before if name not in after]
    found += [
        Change(f"volume {name}", "absent", "present", "live" if plugs(after[name], new) else "next boot")
        for name in after
        if name not in before
    ]
    for name in sorted(set(before) & set(after)):
        one, two = before[name], after[name]
        for field in ("backend", "encryption"):
            if getattr(one, field) != getattr(two, field):
                told = f"volume {name}.{field}"
                found.append(Change(told, getattr(one, field), getattr(two, field), "refused", AGAIN))
        if one.size_gb != two.size_gb:
            takes = "refused" if two.size_gb < one.size_gb else "live" if grows_live(two) else "next boot"
            why = f"a disk cannot shrink; {AGAIN}" if takes == "refused" else ""
            found.append(Change(f"volume {name}.size_gb", one.size_gb, two.size_gb, takes, why))
    return found


def _gone(volume: Volume) -> Change:
    """Return what it means that a disk is asked for no longer."""
    if volume.id and volume.boot_index is None:
        return Change(f"volume {volume.name}", "present", "absent", "live")
    return Change(f"volume {volume.name}", "present", "absent", "refused", AGAIN)


def plugs(volume: Volume, instance: Instance) -> bool:
    """Say whether a running guest takes the disk: one on virtio, which is not a disk of the flavor."""
    bus = volume.disk_bus or instance.image.properties.get("hw_disk_bus", "virtio")
    return bool(volume.id) and bus == "virtio" and volume.device_type != "cdrom" and volume.boot_index is None


def grows_live(volume: Volume) -> bool:
    """Say whether a running guest sees a larger size: QEMU itself makes the disk larger, which no server lets it do."""
    return bool(volume.id) and volume.backend not in SERVED


def _tail(old: Instance, new: Instance) -> bool:
    """Say whether cards came or went at the end alone, so that a running guest keeps the others as they are."""
    return all(one == two for one, two in zip(_cards(old), _cards(new)))


def _common(old: Instance, new: Instance) -> tuple[Instance, Instance]:
    """Return both with the ports that both have, where others only came or went at the end."""
    if not _tail(old, new):
        return old, new
    both = min(len(old.ports), len(new.ports))
    return replace(old, ports=old.ports[:both]), replace(new, ports=new.ports[:both])


def _ports(old: Instance, new: Instance) -> list[Change]:
    """Return the cards that come or go at the end; a running guest takes them."""
    if not _tail(old, new):
        return []
    both = min(len(old.ports), len(new.ports))
    gone = [Change(f"port {at} ({one.network})", "present", "absent", "live") for at, one in _after(old, both)]
    return gone + [Change(f"port {at} ({one.network})", "absent", "present", "live") for at, one in _after(new, both)]


def _after(instance: Instance, both: int) -> list[tuple[int, Port]]:
    """Return the ports after the first ones, with their places."""
    return list(enumerate(instance.ports))[both:]


def cards_now(running: Instance, wanted: Instance) -> tuple[Port, ...]:
    """Return the ports of a running guest once it took what it takes live."""
    return wanted.ports if _tail(running, wanted) else running.ports


def card_steps(old: Instance, new: Instance) -> tuple[str, ...]:
    """Return what a running guest does about its cards: unplug and plug, each with the port's id."""
    if not _tail(old, new):
        return ()
    both = min(len(old.ports), len(new.ports))
    gone = [f"unplug {one.id}" for _at, one in reversed(_after(old, both))]
    return (*gone, *(f"plug {one.id}" for _at, one in _after(new, both)))


def plug_steps(old: Instance, new: Instance) -> tuple[str, ...]:
    """Return what a running guest does about its volumes: detach, attach and resize, each with the volume's id."""
    before, after = ({one.id: one for one in each.volumes if one.id} for each in (old, new))
    gone = [f"detach {one}" for one in sorted(set(before) - set(after)) if before[one].boot_index is None]
    more = [f"attach {one}" for one in after if one not in before and plugs(after[one], new)]
    larger = [
        f"resize {one}"
        for one in sorted(set(before) & set(after))
        if after[one].size_gb > before[one].size_gb and grows_live(after[one])
    ]
    return (*gone, *more, *larger)


def differences(old: Instance, new: Instance) -> tuple[Change, ...]:
    """Return what differs between two instances, the worst first; with the same digest only what is beside it."""
    same = old.spec_digest == new.spec_digest
    one, two = _common(old, new)
    found = [
        Change(field, read(one), read(two), takes, why)
        for field, read, takes, why in FIELDS
        if (not same or field in BESIDE_THE_SPEC) and read(one) != read(two)
    ]
    if not same:
        found += _sizes(old, new) + _volumes(old, new) + _ports(old, new)
        if not found:
            found.append(Change("spec_digest", old.spec_digest, new.spec_digest, "live"))
    return tuple(sorted(found, key=lambda one: ORDER[one.takes]))


def drift(found: dict[str, Any], wanted: dict[str, Any]) -> tuple[Change, ...]:
    """Return what somebody edited by hand in the definition: it is put back for the next boot."""
    return tuple(
        Change(f"domain.{key}", found[key], value, "next boot") for key, value in wanted.items() if found[key] != value
    )


def as_dicts(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    """Return the changes as a result of a module."""
    return [asdict(one) for one in changes]
