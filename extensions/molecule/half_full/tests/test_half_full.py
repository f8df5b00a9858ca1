# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fillers have a host each to themselves, and all else is on the third."""


def test_a_full_host_has_its_filler_alone(host):
    names = host.check_output("virsh -q list --name").split()
    if any(name.startswith("filler-") for name in names):
        assert len(names) == 1
    else:
        assert sorted(names) == ["web-1", "web-2", "web-3"]
