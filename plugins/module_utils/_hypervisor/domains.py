# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of a host: what is asked for in a handful of calls, and one function a step. Private to this collection."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .._model.changes import cards_now
from .._model.domain import Domain, Plan
from .._model.errors import ItemError
from .._model.instance import Instance
from .._xml import read as xml
from .._xml.devices import console_path
from .._xml.domain import Guest, domain_xml
from .._xml.metadata import NOVA, OURS, bare, nova_element, our_element
from . import cards, secrets, volumes
from .connection import POWER_STATES, failing_to, is_gone, libvirt, listed, power_states
from .ports import unplugged

POLL = 0.1  # seconds between two looks at a state
LOGS = ("", ".0", ".1", ".2")  # console.log and what virtlogd rotates it to


@dataclass(frozen=True)
class Settings:
    """How this host takes steps: seconds until a guest must run or be off, and where things are."""

    guest: Guest
    start_timeout: float = 30
    stop_timeout: float = 60
    run_dir: str = "/run/virtfleet"
    rules_digest: str = ""
    sysfs: str = "/sys/class/net"
    vif_plugging_is_fatal: bool = True
    keys: dict[str, Any] = field(default_factory=dict, repr=False)  # passphrases of encrypted volumes by name


@dataclass(frozen=True)
class World:
    """What a host has of the asked instances, by uuid, and which uuid holds each domain name of the host."""

    domains: dict[str, Domain]
    holders: dict[str, str]


def describe(domain: Any, power_state: str) -> Domain | None:
    """Return what libvirt tells of a domain; None when it went away meanwhile."""
    try:
        live = domain.XMLDesc(0)
        later = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if domain.ID() != -1 else live
        return xml.domain(live, later, power_state)
    except libvirt.libvirtError as error:
        if is_gone(error):
            return None
        raise ItemError(f"Failed to read domain {domain.name()}: {error.get_error_message()}")


def read(connection: Any, uuids: Iterable[Any]) -> World:
    """Return the domains with these uuids and the names of all."""
    everything = {domain.UUIDString(): domain for domain in listed(connection)}
    asked = [everything[uuid] for uuid in uuids if uuid in everything]
    states = power_states(connection, asked)
    told = [describe(domain, states.get(domain.UUIDString(), "nostate")) for domain in asked]
    holders = {domain.name(): uuid for uuid, domain in everything.items()}
    return World({one.uuid: one for one in told if one is not None}, holders)


def look_up(connection: Any, instance: Instance) -> Any:
    """Return libvirt's domain of the instance."""
    with failing_to(f"find {instance.domain}"):
        return connection.lookupByUUIDString(instance.uuid)


def define(connection: Any, instance: Instance, guest: Guest) -> Any:
    """Write the definition of the instance; a running guest keeps the one it was started with."""
    with failing_to(f"define {instance.domain}"):
        return connection.defineXML(domain_xml(instance, guest))


def remember(domain: Any, instance: Instance, running: bool) -> None:
    """Put our record and Nova's description into the metadata, and into that of the running guest too if asked."""
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG | (libvirt.VIR_DOMAIN_AFFECT_LIVE if running else 0)
    kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    with failing_to(f"write the metadata of {instance.domain}"):
        domain.setMetadata(kind, bare(nova_element(instance)), "nova", NOVA, flags)
        domain.setMetadata(kind, bare(our_element(instance)), "virtfleet", OURS, flags)


def remember_running(domain: Any, plan: Plan) -> None:
    """The running guest knows the volumes and cards it has now; what it takes at its next boot it does not know yet."""
    running = plan.instance
    if plan.pending:
        kept = cards_now(plan.found.running, plan.instance)
        running = replace(plan.found.running, volumes=plan.instance.volumes, ports=kept)
    with failing_to(f"write the metadata of {running.domain}"):
        element, kind = bare(our_element(running)), libvirt.VIR_DOMAIN_METADATA_ELEMENT
        domain.setMetadata(kind, element, "virtfleet", OURS, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def state_of(domain: Any) -> str:
    """Return the power state of one domain."""
    with failing_to(f"read the state of {domain.name()}"):
        return POWER_STATES[domain.state()[0]]


def is_off(domain: Any) -> bool:
    """Say whether no guest runs; its state says so a little before that is true."""
    with failing_to(f"read the state of {domain.name()}"):
        return not domain.isActive()


def within(timeout: float, condition: Callable[[Any], bool], domain: Any) -> bool:
    """Wait until the domain meets the condition; say whether it does in time."""
    end = time.monotonic() + timeout
    while not condition(domain):
        if time.monotonic() >= end:
            return False
        time.sleep(POLL)
    return True


def check_ports(instance: Instance, settings: Settings) -> None:
    """Raise ItemError unless every port of the instance is plugged and its rules are loaded."""
    reason = unplugged(
        instance, settings.sysfs, settings.run_dir, settings.rules_digest, settings.vif_plugging_is_fatal
    )
    if reason:
        raise ItemError(f"{reason}; the guest was not let run")


def resume(domain: Any, instance: Instance, settings: Settings) -> None:
    """Let a paused guest run once its ports are proven; raises ItemError when it does not run in time."""
    check_ports(instance, settings)
    with failing_to(f"resume {instance.domain}"):
        domain.resume()
    if not within(settings.start_timeout, lambda one: state_of(one) == "running", domain):
        told = f"is {state_of(domain)} {settings.start_timeout:g} s after its start"
        raise ItemError(f"{instance.domain} {told}: see its console.log")


def start(domain: Any, instance: Instance, settings: Settings) -> None:
    """Start the guest paused; `let_run` proves its ports once more and resumes it."""
    check_ports(instance, settings)
    if state_of(domain) == "crashed" and not is_off(domain):
        destroy(domain)
    if not within(settings.start_timeout, is_off, domain):
        raise ItemError(f"{instance.domain} is still shutting down after {settings.start_timeout:g} s: run again")
    with failing_to(f"start {instance.domain}"):
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)


def wake(domain: Any, instance: Instance, settings: Settings) -> None:
    """Wake a guest that suspended itself."""
    with failing_to(f"wake {instance.domain}"):
        domain.pMWakeup(0)


def destroy(domain: Any) -> None:
    """Take the power from the guest. libvirtd may say it failed although it did not: the state tells."""
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        with contextlib.suppress(libvirt.libvirtError):
            if not domain.isActive():
                return
        raise ItemError(f"Failed to destroy {domain.name()}: {error.get_error_message()}")


def stop(domain: Any, instance: Instance, settings: Settings) -> None:
    """Ask the guest to shut down, and take its power when it does not in time."""
    asked = False
    with contextlib.suppress(libvirt.libvirtError):
        asked = state_of(domain) == "running" and domain.shutdown() == 0
    if not (asked and within(settings.stop_timeout, is_off, domain)):
        destroy(domain)


def undefine(domain: Any, has_nvram: bool = False) -> None:
    """Remove the definition with all its parts; a stale NVRAM would switch Secure Boot off for a successor."""
    flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    with contextlib.suppress(libvirt.libvirtError):  # not every driver has them
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA if domain.listAllCheckpoints(0) else 0
    with failing_to(f"undefine {domain.name()}"):
        domain.undefineFlags(flags | (libvirt.VIR_DOMAIN_UNDEFINE_NVRAM if has_nvram else 0))


def consoles(instance: Instance, state_dir: str) -> list[str]:
    """Return the console log and what it was rotated to, as far as they exist."""
    files = [console_path(state_dir, instance) + suffix for suffix in LOGS]
    return [file for file in files if os.path.exists(file)]


def remove_console(instance: Instance, state_dir: str) -> None:
    """Remove the console log and what it was rotated to."""
    for file in consoles(instance, state_dir):
        try:
            os.unlink(file)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ItemError(f"cannot remove {file}: {error.strerror}")


def remove(domain: Any, plan: Plan) -> None:
    """Take the domain of an instance away."""
    if not is_off(domain):
        destroy(domain)
    undefine(domain, plan.found is not None and plan.found.has_nvram)


POWER: dict[str, Callable[[Any, Instance, Settings], None]] = {
    "start": start,
    "resume": resume,
    "wake": wake,
    "stop": stop,
}


def make(connection: Any, plan: Plan, settings: Settings) -> None:
    """Take the steps of the plan, but leave a guest that is started paused; what fails undoes a definition that is new.

    A guest that runs would take the processor from those that are still to be started: `let_run` comes after all.
    """
    if not plan.steps:
        return
    instance = plan.instance
    secrets.ensure(connection, instance, settings.keys)
    domain = define(connection, instance, settings.guest) if "define" in plan.steps else look_up(connection, instance)
    plugs, replugs = ([step for step in plan.steps if step.partition(" ")[0] in one.STEPS] for one in (volumes, cards))
    try:
        if replugs:
            check_ports(instance, settings)
        cards.take(domain, plan, replugs)
        volumes.take(domain, plan, plugs, settings.guest.cache)
        if plugs or replugs:
            remember_running(domain, plan)
        for step in plan.steps:
            if step in POWER:
                POWER[step](domain, instance, settings)
            elif step == "remember":
                remember(domain, instance, not is_off(domain) and not plan.pending)
    except ItemError:
        if plan.found is None:
            undefine(domain)
            secrets.forget(connection, instance.uuid, instance.volumes)
        elif plugs or replugs:
            define(connection, plan.found.instance, settings.guest)
        raise
    _forget_old_keys(connection, plan)


def let_run(connection: Any, plan: Plan, settings: Settings) -> Domain | None:
    """Resume what `make` started and return what is there then; one that may not run is off again, a new one gone."""
    if not plan.steps:
        return plan.found
    domain = look_up(connection, plan.instance)
    if "start" in plan.steps:
        try:
            resume(domain, plan.instance, settings)
        except ItemError:
            destroy(domain)
            if plan.found is None:
                undefine(domain)
                secrets.forget(connection, plan.instance.uuid, plan.instance.volumes)
            raise
    return describe(domain, state_of(domain))


def _forget_old_keys(connection: Any, plan: Plan) -> None:
    """libvirt has no passphrase of a volume that the instance has no more."""
    known = {one.name for one in plan.instance.volumes}
    old = plan.found.instance.volumes if plan.found and plan.found.instance else ()
    secrets.forget(connection, plan.instance.uuid, [one for one in old if one.name not in known])


def leave(connection: Any, plan: Plan, settings: Settings) -> Domain | None:
    """Take no step: return what is there."""
    return plan.found


def gone(connection: Any, plan: Plan, settings: Settings) -> None:
    """Return what is there after `unmake`: nothing."""


def unmake(connection: Any, plan: Plan, settings: Settings) -> None:
    """Take the domain of an instance and its console log away."""
    if "remove" in plan.steps:
        remove(look_up(connection, plan.instance), plan)
        found = plan.found.instance.volumes if plan.found and plan.found.instance else ()
        secrets.forget(connection, plan.instance.uuid, (*plan.instance.volumes, *found))
    if "clean" in plan.steps:
        remove_console(plan.instance, settings.guest.state_dir)
