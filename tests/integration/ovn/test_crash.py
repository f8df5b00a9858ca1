# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that dies before each step of a plug or unplug on a network of OVN, with OVN's real daemons on two hosts."""

from __future__ import annotations

import os
import subprocess

import pytest
from fleet import records
from host import sh

from ansible_collections.virtfleet.compute.plugins.module_utils import _ovsdb
from ansible_collections.virtfleet.compute.plugins.module_utils._model.trace import Place
from ansible_collections.virtfleet.compute.plugins.module_utils._network import links, traces
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn import traces as logical

LIMIT = {"qos": [{"max_kbps": 8000}], "floating_ip": "192.0.2.60"}
STAYS = {"stays": ("one", "red", "10.70.0.31", "open", {})}
PLACES = {"web": ("two", "red", "10.70.0.32", "closed", LIMIT)}


class Killed(BaseException):
    """The run was killed: nothing of ours may catch it."""


def killed_after(patch, count):
    """Let the process die before its step number `count`: a command, a transaction or a file that changes something."""
    run, transact, replace, unlink, made = subprocess.run, _ovsdb.transact, os.replace, os.unlink, []

    def step(reading):
        if not reading:
            if len(made) == count:
                raise Killed
            made.append(count)

    def command(words, *given, check=False, **more):
        step(isinstance(words, str) or any(one in words for one in ("show", "list", "-c", "-L")))
        return run(words, *given, check=check, **more)

    def transaction(path, database, operations, *given, **more):
        step(all(one["op"] == "select" for one in operations))
        return transact(path, database, operations, *given, **more)

    def file(call):
        def changed(path, *given, **more):
            step(False)
            return call(path, *given, **more)

        return changed

    patch.setattr(os, "replace", file(replace))
    patch.setattr(os, "unlink", file(unlink))
    patch.setattr(subprocess, "run", command)
    patch.setattr(_ovsdb, "transact", transaction)
    return made


def make(fleet):
    """Do what a run does: tell OVN of the port, then plug it; return whether something changed."""
    (web,) = records(PLACES).values()
    whole, (told,) = fleet.tell(web)
    with fleet.two as host:
        (plugged,) = host.node.plug(web)
    assert (told.error, plugged.error) == ("", "")
    return bool(whole.operations) or plugged.changed


def unmake(fleet):
    """Do what a deletion does: unplug the port, then take it out of OVN; return whether something changed."""
    (web,) = records(PLACES).values()
    with fleet.two as host:
        (gone,) = host.node.unplug(web)
    whole, (told,) = fleet.tell(web, away=True, networks=[], routers={})
    assert (gone.error, told.error) == ("", "")
    return bool(whole.operations) or gone.changed


def found(fleet, owners):
    """Return what the audit finds that is of none of these instances."""
    told = []
    with fleet.two as host:
        place = Place(host.node.host.state_dir, host.node.host.run_dir, {}, {})
        looks = (
            traces.find_taps,
            traces.find_switch_ports,
            traces.find_bridges,
            traces.find_rules,
            traces.find_missing,
        )
        told += [one for look in looks for one in look(place)]
        told += [one for one in traces.find_ports(place) if one.owner not in owners]
    with fleet.one:
        told += [one for one in logical.find_ports(Place()) if one.owner not in owners]
        told += logical.find_groups(Place())
    return [one.evidence for one in told]


def die(fleet, monkeypatch, what, count):
    """Let it die before a step; say whether it came to its end."""
    with monkeypatch.context() as patch:
        killed_after(patch, count)
        try:
            what(fleet)
        except Killed:
            return False
    return True


@pytest.fixture(scope="module")
def uuids(fleet):
    """The instances that are there by right; one of them stays all the time."""
    (stays,), (web,) = (list(records(one).values()) for one in (STAYS, PLACES))
    fleet.tell(stays)
    with fleet.one as host:
        assert [one.error for one in host.node.plug(stays)] == [""]
    yield stays["uuid"], web["uuid"]
    fleet.delete(STAYS)


def nothing_left(fleet, uuids):
    assert found(fleet, uuids[:1]) == []
    with fleet.two:
        assert (
            links.ours() == {} and "tap" not in sh("ovs-vsctl list-ports br-int") and sh("nft list tables bridge") == ""
        )
    assert "192.0.2.60" not in fleet.nb("list NAT") and fleet.nb("list QoS").strip() == ""


@pytest.mark.parametrize("then", ["again", "away"])
def test_a_run_killed_at_each_step_of_a_plug_converges(fleet, uuids, monkeypatch, then):
    for count in range(40):
        ended = die(fleet, monkeypatch, make, count)
        if then == "again":
            make(fleet)
            assert not make(fleet) and found(fleet, uuids) == []
        unmake(fleet)
        assert not unmake(fleet)
        nothing_left(fleet, uuids)
        if ended:
            break
    assert ended and count > 3
    print(f"killed before each of {count} steps")


def test_a_run_killed_at_each_step_of_an_unplug_converges(fleet, uuids, monkeypatch):
    for count in range(40):
        make(fleet)
        ended = die(fleet, monkeypatch, unmake, count)
        unmake(fleet)
        assert not unmake(fleet)
        nothing_left(fleet, uuids)
        if ended:
            break
    assert ended and count > 2
    print(f"killed before each of {count} steps")
