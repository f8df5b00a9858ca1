# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance record, there and back."""

from __future__ import annotations

import json

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import NASTY, record


def test_a_record_survives_json_both_ways():
    instance = Instance.from_record(record(NASTY, metadata={"who": NASTY}))
    assert Instance.from_record(json.loads(json.dumps(instance.as_record()))) == instance


def test_what_a_stage_or_a_user_adds_is_not_remembered():
    instance = Instance.from_record(record(user_data="secret", admin_pass="secret", changed=True, vnc_port=5900))
    assert "secret" not in json.dumps(instance.as_record())
    assert not {"changed", "vnc_port"} & set(instance.as_record())


def test_an_instance_that_is_to_go_needs_only_its_names():
    names = {
        "name": "web-1",
        "uuid": record()["uuid"],
        "domain": "web-1",
        "state": "absent",
        "volumes": [],
        "ports": [],
    }
    assert Instance.to_remove({**names, "flavor": None}).uuid == names["uuid"]
    assert Instance.to_remove(record()) == Instance.from_record(record())
    with pytest.raises(ItemError, match="web-1 has no 'uuid'"):
        Instance.to_remove({**names, "uuid": None})


def test_numbers_may_be_text():
    assert Instance.from_record(record(flavor={"vcpus": "4"})).flavor.vcpus == 4


def test_the_promised_disk_counts_swap_as_nova_does():
    assert (
        Instance.from_record(record(flavor={"disk_gb": 3, "ephemeral_gb": 2, "swap_mb": 1025})).flavor.promised_disk_gb
        == 7
    )


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"uuid": None}, "web-1 has no 'uuid'"),
        ({"flavor": None}, "web-1 has no 'flavor'"),
        ({"flavor": {"memory_mb": "lots"}}, "memory_mb of the flavor of web-1 is 'lots', which is not a whole number"),
        ({"state": "paused"}, "state of web-1 is 'paused': it must be one of active, stopped"),
        ({"wait_for": "rain"}, "wait_for of web-1 is 'rain'"),
        ({"ports": [{"id": "1"}]}, "port 0 of web-1 has no 'network'"),
        ({"volumes": ["root"]}, "volume 0 of web-1 must be a mapping, not str"),
    ],
)
def test_a_bad_record_is_refused_by_name(changes, words):
    bad = record(**changes)
    if "flavor" in changes and changes["flavor"] is None:
        bad["flavor"] = None
    with pytest.raises(ItemError) as caught:
        Instance.from_record(bad)
    assert str(caught.value).startswith(words)
    assert caught.value.fault == "request"
