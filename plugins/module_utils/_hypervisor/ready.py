# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for guests, all at once, from the outside: their own clock is not trusted. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .._model.domain import OFF
from .._model.errors import ItemError
from .._model.instance import Instance
from .._xml.devices import console_path
from .._xml.read import agent_connected
from .connection import libvirt, listed, power_states
from .console import Console, last_words
from .probes import Arp, Ssh, first_address

POLL = 0.2


@dataclass(frozen=True)
class Waiting:
    """What to wait for: seconds for each instance, the console marker, and where instances live."""

    timeout: float
    state_dir: str
    marker: str


@dataclass
class Watch:
    """One instance being waited for: `look` says whether it is ready, `what` what is waited for, in words."""

    instance: Instance
    since: float
    what: str = "running"
    look: Callable[[], bool] | None = None
    close: Callable[[], None] | None = None
    domain: Any = None
    error: str = ""
    ready: bool = False
    took: float = field(default=0.0)

    @property
    def over(self) -> bool:
        """Say whether nothing more is waited for."""
        return self.ready or bool(self.error)

    def end(self, ready: bool, error: str = "") -> None:
        """Note the end of the wait."""
        self.ready, self.error, self.took = ready, error, round(time.time() - self.since, 1)
        if self.close is not None:
            self.close()
            self.close = None


def agent(domain: Any) -> Callable[[], bool]:
    """Return a look at whether the guest has opened the channel of its agent."""

    def look() -> bool:
        try:
            return agent_connected(domain.XMLDesc(0))
        except libvirt.libvirtError:  # it went away: its state says so
            return False

    return look


def watch(instance: Instance, domain: Any, waiting: Waiting, since: float) -> Watch:
    """Return the watch over an instance; raises ItemError when what it waits for cannot come."""
    one = Watch(instance, since, domain=domain)
    kind = instance.wait_for
    if kind in ("ssh", "address"):
        port, address = first_address(instance.ports, 4 if kind == "address" else 0)
        if not address:
            told = "no IPv4 address" if kind == "address" else "no address"
            raise ItemError(f"wait_for of {instance.name} is {kind} but its ports have {told}", fault="request")
        probe: Any = Ssh(address) if kind == "ssh" else Arp(port.bridge, address, port.mac)
        one.look, one.close = probe.ready, probe.close
        one.what = f"ssh {address}:22" if kind == "ssh" else f"address {address} on {port.bridge}"
    elif kind == "agent":
        one.look, one.what = agent(domain), "the guest agent"
    elif kind == "console":
        console = Console(console_path(waiting.state_dir, instance), waiting.marker)
        one.look, one.what = console.ready, f"'{waiting.marker}' on the console"
    return one


def begin(instance: Instance, domains: dict[str, Any], waiting: Waiting, since: float) -> Watch:
    """Return the watch over an instance of this host; one that is wanted stopped is ready as it is."""
    if instance.state == "stopped":
        return Watch(instance, since, ready=True)
    if instance.uuid not in domains:
        raise ItemError(f"{instance.name} has no domain on this host: stage domain makes it")
    return watch(instance, domains[instance.uuid], waiting, since)


def dead(one: Watch, state: str, waiting: Waiting) -> str:
    """Return why a guest will never be ready, or an empty string."""
    name = one.instance.name
    if state in OFF:
        words = last_words(console_path(waiting.state_dir, one.instance))
        return f"{name} is {state} while waiting for {one.what}; the guest's last words (untrusted): {words}"
    return ""


def step(one: Watch, state: str, waiting: Waiting) -> None:
    """Look once at an instance."""
    reason = ""
    try:
        if one.look() if one.look else state == "running":
            one.end(True)
            return
    except OSError as error:
        reason = f"cannot wait for {one.what} of {one.instance.name}: {error.strerror}"
    reason = reason or dead(one, state, waiting)
    if not reason and time.time() - one.since > waiting.timeout:
        words = last_words(console_path(waiting.state_dir, one.instance))
        reason = (
            f"{one.instance.name} is {state} and still waiting for {one.what} after {waiting.timeout:g} s; "
            f"the guest's last words (untrusted): {words}"
        )
    if reason:
        one.end(False, reason)


def find(connection: Any) -> dict[str, Any]:
    """Return every domain of the host by uuid."""
    return {domain.UUIDString(): domain for domain in listed(connection)}


def wait(connection: Any, watches: list[Watch], waiting: Waiting, seconds: float) -> None:
    """Look at all of them in turn until each is ready, has failed or so many seconds are over."""
    end = time.monotonic() + seconds
    while True:
        open_ones = [one for one in watches if not one.over]
        states = power_states(connection, [one.domain for one in open_ones])
        for one in open_ones:
            step(one, states.get(one.instance.uuid, "shutdown"), waiting)
        if all(one.over for one in watches) or time.monotonic() >= end:
            break
        time.sleep(POLL)
    for one in watches:
        if not one.over and one.close is not None:
            one.close()


def progress(watches: Iterable[Watch]) -> list[str]:
    """Return one line for each instance that is still waited for."""
    now = time.time()
    return [f"{one.instance.name}: waiting for {one.what}, {now - one.since:.0f} s" for one in watches if not one.over]
