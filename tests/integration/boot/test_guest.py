# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real guests: what they got, that a second run leaves them alone, and that one stopped by hand is started again."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from ..conftest import ROOT, STATE_DIR, virsh

PREFIX, OCTET = "vft", 232

SCRIPT = '#!/bin/sh\necho "user data ran on $(hostname)" > /root/proof\n'


@pytest.fixture(scope="module")
def instances(cloud):
    """Two guests that wait for their console marker, one of each config drive kind, booted once for this module."""
    return [
        cloud.instance(
            "one", wait_for="console", user_data=SCRIPT, networks=[{"network": "private", "fixed_ip": "192.168.232.77"}]
        ),
        cloud.instance("two", wait_for="ssh", user_data=SCRIPT, config_drive="openstack"),
    ]


@pytest.fixture(scope="module")
def before(cloud):
    """What an audit found on this machine before."""
    return cloud.findings()


@pytest.fixture(scope="module")
def booted(cloud, before, instances):
    return cloud.boot(*instances)


def test_the_first_run_boots_both(cloud, booted):
    assert booted.code == 0, booted.output
    assert booted.changed > 0
    assert cloud.domains() == {"vft-one": "running", "vft-two": "running"}


def test_the_last_thing_printed_is_the_table_and_the_time(booted):
    table = booted.output.strip().splitlines()[-5:]
    assert any(line.split()[:3] == ["vft-one", "active", "localhost"] and "192.168.232.77" in line for line in table)
    assert booted.output.strip().splitlines()[-1].rstrip().endswith("s")


@pytest.mark.parametrize("name,address", [("vft-one", "192.168.232.77"), ("vft-two", "192.168.232.10")])
def test_the_guest_got_what_was_asked(cloud, booted, name, address):
    look = "hostname; ip -4 -o addr show; cat /root/proof; ping -c 1 -w 5 192.168.232.1; cat /root/.ssh/authorized_keys"
    seen = cloud.ssh(address, look)
    assert seen.splitlines()[0] == name
    assert f"{address}/24" in seen
    assert f"user data ran on {name}" in seen
    assert " 0% packet loss" in seen
    assert cloud.vars["virtfleet_keypairs"]["test"].split()[1] in seen


def test_the_second_run_changes_nothing(cloud, instances, booted):
    before = virsh("dumpxml", "vft-one") + virsh("dumpxml", "vft-two")
    run = cloud.boot(*instances)
    assert (run.code, run.changed) == (0, 0), run.output
    assert virsh("dumpxml", "vft-one") + virsh("dumpxml", "vft-two") == before


def test_check_mode_plans_and_changes_nothing(cloud, instances, booted):
    before = cloud.all_traces()
    run = cloud.boot(*instances, cloud.instance("three"), arguments=("--check",))
    assert run.code == 0, run.output
    assert "vft-three" in run.output and run.changed > 0
    assert cloud.all_traces() == before
    run = cloud.boot(*instances, arguments=("--check",))
    assert (run.code, run.changed) == (0, 0), run.output


@pytest.mark.parametrize("verb", ["destroy", "suspend"])
def test_a_guest_stopped_by_hand_runs_again_after_the_next_run(cloud, instances, booted, verb):
    virsh(verb, "vft-two")
    run = cloud.boot(*instances)
    assert run.code == 0, run.output
    assert run.changed > 0
    assert cloud.domains() == {"vft-one": "running", "vft-two": "running"}


def test_list_shows_both(cloud, booted):
    run = cloud.play("list.yml")
    assert run.code == 0, run.output
    assert "vft-one" in run.output and "192.168.232.77" in run.output and run.changed == 0


def test_the_running_guests_are_an_inventory(cloud, booted):
    source = cloud.folder / "guests.virtfleet.yml"
    source.write_text("plugin: virtfleet.compute.instances\n")
    told = json.loads(
        subprocess.run(
            ["ansible-inventory", "-i", str(source), "--list"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        ).stdout
    )
    address = told["_meta"]["hostvars"]["vft-one"]["ansible_host"]  # what a guest could have had a hand in is unsafe
    assert address in ("192.168.232.77", {"__ansible_unsafe": "192.168.232.77"})
    assert {"vft-one", "vft-two"} <= set(told["image_guest"]["hosts"]) & set(told["flavor_tiny"]["hosts"])


def test_audit_finds_nothing_stray(cloud, before, booted):
    assert cloud.findings() <= before


def test_no_secret_is_in_the_domain_the_registry_or_the_output(cloud, booted):
    assert "user data ran" not in booted.output
    assert "user data ran" not in virsh("dumpxml", "vft-one")
    registry = (STATE_DIR / "registry" / "registry.db").read_bytes()
    assert b"user data ran" not in registry


def test_delete_leaves_nothing_but_the_image_cache(cloud, before, instances, booted):
    run = cloud.play("delete.yml", "-e", "names=all", virtfleet_instances=instances)
    assert run.code == 0, run.output
    assert cloud.traces("vft-one", "vft-two") == []
    again = cloud.play("delete.yml", "-e", "names=all", virtfleet_instances=instances)
    assert (again.code, again.changed) == (0, 0), again.output
    assert cloud.findings() <= before
    assert list((STATE_DIR / "images").iterdir())
