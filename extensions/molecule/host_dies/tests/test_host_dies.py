# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each guest runs once, also the one that was being built when its host died."""


def test_one_guest_on_each_host(host):
    assert len(host.check_output("virsh -q list --name").split()) == 1


def test_nothing_is_there_twice(host):
    assert len(host.file("/var/lib/virtfleet/instances").listdir()) == 1
    assert len(host.file("/var/lib/virtfleet/ports").listdir()) == 1
