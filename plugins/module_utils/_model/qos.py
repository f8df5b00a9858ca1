# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of a port's traffic and the queues of its card, from what the user wrote. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import ItemError

DIRECTIONS = ("egress", "ingress")
YES = {True, "yes", "true", "True", "1", "on"}
# What a tap takes at most; Nova's limit too.
MOST_QUEUES = 256


def limits(rules: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return by direction, seen from the guest, (kilobits a second, kilobits at once).

    Neutron's bandwidth limit rule, and its burst where none is said: 80 % of the rate.
    """
    found = {}
    for rule in rules:
        direction, rate = str(rule.get("direction") or "egress"), int(rule["max_kbps"])
        if direction not in DIRECTIONS or direction in found or rate < 1:
            raise ItemError(f"qos has {dict(rule)}: want one limit for each of egress and ingress", fault="request")
        found[direction] = (rate, int(rule.get("max_burst_kbps") or max(1, rate * 8 // 10)))
    return found


def queues(record: Mapping[str, Any]) -> int:
    """Return how many queues each card of an instance has: one for each processor where that is asked for, as in Nova.

    Asked for by the image property or the extra spec of the flavor, and only virtio has them.
    """
    flavor, image = record.get("flavor") or {}, record.get("image") or {}
    properties, specs = image.get("properties") or {}, flavor.get("extra_specs") or {}
    asked = {specs.get("hw:vif_multiqueue_enabled"), properties.get("hw_vif_multiqueue_enabled")}
    if not asked & YES or properties.get("hw_vif_model", "virtio") != "virtio":
        return 1
    return max(1, min(int(flavor.get("vcpus") or 1), MOST_QUEUES))
