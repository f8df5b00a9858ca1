# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile guest on a network of OVN sends, and what a connection lives through: groups that change, limits.

Real frames between network stacks behind taps, on two hosts with OVN's real daemons.
"""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
from fleet import NO, pings, records
from frames import Station, honest, hostile
from ovn_spec import GROUPS
from test_qos import RECEIVER, SENDER

from ansible_collections.virtfleet.compute.plugins.module_utils._network.port import link_local

OPEN = {"port_security": False}
# The victims have no port security: what does not reach them was stopped where it was sent.
PLACES = {
    "bad": ("one", "twin", "10.70.0.31", "open", {}),
    "near": ("one", "twin", "10.70.0.32", "", OPEN),
    "far": ("two", "twin", "10.70.0.33", "", OPEN),
    "closed": ("one", "red", "10.70.0.21", "closed", {}),
    "friend": ("two", "red", "10.70.0.22", "friend", {}),
    "other": ("two", "red", "10.70.0.23", "open", {}),
}
SEND = (
    "import socket,sys,time\n"
    "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(('eth0',0))\n"
    "for line in sys.stdin: s.send(bytes.fromhex(line)); time.sleep(0.02)\n"
)
LISTEN = (
    "import socket,sys,time\n"
    "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3)); s.bind(('eth0',0)); s.settimeout(0.2)\n"
    "end=time.time()+float(sys.argv[1]); print('up',flush=True)\n"
    "while time.time()<end:\n"
    "    try:\n"
    "        frame,where=s.recvfrom(65536)\n"
    "        if where[2]!=4: print(frame.hex(),flush=True)\n"
    "    except OSError: pass\n"
)
# OVN lets no tagged frame of a guest in, whatever its port may.
NEVER = {"802.1Q tag"}
# Without an IPv6 address a port may send none, nor RARP.
LETS = {"ping", "ARP request", "ARP reply"}


@pytest.fixture(scope="module")
def guests(fleet):
    with fleet.guests(PLACES) as machines:
        yield machines
    fleet.delete(PLACES)


def changed(**more):
    """Return the records with other words for some of the ports, or other groups."""
    places = {
        name: (*PLACES[name][:3], *more[name]) if name in more else one for name, one in copy.deepcopy(PLACES).items()
    }
    return list(records(places).values())


def said(fleet, *told):
    """OVN was told, and the hosts do it."""
    whole, outcomes = fleet.tell(*told)
    assert [one.error for one in outcomes] == [""] * len(told)
    fleet.nb("--wait=hv sync")
    return whole


def captured(guests, victim, frames):
    """Return the frames that came to a guest while the hostile one sent these."""
    listener = guests[victim].start(f'{sys.executable} -c "{LISTEN}" 3')
    assert listener.stdout.readline() == b"up\n"
    text = "".join(f"{frame.hex()}\n" for frame in frames)
    command = guests["bad"].command(f'{sys.executable} -c "{SEND}"')
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    return [bytes.fromhex(line) for line in listener.communicate()[0].decode().split()]


def arrived(kinds, seen):
    """Return the kinds of frames that are among those seen; a short one may have grown on its way."""
    return {kind for kind, frame in kinds.items() if any(one[: len(frame)] == frame for one in seen)}


def stations(guests, victim):
    """Return the hostile guest, whom it speaks to, and a gateway.

    Their addresses are none that OVN knows, or it would answer itself and pass nothing on.
    """
    me = guests["bad"].port
    peer = Station(guests[victim].port["mac"], "10.70.0.77", "fe80::77")
    gateway = Station("02:00:00:00:00:01", "10.70.0.1", "fe80::1")
    return Station(me["mac"], guests["bad"].ip, link_local(me["mac"])), peer, gateway


@pytest.mark.parametrize("victim", ["near", "far"])
def test_no_frame_of_a_hostile_guest_arrives_and_all_do_without_port_security(fleet, guests, victim):
    """On its own host and on the other; that they do without shows that the first could fail."""
    assert pings(guests["bad"], guests[victim].ip)
    bad, good = hostile(*stations(guests, victim)), honest(*stations(guests, victim))
    assert len(bad) >= 16
    seen = captured(guests, victim, [*bad.values(), *good.values()])
    assert arrived(bad, seen) == set() and arrived(good, seen) >= LETS
    said(fleet, *changed(bad=("", OPEN)))
    seen = captured(guests, victim, [*bad.values(), *good.values()])
    assert arrived(bad, seen) == set(bad) - NEVER and arrived(good, seen) >= LETS
    said(fleet, *changed())


def test_a_revoked_rule_cuts_the_live_connection_and_no_other(fleet, guests):
    closed, friend, other = (guests[name] for name in ("closed", "friend", "other"))
    closed.serves(80)
    other.serves(80)
    assert pings(closed, "10.70.0.23")
    talk, beside = friend.connects("10.70.0.21", 80, 5), friend.connects("10.70.0.23", 80, 5)
    assert talk.says("one", 3) and beside.says("one", 3)
    shut = copy.deepcopy(GROUPS)
    shut["closed"]["rules"] = []
    whole = said(fleet, *records(PLACES, shut).values())
    assert whole.operations
    assert not talk.says("two", 1) and beside.says("two", 3)
    assert not friend.reaches("10.70.0.21", 80, NO) and friend.reaches("10.70.0.23", 80, 3)
    said(fleet, *changed())
    assert friend.reaches("10.70.0.21", 80, 3)


def test_who_joins_a_group_is_let_in_and_who_leaves_is_cut_off(fleet, guests):
    closed, other = guests["closed"], guests["other"]
    assert pings(closed, "10.70.0.23") and not other.reaches("10.70.0.21", 80, NO)
    said(fleet, *changed(other=("open,friend", {})))
    talk = other.connects("10.70.0.21", 80, 5)
    assert talk.says("one", 3)
    said(fleet, *changed())
    assert not talk.says("two", 1) and not other.reaches("10.70.0.21", 80, NO)
    assert guests["friend"].reaches("10.70.0.21", 80, 3), "who stays is still let in"


def seconds(sender, receiver, size):
    """Return how long so many bytes take."""
    server = receiver.start(f'{sys.executable} -c "{RECEIVER}"')
    assert server.stdout.readline() == b"up\n"
    return float(sender.run(f'{sys.executable} -c "{SENDER}" {receiver.ip} {size}'))


def test_limits_of_both_directions_hold_are_changed_in_place_and_go(fleet, guests):
    """A megabyte at a megabyte a second: only in the direction that is limited, over two hosts."""
    near, far = guests["near"], guests["far"]
    slow = {"max_kbps": 8000, "max_burst_kbps": 4000}
    assert pings(near, far.ip)
    free = seconds(near, far, 10**6), seconds(far, near, 10**6)
    said(fleet, *changed(near=("", {**OPEN, "qos": [slow]})))
    sends = seconds(near, far, 10**6), seconds(far, near, 10**6)
    said(fleet, *changed(near=("", {**OPEN, "qos": [{**slow, "direction": "ingress"}]})))
    takes = seconds(near, far, 10**6), seconds(far, near, 10**6)
    assert said(fleet, *changed()).operations
    assert fleet.nb("list QoS").strip() == ""
    again = seconds(near, far, 10**6), seconds(far, near, 10**6)
    print(f"a megabyte out and in: free {free}, egress limited {sends}, ingress limited {takes}, free again {again}")
    assert sends[0] > 0.5 and takes[1] > 0.5, "half a megabyte is let pass at once"
    assert sends[0] > 2 * free[0] and takes[1] > 2 * free[1]
    assert max(sends[1], takes[0], *again) < 0.5
