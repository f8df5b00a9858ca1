# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three members are on three hosts, and nothing is left of the fourth."""


def test_one_member_on_each_host(host):
    assert len(host.check_output("virsh -q list --name").split()) == 1


def test_the_refused_one_left_nothing(host):
    assert "db-4" not in host.check_output("virsh -q list --all --name").split()
    assert len(host.file("/var/lib/virtfleet/instances").listdir()) == 1
