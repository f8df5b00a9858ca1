# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance whose host fails it goes to another host within the run, and never runs twice."""

from __future__ import annotations

import pytest

from .conftest import LIBVIRTD, QEMU, instance

WEB = instance("web", count=3)
NAMES = {"web-1", "web-2", "web-3"}


def failed_builds(fleet) -> dict[str, int]:
    """Return how many builds each host failed since the last good one, straight from the registry."""
    query = (
        "import sqlite3; [print(*row) for row in sqlite3.connect('/var/lib/virtfleet/registry/registry.db')"
        ".execute('select name, failed_builds from hosts')]"
    )
    rows = [line.split() for line in fleet.lab("exec", "kvm1", "python3", "-c", query).splitlines()]
    return {name: int(count) for name, count in rows}


def test_a_full_disk_sends_the_instance_to_its_alternate(fleet):
    fleet.fill("kvm3")
    run = fleet.boot(WEB)
    assert run.code == 0, run.output
    states = run.states()
    assert {state for state, _host in states.values()} == {"active"}
    assert {host for _state, host in states.values()} == {"kvm1", "kvm2"}
    assert set(fleet.running()) == NAMES
    assert "not on kvm3: volume root: no space left" in run.output
    assert failed_builds(fleet)["kvm3"] >= 1
    assert fleet.lab("exec", "kvm3", "ls", "/var/lib/virtfleet/instances", "/var/lib/virtfleet/ports").split() == [
        "/var/lib/virtfleet/instances:",
        "/var/lib/virtfleet/ports:",
    ]
    again = fleet.boot(WEB)
    assert (again.code, again.changed) == (0, 0), again.output
    # The next instance is not given to the host that failed, though it is the emptiest.
    more = fleet.boot(WEB, instance("more"))
    assert more.code == 0 and more.states()["more"][1] != "kvm3" and "not on kvm3" not in more.output, more.output
    assert fleet.audit().code == 0


def test_a_host_lost_before_the_domain_sends_the_instance_to_its_alternate(fleet):
    run = fleet.boot(WEB, on_line=lambda line: line.startswith("claim") and fleet.lab("kill", "kvm3"))
    assert run.unreachable == ["kvm3"], run.output
    states = run.states()
    assert {state for state, _host in states.values()} == {"active"}, run.output
    assert {host for _state, host in states.values()} == {"kvm1", "kvm2"}
    assert "it had not come to its domain there" in run.output
    fleet.lab("boot", "kvm3")
    assert set(fleet.running()) == NAMES
    again = fleet.boot(WEB)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_host_lost_at_the_domain_keeps_the_instance(fleet):
    run = fleet.boot(WEB, on_line=lambda line: line.startswith("port") and fleet.lab("kill", "kvm3"))
    assert run.code != 0 and run.unreachable == ["kvm3"], run.output
    lost = {name for name, (_state, host) in run.states().items() if host == "kvm3"}
    assert lost and {name for name, (state, _host) in run.states().items() if state == "failed"} == lost
    assert "it may run there, so it is not tried on another host" in run.output
    assert {fleet.claims()[name][0] for name in lost} == {"kvm3"}
    fleet.lab("boot", "kvm3")
    assert set(fleet.running()) == NAMES - lost
    assert fleet.boot(WEB).code == 0
    assert set(fleet.running()) == NAMES
    assert fleet.audit().code == 0


def test_three_hosts_that_fail_are_all_named(fleet):
    fleet.fill("kvm1", "kvm2", "kvm3")
    run = fleet.boot(instance("one"))
    assert run.code != 0 and run.states()["one"][0] == "failed", run.output
    assert all(f"not on {host}: volume root: no space left" in run.output for host in fleet.hosts)
    assert "tried with 3 hosts" in run.output
    assert fleet.traces() == [] and fleet.claims() == {}
    assert failed_builds(fleet) == {"kvm1": 1, "kvm2": 1, "kvm3": 1}


def test_no_more_hosts_than_max_attempts(fleet):
    fleet.fill("kvm1", "kvm2", "kvm3")
    run = fleet.boot(instance("one"), virtfleet_max_attempts=2)
    assert run.code != 0 and "tried with 2 hosts" in run.output, run.output
    assert sum(f"not on {host}: " in run.output for host in fleet.hosts) == 2


def test_a_bad_image_is_not_tried_elsewhere(fleet):
    images = {
        "bad": {"url": "file:///srv/lab/halt.raw", "checksum": f"sha256:{'0' * 64}", "disk_format": "raw"},
    }
    run = fleet.boot(instance("one", image="bad"), virtfleet_images=images)
    assert run.code != 0 and run.output.count("checksum") >= 1, run.output
    assert "not on " not in run.output and "tried with" not in run.output
    assert set(failed_builds(fleet).values()) == {0}


def there(fleet, host: str) -> list[str]:
    """Return what the host has of any instance."""
    look = "virsh -q list --all --name; cd /var/lib/virtfleet; ls instances ports; ls /sys/class/net | grep ^tap"
    found = fleet.lab("exec", host, "sh", "-c", f"{look}; true").split()
    return [word for word in found if word not in ("instances:", "ports:")]


def test_a_domain_that_cannot_start_sends_the_instance_to_its_alternate(fleet):
    run = fleet.boot(WEB, on_line=lambda line: line.startswith("port") and fleet.spoil(QEMU, "kvm3"))
    assert run.code == 0, run.output
    assert "not on kvm3: " in run.output
    assert {host for _state, host in run.states().values()} == {"kvm1", "kvm2"}
    assert set(fleet.running()) == NAMES and there(fleet, "kvm3") == []
    again = fleet.boot(WEB)
    assert (again.code, again.changed) == (0, 0), again.output


def test_where_no_libvirt_can_say_what_runs_the_instance_stays_and_says_why(fleet):
    def lose_libvirt(line):
        if line.startswith("port"):
            fleet.spoil(LIBVIRTD, "kvm3")
            fleet.lab("exec", "kvm3", "pkill", "-9", "-x", "libvirtd")

    try:
        run = fleet.boot(WEB, on_line=lose_libvirt)
        claims = fleet.claims()
    finally:
        fleet.lab("exec", "kvm3", "sh", "-c", f"while umount -l {LIBVIRTD} 2>/dev/null; do :; done")
    assert run.code != 0 and run.unreachable == [], run.output
    lost = {name for name, (state, host) in run.states().items() if (state, host) == ("failed", "kvm3")}
    assert len(lost) == 1 and {state for _name, (state, _host) in run.states().items()} == {"active", "failed"}
    assert "could not be undone: libvirtd does not answer on" in run.output, run.output
    assert "it may run there, so it is not tried on another host: mend that host and run again" in run.output
    assert {claims[name][0] for name in lost} == {"kvm3"}
    fleet.lab("exec", "kvm3", "sh", "-c", "until virsh -q list >/dev/null 2>&1; do sleep 0.2; done")
    assert set(fleet.running()) == NAMES - lost
    assert fleet.boot(WEB).code == 0
    assert set(fleet.running()) == NAMES and fleet.audit().code == 0


@pytest.fixture
def uplink(fleet):
    """A network whose interface kvm3 does not have."""
    for host in ("kvm1", "kvm2"):
        fleet.lab("exec", host, "sh", "-c", "ip link add wirex type veth peer name wirey && ip link set wirex up")
    subnet = {"cidr": "192.0.2.0/24", "gateway": "192.0.2.1", "pool": ["192.0.2.20-192.0.2.40"]}
    yield {"uplink": {"type": "bridge", "physical": "wirex", "subnets": [subnet]}}
    fleet.play("playbooks/delete.yml", "-e", "names=web-1,web-2,web-3")
    for host in ("kvm1", "kvm2"):
        fleet.lab("exec", host, "ip", "link", "del", "wirex")


def test_a_missing_interface_sends_the_instance_to_its_alternate(fleet, uplink):
    run = fleet.boot({**WEB, "networks": [{"network": "uplink"}]}, virtfleet_networks=uplink)
    assert run.code == 0, run.output
    assert "not on kvm3: " in run.output and "interface wirex of network 'uplink' does not exist on" in run.output
    assert {host for _state, host in run.states().values()} == {"kvm1", "kvm2"}
    assert set(fleet.running()) == NAMES and there(fleet, "kvm3") == []


def test_an_instance_stays_in_its_cell(cells):
    cells.fleet.fill("kvm2")
    east = instance("east", count=2, cell="east")
    run = cells.boot(east)
    assert run.code == 0 and "not on kvm2: volume root: no space left" in run.output, run.output
    assert run.states() == {"east-1": ("active", "kvm1"), "east-2": ("active", "kvm1")}
    both = [("east-1", "kvm1", "active"), ("east-2", "kvm1", "active")]
    assert cells.claims("cell-east") == both and cells.claims("cell-west") == []
    assert cells.claims("registry") == [(name, "east", state) for name, _host, state in both]
    again = cells.boot(east)
    assert (again.code, again.changed) == (0, 0), again.output


def test_where_no_other_host_of_the_cell_takes_it_it_has_failed(cells):
    cells.fleet.fill("kvm3")
    run = cells.boot(instance("pin", cell="west"), instance("east", count=2, cell="east"))
    assert run.code != 0, run.output
    assert run.states()["pin"] == ("failed", "kvm3"), run.output
    assert "no space left in /var/lib/virtfleet/instances" in run.output
    assert "no other host takes it: 1 hosts -> 0 ignored hosts" in run.output, run.output
    assert cells.claims("cell-west") == [] and [one[0] for one in cells.claims("registry")] == ["east-1", "east-2"]
    assert set(cells.fleet.running()) == {"east-1", "east-2"} and there(cells.fleet, "kvm3") == []
