# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each host of the lab has its share of the six guests."""


def test_two_guests_run_on_each_host(host):
    assert len(host.check_output("virsh -q list --name").split()) == 2


def test_each_guest_has_its_disk_its_seed_and_its_tap(host):
    folders = host.file("/var/lib/virtfleet/instances").listdir()
    assert len(folders) == 2
    for folder in folders:
        files = host.file(f"/var/lib/virtfleet/instances/{folder}").listdir()
        assert {"config.iso", "root.qcow2"} <= set(files)
    taps = [name for name in host.file("/sys/class/net/br0/brif").listdir() if name.startswith("tap")]
    assert len(taps) == 2


def test_none_of_a_group_with_anti_affinity_shares_a_host(host):
    assert len([name for name in host.check_output("virsh -q list --name").split() if name.startswith("db-")]) == 1
