# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derived names stay what they are, and differ where they must."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


def test_ids_of_an_instance_never_change():
    # A change here gives every instance in the world a new uuid, MAC and tap: never change these lines.
    assert uuid.uuid5(uuid.NAMESPACE_URL, "urn:virtfleet:1") == naming.NAMESPACE
    assert naming.instance_uuid("default", "web-1") == "55726b4d-7686-5a38-855d-3db090bab39d"
    port = naming.port_id("default", "web-1", 0)
    assert port == "a4101240-9120-5761-bedb-158ed95ca195"
    assert naming.mac(port) == "52:54:00:b5:f0:1f"
    assert naming.tap(port) == "tapa4101240912"


@given(NAMES, NAMES, st.integers(0, 20))
def test_what_is_derived_is_stable_and_well_formed(project, name, index):
    port = naming.port_id(project, name, index)
    assert port == naming.port_id(project, name, index)
    assert re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", naming.mac(port))
    assert re.fullmatch(r"tap[0-9a-f]{11}", naming.tap(port))
    assert len(naming.bridge(name)) <= 15


@given(st.sets(st.tuples(NAMES, NAMES), min_size=2, max_size=6))
def test_different_instances_have_different_uuids(owners):
    assert len({naming.instance_uuid(*owner) for owner in owners}) == len(owners)


@given(NAMES, st.integers(1, 50))
def test_expanded_names_are_unique_and_begin_alike(name, count):
    names = naming.expand(name, count)
    assert len(set(names)) == count
    assert all(one.startswith(name) for one in names)


def test_a_count_of_one_keeps_the_name():
    assert naming.expand("web") == naming.expand("web", 1) == ["web"]
    assert naming.expand("web", 3) == ["web-1", "web-2", "web-3"]


@pytest.mark.parametrize(
    "name,hostname",
    [
        ("web-1", "web-1"),
        ("Web Server_1.lan", "web-server-1-lan"),
        ("a<b>&'\"c", "abc"),
        ("-.web.-", "web"),
        ("Grün", "grün"),
        ("🐘", "Server-id"),
        ("x" * 70, "x" * 63),
        ("日本web", "web"),
    ],
)
def test_host_names_are_sanitised_as_in_nova(name, hostname):
    assert naming.hostname(name, "id") == hostname


def test_the_domain_of_another_project_has_its_name_in_front():
    assert naming.domain("default", "web-1") == "web-1"
    assert naming.domain("shop", "web-1") == "shop-web-1"


@pytest.mark.parametrize("network,bridge", [("lan", "vf-lan"), ("a long network", "vf-8a17113eb0d5")])
def test_bridges_of_private_networks(network, bridge):
    assert naming.bridge(network) == bridge


def test_digests_of_user_data_are_salted_and_empty_for_nothing():
    assert naming.user_data_digest("a", None, []) == ""
    assert naming.user_data_digest("a", "x", []) != naming.user_data_digest("b", "x", [])
    assert naming.user_data_digest("a", "x", []) != naming.user_data_digest("a", "x", [{"path": "/x", "content": ""}])


def record():
    flavor = {"name": "m1", "vcpus": 1, "memory_mb": 1, "disk_gb": 1}
    return {
        "name": "web",
        "flavor": flavor,
        "image": {"name": "i"},
        "volumes": [{"name": "root"}],
        "ports": [{"id": "p"}],
        "state": "active",
    }


@pytest.mark.parametrize(
    "learned",
    [
        {"host": "kvm1"},
        {"state": "stopped"},
        {"created_at": "2026-01-01 10:00:00", "power_state": "running"},
        {"ports": [{"id": "p", "addresses": [{"address": "192.0.2.1"}], "plugged": True}]},
        {"volumes": [{"name": "root", "path": "/x", "format": "qcow2", "base": "/y"}]},
        {"image": {"name": "i", "path": "/x", "virtual_size": 7}},
    ],
)
def test_what_stages_learn_does_not_change_the_digest(learned):
    assert naming.spec_digest(record()) == naming.spec_digest({**record(), **learned})


@pytest.mark.parametrize(
    "asked", [{"metadata": {"a": "b"}}, {"ports": []}, {"image": {"name": "j"}}, {"user_data_digest": "x"}]
)
def test_what_is_asked_for_changes_the_digest(asked):
    assert naming.spec_digest(record()) != naming.spec_digest({**record(), **asked})
