# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains over libvirt's own test driver; what it cannot do (starting paused) is a small object passed in."""

from __future__ import annotations

import os

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import domains
from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor.connection import connect
from ansible_collections.virtfleet.compute.plugins.module_utils._model.domain import plan_absent, plan_present
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.read import wanted_shape
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import (
    NASTY,
    host_uri,
    port,
    record,
)

libvirt = pytest.importorskip("libvirt")

FOREIGN = "<domain type='test'><name>{}</name><memory>65536</memory><os><type>hvm</type></os></domain>"


def settings(tmp_path, **changes):
    return domains.Settings(Guest("qemu", str(tmp_path)), run_dir=str(tmp_path), sysfs=str(tmp_path), **changes)


@pytest.fixture
def connection(tmp_path):
    with connect(host_uri(tmp_path)) as one:
        yield one


def define(connection, instance):
    """Define an instance with the test driver's domain type."""
    text = domain_xml(instance, Guest("qemu", "/state")).replace('<domain type="qemu">', '<domain type="test">')
    return connection.defineXML(text.replace('arch="x86_64" machine="pc"', ""))


def instance(**changes):
    return Instance.from_record(record(**{"ports": [], **changes}))


def plan(connection, wanted):
    world = domains.read(connection, [wanted.uuid])
    found = world.domains.get(wanted.uuid)
    return plan_present(wanted, lambda one: wanted_shape(one, "/state"), found, world.holders.get(wanted.domain, ""))


def test_what_is_defined_is_read_back_as_it_was(connection):
    wanted = instance(name=NASTY, ports=[port()])
    define(connection, wanted)
    found = domains.read(connection, [wanted.uuid]).domains[wanted.uuid]
    assert found.instance == wanted and found.power_state == "shutdown" and found.domain_id is None
    assert found.shape == wanted_shape(wanted, "/state")


@pytest.mark.parametrize("act, state", [("create", "running"), ("suspend", "paused")])
def test_states_are_novas(connection, act, state):
    domain = define(connection, instance())
    domain.create()
    if act == "suspend":
        domain.suspend()
    found = domains.read(connection, [instance().uuid]).domains[instance().uuid]
    assert found.power_state == state and found.domain_id == domain.ID() and found.running == instance()


def test_an_instance_that_is_as_wanted_takes_no_step(connection):
    define(connection, instance()).create()
    assert plan(connection, instance()).steps == ()


def test_the_name_of_a_stranger_is_refused_and_the_stranger_untouched(connection):
    stranger = connection.defineXML(FOREIGN.format("web-1"))
    with pytest.raises(ItemError, match=rf"taken on this host by another domain \({stranger.UUIDString()}\)"):
        plan(connection, instance())
    assert plan_absent(instance(), None, False).steps == ()


def test_the_uuid_of_a_stranger_is_refused(connection):
    connection.defineXML(FOREIGN.format("mine").replace("<memory>", f"<uuid>{instance().uuid}</uuid><memory>"))
    with pytest.raises(ItemError, match="domain mine on this host has the uuid"):
        plan(connection, instance())


def taken(connection, made, how):
    """Take all steps of a plan, as the module does, and return the domain."""
    domains.make(connection, made, how)
    return domains.let_run(connection, made, how)


def test_metadata_is_renewed_in_place(connection, tmp_path):
    define(connection, instance()).create()
    wanted = instance(tags=["new"], metadata={"who": NASTY})
    made = plan(connection, wanted)
    assert made.steps == ("remember",)
    after = taken(connection, made, settings(tmp_path))
    assert after.instance == wanted and after.running == wanted
    assert plan(connection, wanted).steps == ()


def test_a_wanted_stop_is_a_shutdown(connection, tmp_path):
    define(connection, instance()).create()
    after = taken(connection, plan(connection, instance(state="stopped")), settings(tmp_path))
    assert after.power_state == "shutdown" and after.domain_id is None


def test_absent_removes_the_domain_and_its_console(connection, tmp_path):
    define(connection, instance()).create()
    home = tmp_path / "instances" / instance().uuid
    home.mkdir(parents=True)
    (home / "console.log").write_text("boot")
    (home / "console.log.0").write_text("earlier")
    found = domains.read(connection, [instance().uuid]).domains[instance().uuid]
    domains.unmake(connection, plan_absent(instance(), found, True), settings(tmp_path))
    assert domains.read(connection, [instance().uuid]).domains == {}
    assert os.listdir(home) == []


def test_a_stopped_libvirtd_is_one_sentence():
    with pytest.raises(ItemError) as caught, connect("qemu+unix:///system?socket=/nowhere/sock"):
        pass
    assert "libvirtd does not answer on qemu+unix:///system?socket=/nowhere/sock" in str(caught.value)
    assert "start it" in str(caught.value) and "\n" not in str(caught.value)


def test_libvirts_words_are_ours(connection):
    with pytest.raises(ItemError, match=r"^Failed to find web-1: Domain not found"):
        domains.look_up(connection, instance())


class Scripted:
    """A domain that notes what is asked of it; `fails` names the call that libvirt refuses."""

    def __init__(self, fails=""):
        self.calls, self.fails, self.code = [], fails, libvirt.VIR_DOMAIN_SHUTOFF

    def _call(self, name, code=None):
        self.calls.append(name)
        if name == self.fails:
            raise libvirt.libvirtError(f"no {name}")
        self.code = self.code if code is None else code
        return 0

    def name(self):
        return "web-1"

    def ID(self):
        return -1

    def XMLDesc(self, flags):
        uuid = instance().uuid
        devices = "<memory>1</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices/>"
        return f"<domain><name>web-1</name><uuid>{uuid}</uuid>{devices}</domain>"

    def state(self):
        return [self.code, 0]

    def isActive(self):
        return self.code not in (libvirt.VIR_DOMAIN_SHUTOFF,)

    def createWithFlags(self, flags):
        assert flags == libvirt.VIR_DOMAIN_START_PAUSED
        return self._call("create", libvirt.VIR_DOMAIN_PAUSED)

    def resume(self):
        return self._call("resume", libvirt.VIR_DOMAIN_RUNNING)

    def shutdown(self):
        return self._call("shutdown")

    def destroy(self):
        return self._call("destroy", libvirt.VIR_DOMAIN_SHUTOFF)

    def listAllCheckpoints(self, flags):
        return []

    def undefineFlags(self, flags):
        return self._call("undefine")


class Host:
    """A connection whose one domain is scripted."""

    def __init__(self, domain):
        self.domain = domain

    def defineXML(self, text):
        self.domain.calls.append("define")
        return self.domain

    def lookupByUUIDString(self, uuid):
        return self.domain


def plug(tmp_path, bridge="virtfleet0"):
    """Make the sysfs of a tap that is on a bridge."""
    folder = tmp_path / port()["tap"] / "brport"
    folder.mkdir(parents=True)
    (folder / "bridge").symlink_to(tmp_path / bridge)


def test_a_guest_is_started_paused_checked_and_let_run(tmp_path):
    plug(tmp_path)
    domain = Scripted()
    taken(
        Host(domain),
        plan_present(instance(ports=[port()]), lambda one: wanted_shape(one, "/state"), None),
        settings(tmp_path),
    )
    assert domain.calls == ["define", "create", "resume"]


@pytest.mark.parametrize(
    "bridge, words",
    [
        (None, "tap tap5f0c1a2b00 of network lan is missing: stage port makes it"),
        ("br-other", "tap tap5f0c1a2b00 of network lan is on bridge 'br-other', not virtfleet0"),
    ],
)
def test_a_guest_whose_port_is_not_plugged_is_not_started(tmp_path, bridge, words):
    if bridge:
        plug(tmp_path, bridge)
    domain = Scripted()
    with pytest.raises(ItemError, match=words):
        domains.start(domain, instance(ports=[port()]), settings(tmp_path))
    assert domain.calls == []


def test_a_port_that_comes_off_between_start_and_resume_stops_the_guest(tmp_path):
    plug(tmp_path)
    domain = Scripted()
    create = domain.createWithFlags
    domain.createWithFlags = lambda flags: ((tmp_path / port()["tap"] / "brport" / "bridge").unlink(), create(flags))
    made = plan_present(instance(ports=[port()]), lambda one: wanted_shape(one, "/state"), None)
    with pytest.raises(ItemError, match="is not on its bridge virtfleet0"):
        taken(Host(domain), made, settings(tmp_path))
    assert domain.calls == ["define", "create", "destroy", "undefine"] and not domain.isActive()


def test_a_started_guest_stays_paused_until_it_is_let_run(tmp_path):
    domain = Scripted()
    made = plan_present(instance(), lambda one: wanted_shape(one, "/state"), None)
    domains.make(Host(domain), made, settings(tmp_path))
    assert domain.calls == ["define", "create"]
    domains.let_run(Host(domain), made, settings(tmp_path))
    assert domain.calls == ["define", "create", "resume"]


def test_other_rules_than_the_named_ones_keep_a_guest_from_running(tmp_path):
    plug(tmp_path)
    (tmp_path / "ports.rules").write_text("abc def\n")
    domains.start(Scripted(), instance(ports=[port()]), settings(tmp_path, rules_digest="abc"))
    with pytest.raises(ItemError, match="other rules than 123 are loaded"):
        domains.start(Scripted(), instance(ports=[port()]), settings(tmp_path, rules_digest="123"))


@pytest.mark.parametrize("fails", ["create", "resume"])
def test_a_failed_start_undoes_its_new_definition(tmp_path, fails):
    domain = Scripted(fails)
    made = plan_present(instance(), lambda one: wanted_shape(one, "/state"), None)
    with pytest.raises(ItemError, match=r"Failed to (start|resume) web-1: no"):
        taken(Host(domain), made, settings(tmp_path))
    assert domain.calls[0] == "define" and domain.calls[-1] == "undefine" and not domain.isActive()


def test_a_guest_that_does_not_shut_down_loses_its_power(tmp_path):
    domain = Scripted()
    domain.code = libvirt.VIR_DOMAIN_RUNNING
    domains.stop(domain, instance(), settings(tmp_path, stop_timeout=0.1))
    assert domain.calls == ["shutdown", "destroy"]


def test_a_paused_guest_is_not_let_run_to_stop_it(tmp_path):
    domain = Scripted()
    domain.code = libvirt.VIR_DOMAIN_PAUSED
    domains.stop(domain, instance(), settings(tmp_path))
    assert domain.calls == ["destroy"]
