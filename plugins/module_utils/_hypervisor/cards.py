# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network cards that come and go while their guest runs. Private to this collection.

A card is known by its tap. Stage port plugs the tap before its card comes, and what takes the tap away comes after
the card has gone: a tap that a guest has open always has its rules.
"""

from __future__ import annotations

from typing import Any

from .._model.domain import Plan
from .._model.instance import Instance
from .._model.port import Port
from .._xml import devices as xml
from . import hotplug
from .connection import failing_to, libvirt


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
    doing = f"unplug the card of network {port.network} from {domain.name()}"
    card = f"its card of network {port.network}"
    hotplug.detach(domain, lambda: live(domain, port), doing, card, "take it down in the guest")


STEPS = {"plug": plug, "unplug": unplug}
REVERSE = {"plug": unplug, "unplug": plug}


def take(domain: Any, plan: Plan, steps: list[str]) -> None:
    """Take the steps; when one fails, the guest has the cards it had before."""
    hotplug.take(domain, steps, hotplug.known(plan, "ports"), plan.instance, STEPS, REVERSE)
