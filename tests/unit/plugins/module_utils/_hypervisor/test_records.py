# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What domains remember, read with libvirt's own test driver."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import records
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError

libvirt = pytest.importorskip("libvirt")

DOMAIN = """<domain type='test'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os>
<metadata>{metadata}</metadata></domain>"""
OURS = "<virtfleet:instance xmlns:virtfleet='urn:virtfleet:1'>{record}</virtfleet:instance>"


def host(directory, **domains):
    """Return the URI of a host with these domains, each with a text as its record, or None if it is not ours."""
    written = [
        DOMAIN.format(name=name, metadata="" if record is None else OURS.format(record=record))
        for name, record in domains.items()
    ]
    (directory / "host.xml").write_text(f"<node>{''.join(written)}</node>")
    return f"test://{directory}/host.xml"


def test_ours_are_found_and_others_left_out(tmp_path):
    uri = host(
        tmp_path, b='{"name": "b"}', a='{"name": "a", "note": "&lt;ü&amp;"}', foreign=None, broken="{", odd="[1]"
    )
    assert records.read_records(uri) == [
        {"record": {"name": "a", "note": "<ü&"}, "power_state": "running"},
        {"record": {"name": "b"}, "power_state": "running"},
    ]


def test_a_host_without_domains(tmp_path):
    assert records.read_records(host(tmp_path)) == []


def test_a_host_that_does_not_answer_is_one_sentence(tmp_path):
    with pytest.raises(ItemError, match=r"Failed to connect to test:///nowhere\.xml: "):
        records.read_records("test:///nowhere.xml")
