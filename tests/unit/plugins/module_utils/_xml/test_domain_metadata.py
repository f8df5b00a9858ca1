# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain remembers: Nova's description for others, our record for us."""

from __future__ import annotations

import pytest
from lxml import etree

from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.metadata import (
    NOVA,
    OURS,
    bare,
    nova_element,
    our_element,
    remembered,
)
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.tree import parse
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import NASTY, record


def instance(**changes):
    return Instance.from_record(record(**changes))


@pytest.mark.parametrize("name", ["web-1", NASTY, "a" * 255])
def test_an_instance_is_rebuilt_from_its_domain(name):
    one = instance(name=name, metadata={"control": "\x01\ufffe", "who": NASTY})
    assert remembered(parse(domain_xml(one, Guest()))) == one


def test_no_secret_is_remembered():
    assert "hunter2" not in domain_xml(instance(user_data="hunter2", admin_pass="hunter2"), Guest())


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"name": "web-1"}'])
def test_a_broken_record_is_not_ours(text):
    root = etree.fromstring(f"<domain><metadata><v:instance xmlns:v='{OURS}'>{text}</v:instance></metadata></domain>")
    assert remembered(root) is None


def test_nova_description_has_what_exporters_read():
    node = nova_element(instance(flavor={"extra_specs": {"hw:x": "1"}}, image={"properties": {"os_type": "linux"}}))
    found = {one.tag.rpartition("}")[2]: one for one in node.iter()}
    assert {one.tag.partition("}")[0][1:] for one in node.iter()} == {NOVA}
    assert found["flavor"].get("name") == "m1.small" and found["memory"].text == "256" and found["vcpus"].text == "2"
    assert found["extraSpec"].get("name") == "hw:x" and found["property"].text == "linux"
    assert found["project"].text == "default" and len(found["project"].get("uuid")) == 36
    assert found["root"].get("type") == "image" and found["root"].get("uuid") == found["image"].get("uuid")
    assert found["ip"].attrib == {"type": "fixed", "address": "192.0.2.10", "ipVersion": "4"}
    assert found["creationTime"].text == "2026-01-01 10:00:00"


def test_for_libvirt_elements_go_without_their_namespace():
    assert bare(our_element(instance())).startswith("<instance>{")
    assert "xmlns" not in bare(nova_element(instance())) and "nova:" not in bare(nova_element(instance()))
