# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the broken one is on any host."""


def test_only_the_good_ones_run(host):
    names = host.check_output("virsh -q list --all --name").split()
    assert names and all(name.startswith("web-") for name in names)
    assert len(host.file("/var/lib/virtfleet/instances").listdir()) == len(names)
    assert len(host.file("/var/lib/virtfleet/ports").listdir()) == len(names)


def test_the_broken_image_is_not_in_the_cache(host):
    assert len([name for name in host.file("/var/lib/virtfleet/images").listdir() if not name.startswith(".")]) <= 2
