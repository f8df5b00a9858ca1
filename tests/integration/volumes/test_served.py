# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of storage servers: guests of two hosts find what the other one wrote, and boot with it."""

from __future__ import annotations

import pytest

from ..boot.machine import Commands
from .servers import TARGET, Iscsi, Nbd
from .world import NAMES, guest

PASSWORD = "twelve chars"


@pytest.fixture(params=["nbd", "iscsi", "chap", "nbd-luks", "iscsi-luks"])
def served(request, world, tmp_path):
    """A running server, and the variables by which the fleet knows its disk, which guests find encrypted with luks."""
    address, (protocol, _dash, luks) = f"{world.lab.prefix}.0.1", request.param.partition("-")
    kind = {"backend": "nbd"}
    if protocol == "nbd":
        one = Nbd(tmp_path, address)
    else:
        user, password = ("virtfleet", PASSWORD) if protocol == "chap" else ("", "")
        one = Iscsi(tmp_path, address, user, password)
        kind = {"backend": "iscsi", "target": TARGET, **({"chap_user": user} if user else {})}
    kind |= {"encryption": "luks"} if luks else {}
    volume = {"size_gb": 1, "type": "san", "location": "disk" if protocol == "nbd" else "1"}
    try:
        yield {
            "path": one.path,
            "virtfleet_volume_types": {"san": {**kind, "server": one.server}},
            "virtfleet_volumes": {"vfv-san": volume},
            "virtfleet_volume_keys": {"san": PASSWORD},
        }
    finally:
        one.stop()


def test_a_disk_of_a_server_is_seen_by_guests_of_all_hosts_one_after_the_other(world, served):
    path = served.pop("path")
    first, second = guest("vfv-1", host="kvm1"), guest("vfv-2", "vfv-san", host="kvm2")
    with Commands() as commands:
        world.boot(first, **served)
        world.boot(guest("vfv-1", "vfv-san", host="kvm1"), **served)  # live
        world.write("kvm1", "vfv-1", "vfv-san", "SERVED")
        assert world.boot(guest("vfv-1", "vfv-san", host="kvm1"), **served).changed == 0
        world.boot(first, **served)
        world.boot(first, second, **served)  # from the start
    assert world.read("kvm2", "vfv-2", "vfv-san") == "SERVED"
    encrypted = served["virtfleet_volume_types"]["san"].get("encryption")
    assert bool(encrypted) is (b"SERVED" not in path.read_bytes())
    told = world.lab.on("kvm2", "virsh dumpxml vfv-2 --security-info; cat /var/lib/virtfleet/instances/*/*.json")
    assert PASSWORD not in told + world.output
    # tgtadm of the test itself is told the password in this way, and nobody else.
    assert not [one for one in commands.seen if PASSWORD.encode() in one and b"tgtadm" not in one]
    volumes = served["virtfleet_volumes"]
    larger = {**served, "virtfleet_volumes": {"vfv-san": {**volumes["vfv-san"], "size_gb": 2}}}
    run = world.boot(first, second, **larger, code=None)
    if "chap_user" not in served["virtfleet_volume_types"]["san"]:
        assert run.code == 2 and "extend it there first" in run.output
    world.play("delete", "-e", f"names={NAMES}", **served)
    assert world.lab.on("kvm2", "virsh -q secret-list").strip() == ""


def test_a_server_that_has_no_such_disk_is_one_sentence(world):
    kind = {"backend": "nbd", "server": f"{world.lab.prefix}.0.1:10898"}
    fleet = {"virtfleet_volume_types": {"san": kind}}
    fleet["virtfleet_volumes"] = {"vfv-san": {"size_gb": 1, "type": "san", "location": "disk"}}
    run = world.boot(guest("vfv-1", "vfv-san", host="kvm1"), **fleet, code=2)
    assert f"failed to find volume vfv-san on {kind['server']}" in run.output
