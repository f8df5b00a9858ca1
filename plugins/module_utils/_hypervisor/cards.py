# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network cards that come and go while their guest runs. Private to this collection.

A card is known by its tap. Stage port plugs the tap before its card comes, and what takes the tap away comes after
the card has gone: a tap that a guest has open always has its rules.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from .._model.domain import Plan
from .._model.errors import ItemError
from .._model.instance import Instance
from .._model.port import Port
from .._xml import devices as xml
from .._xml.tree import etree
from .connection import failing_to, libvirt

LETTING_GO = 20  # seconds that a guest has to let go of a card
POLL = 0.1


def live(domain: Any, port: Port) -> Any:
    """Return the card of the running guest that is on the port's tap, or None."""
    with failing_to(f"read domain {domain.name()}"):
        return xml.card_on(domain.XMLDesc(0), port.tap)


def plug(domain: Any, port: Port, instance: Instance) -> None:
    """The running guest has the card; that it has it already is no error."""
    if live(domain, port) is None:
        with failing_to(f"plug a card of network {port.network} into {domain.name()}"):
            domain.attachDeviceFlags(xml.card(port, instance), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def unplug(domain: Any, port: Port, instance: Instance) -> None:
    """The running guest has let go of the card; raises ItemError when it does not in time."""
    card = live(domain, port)
    if card is None:
        return
    with failing_to(f"unplug the card of network {port.network} from {domain.name()}"):
        domain.detachDeviceFlags(etree.tostring(card, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    end = time.monotonic() + LETTING_GO
    while live(domain, port) is not None:
        if time.monotonic() >= end:
            told = f"{domain.name()} does not let go of its card of network {port.network} after {LETTING_GO} s"
            raise ItemError(f"{told}: take it down in the guest, or stop the guest, and run again")
        time.sleep(POLL)


STEPS = {"plug": plug, "unplug": unplug}
REVERSE = {"plug": unplug, "unplug": plug}


def take(domain: Any, plan: Plan, steps: list[str]) -> None:
    """Take the steps; when one fails, the guest has the cards it had before."""
    known = {one.id: one for each in (plan.found and plan.found.running, plan.instance) if each for one in each.ports}
    done: list[tuple[str, Port]] = []
    for step in steps:
        word, _space, identity = step.partition(" ")
        done.append((word, known[identity]))
        try:
            STEPS[word](domain, known[identity], plan.instance)
        except ItemError:
            for before, port in reversed(done):
                with contextlib.suppress(ItemError):
                    REVERSE[before](domain, port, plan.instance)
            raise
