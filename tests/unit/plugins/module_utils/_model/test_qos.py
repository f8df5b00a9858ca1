# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of traffic and numbers of queues, as Neutron and Nova count them."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.qos import limits, queues


def test_a_burst_that_is_not_said_is_eighty_percent():
    assert limits([{"max_kbps": 1000}]) == {"egress": (1000, 800)}
    assert limits([{"direction": "ingress", "max_kbps": 1, "max_burst_kbps": 7}]) == {"ingress": (1, 7)}
    assert limits([]) == {}


@pytest.mark.parametrize("rule", [{"direction": "both", "max_kbps": 1}, {"max_kbps": 0}])
def test_a_limit_that_is_none_is_refused(rule):
    with pytest.raises(ItemError, match="want one limit for each of egress and ingress"):
        limits([rule])


def record(vcpus, properties=None, **specs):
    return {"flavor": {"vcpus": vcpus, "extra_specs": specs}, "image": {"properties": properties or {}}}


ON = {"hw_vif_multiqueue_enabled": True}


@pytest.mark.parametrize(
    "asked,number",
    [
        (record(4), 1),
        (record(4, ON), 4),
        (record(4, {"hw_vif_multiqueue_enabled": "no"}), 1),
        (record(4, **{"hw:vif_multiqueue_enabled": "true"}), 4),
        (record(1, ON), 1),
        (record(400, ON), 256),
        (record(4, {**ON, "hw_vif_model": "e1000"}), 1),
        ({}, 1),
    ],
)
def test_a_queue_for_each_processor_where_it_is_asked_for(asked, number):
    assert queues(asked) == number
