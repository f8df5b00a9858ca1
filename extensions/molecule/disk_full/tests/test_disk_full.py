# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All guests run where there is room, and nothing is where there was none."""


def guests(host):
    return host.check_output("virsh -q list --name").split()


def test_the_guests_run_on_the_others(host):
    is_full = host.check_output("hostname") == "kvm3"
    assert guests(host) == [] if is_full else 1 <= len(guests(host)) <= 2


def test_nothing_is_there_but_what_runs(host):
    assert len(host.file("/var/lib/virtfleet/instances").listdir()) == len(guests(host))
    assert len(host.file("/var/lib/virtfleet/ports").listdir()) == len(guests(host))
