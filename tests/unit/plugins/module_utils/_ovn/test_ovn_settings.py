# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is told of itself."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.module_utils._ovn.settings import differing

WANTED = {"system-id": "kvm1", "hostname": "kvm1", "ovn-encap-type": "geneve", "ovn-bridge-mappings": ""}


def test_a_host_learns_what_it_does_not_know_and_forgets_what_is_empty():
    assert differing({}, WANTED) == ([], {key: value for key, value in WANTED.items() if value})
    known = {**WANTED, "ovn-encap-type": "vxlan", "ovn-bridge-mappings": "public:br-ex"}
    assert differing(known, WANTED) == (["ovn-bridge-mappings"], {"ovn-encap-type": "geneve"})


def test_the_host_name_that_open_vswitch_wrote_at_boot_stays():
    known = {"system-id": "kvm1", "hostname": "kvm1.example.org", "ovn-encap-type": "geneve"}
    assert differing(known, WANTED) == ([], {})
