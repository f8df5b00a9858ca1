# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scheduler is asked, what is kept, and where secrets go."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import requests
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.resolve import request

SPEC = {
    "virtfleet_flavors": {"m1": {"vcpus": 1, "memory_mb": 256, "disk_gb": 1}},
    "virtfleet_images": {"tiny": {"url": "file:///srv/tiny.qcow2", "properties": {"hw_disk_bus": "virtio"}}},
    "virtfleet_networks": {"lan": {"type": "nat", "subnets": [{"cidr": "198.51.100.0/24"}]}},
    "virtfleet_server_groups": {"apart": {"policy": "anti-affinity", "rules": {"max_server_per_host": 2}}},
    "virtfleet_projects": {"shop": {}},
}
WEB = {"name": "web", "count": 3, "flavor": "m1", "image": "tiny", "server_group": "apart", "min_count": 2}


def records(*entries):
    return request({**SPEC, "virtfleet_instances": list(entries)})[0]


def on(host, record):
    addresses = [{"address": "198.51.100.7"}]
    ports = [{**port, "addresses": addresses} for port in record["ports"]]
    return {**record, "host": host, "ports": ports, "created_at": "2026-01-01 10:00:00", "power_state": "running"}


def test_one_request_for_each_entry():
    three = records(WEB, {"name": "db", "flavor": "m1", "image": "tiny", "ignore_hosts": ["kvm9"]})
    web, db = requests.scheduler_requests(three)
    assert web == {
        "name": "web",
        "vcpus": 1,
        "memory_mb": 256,
        "disk_gb": 1,
        "ephemeral_gb": 0,
        "swap_mb": 0,
        "extra_specs": {},
        "flavor_name": "m1",
        "num_instances": 3,
        "instance_names": ["web-1", "web-2", "web-3"],
        "instance_uuids": [one["uuid"] for one in three[:3]],
        "min_count": 2,
        "project_id": "default",
        "image_id": "tiny",
        "image_disk_format": "qcow2",
        "image_properties": {"hw_disk_bus": "virtio"},
        "server_group": {
            "name": "apart",
            "policy": "anti-affinity",
            "members": [],
            "rules": {"max_server_per_host": 2},
        },
        "availability_zone": None,
        "hints": {},
        "requested_host": None,
        "force_hosts": [],
        "ignore_hosts": [],
        "spread": None,
    }
    assert (db["num_instances"], db["min_count"], db["ignore_hosts"], db["server_group"]) == (1, 0, ["kvm9"], None)


def test_what_is_there_is_not_asked_for_and_counts_as_member():
    three = records(WEB)
    (asked,) = requests.scheduler_requests(three, [on("kvm1", three[1])])
    assert asked["instance_names"] == ["web-1", "web-3"]
    assert asked["min_count"] == 1
    assert asked["server_group"]["members"] == [three[1]["uuid"]]


def test_the_hosts_are_to_have_the_bridges_that_no_run_makes():
    networks = {
        "lan": {"type": "bridge", "bridge": "br0", "mtu": 9000},
        "ten": {"type": "bridge", "physical": "eth1", "segmentation_id": 10},
        "here": {"type": "bridge", "create": True},
        "red": {"type": "vxlan", "vni": 7},
    }
    entry = {**WEB, "count": 1, "min_count": 1, "networks": [{"network": name} for name in (*networks, "lan")]}
    asked = request({**SPEC, "virtfleet_networks": networks, "virtfleet_instances": [entry]})[0]
    (one,) = requests.scheduler_requests(asked)
    assert one["bridges"] == [{"name": "br0", "network": "lan", "mtu": 9000}]


def test_a_group_has_members_of_its_own_project_only():
    three = records(WEB)
    stranger = {**on("kvm1", three[1]), "uuid": "x", "project": "shop"}
    assert requests.scheduler_requests(three, [stranger])[0]["server_group"]["members"] == []


def test_entries_of_one_name_in_two_projects_are_two_requests():
    one = {**WEB, "count": 1, "min_count": 1}
    asked = requests.scheduler_requests(records(one, {**one, "project": "shop"}))
    assert [(one["name"], one["project_id"]) for one in asked] == [("web", "default"), ("web", "shop")]


def test_absent_failed_and_placed_ones_are_not_asked_for():
    first, second, third = records({**WEB, "min_count": 1})
    gone = records({"name": "old", "state": "absent"})
    assert requests.scheduler_requests([{**first, "failed": True}, {**second, "host": "kvm1"}, *gone]) == []
    assert requests.scheduler_requests([first, second, third], [first, second, third]) == []


def test_known_takes_over_host_age_and_addresses():
    first, second = records({**WEB, "count": 2})
    for told in (on("kvm1", first), {"record": on("kvm1", first), "power_state": "paused"}):
        one, other = requests.known([first, second], [told])
        assert (one["host"], one["created_at"]) == ("kvm1", "2026-01-01 10:00:00")
        assert one["ports"][0]["addresses"] == [{"address": "198.51.100.7"}]
        assert one["spec_digest"] == first["spec_digest"]
        assert other == second


def test_an_absent_one_takes_over_all_its_undo_needs():
    (web,) = records({**WEB, "count": 1, "min_count": 1})
    (gone,) = records({"name": "web", "state": "absent"})
    (found,) = requests.known([gone], [on("kvm1", web)])
    assert found["state"] == "absent" and found["host"] == "kvm1" and found["ports"][0]["tap"] == web["ports"][0]["tap"]


def test_secrets_go_to_their_own_guests():
    entries = [
        {**WEB, "user_data": "u"},
        {"name": "db", "flavor": "m1", "image": "tiny", "admin_pass": "$6$s$p", "count": None},
    ]
    entries.append({"name": "plain", "flavor": "m1", "image": "tiny"})
    web, db, plain = records({**WEB, "user_data": "u"}), records({**entries[1], "count": 1}), records(entries[2])
    told = requests.secrets_of([*web[:2], *db, *plain], entries)
    assert told == {
        web[0]["uuid"]: {"user_data": "dQ=="},
        web[1]["uuid"]: {"user_data": "dQ=="},
        db[0]["uuid"]: {"admin_pass": "$6$s$p"},
    }
