# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that come and go while their guest runs, whatever they are. Private to this collection."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._model.domain import Plan
from .._model.errors import ItemError
from .._xml.tree import etree
from .connection import failing_to, libvirt

LETTING_GO = 20  # seconds that a guest has to let go of a device
POLL = 0.1

# What a step does to a domain and a device of it, with what else the kind of device needs.
Step = Callable[[Any, Any, Any], None]


def detach(domain: Any, find: Callable[[], Any], doing: str, device: str, way_out: str) -> None:
    """The running guest has let go of a device; raises ItemError when it does not in time.

    `find` returns the device in the guest's document as it runs, None when it has none; the texts are for errors.
    """
    found = find()
    if found is None:
        return
    with failing_to(doing):
        domain.detachDeviceFlags(etree.tostring(found, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    end = time.monotonic() + LETTING_GO
    while find() is not None:
        if time.monotonic() >= end:
            told = f"{domain.name()} does not let go of {device} after {LETTING_GO} s"
            raise ItemError(f"{told}: {way_out}, or stop the guest, and run again")
        time.sleep(POLL)


def known(plan: Plan, kind: str) -> dict[str, Any]:
    """Return the devices of a kind (volumes, ports) that the guest runs with or is to have, by id."""
    instances = [one for one in (plan.found and plan.found.running, plan.instance) if one]
    return {device.id: device for one in instances for device in getattr(one, kind)}


def take(
    domain: Any,
    steps: Iterable[str],
    devices: Mapping[str, Any],
    more: Any,
    forward: Mapping[str, Step],
    back: Mapping[str, Step],
) -> None:
    """Take the steps, each a word and the id of a device; when one fails, the guest has the devices it had before."""
    done: list[tuple[str, Any]] = []
    for step in steps:
        word, _space, identity = step.partition(" ")
        done.append((word, devices[identity]))
        try:
            forward[word](domain, devices[identity], more)
        except ItemError:
            for before, device in reversed(done):
                if before in back:
                    with contextlib.suppress(ItemError):
                        back[before](domain, device, more)
            raise
