# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One volume, one attachment, whoever claims it."""

from __future__ import annotations

import uuid

from registry_fleet import NAMESPACE, host, instance

from ansible_collections.virtfleet.compute.plugins.module_utils._registry import volumes
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.settle import release, settle

RUN, OTHER = Terms(run="run-1"), Terms(run="run-2")
HOSTS = [host(), host("vfr-h2")]


def volume(name="data", **more):
    return {"name": name, "id": str(uuid.uuid5(NAMESPACE, f"volume/{name}")), "backend": "raw", "size_gb": 1, **more}


def guest(name="web-1", *disks, digest="1", **more):
    return instance(name, volumes=[{"name": "root", "backend": "qcow2"}, *disks], spec_digest=digest, **more)


def places(on):
    return {one.name: one for one in on(volumes.load).values()}


def active(on, *guests):
    outcomes = on(claim, list(guests), HOSTS, RUN)
    assert [one.error for one in outcomes] == [""] * len(guests)
    on(settle, list(guests), RUN)


def test_a_volume_is_attached_to_one_instance(on):
    active(on, guest("web-1", volume()))
    (refused,) = on(claim, [guest("web-2", volume())], HOSTS, OTHER)
    assert refused.error == "volume data is attached to web-1: detach it there first, in a run before this one"
    assert refused.fault == "request"
    assert places(on)["data"].instance == instance("web-1")["uuid"]


def test_of_two_in_one_claim_the_first_has_it(on):
    first, second = on(claim, [guest("web-1", volume()), guest("web-2", volume())], HOSTS, RUN)
    assert not first.error and "volume data is attached to web-1" in second.error


def test_what_is_detached_is_free_once_the_run_is_through(on):
    active(on, guest("web-1", volume()))
    less, more = guest("web-1", digest="2"), guest("web-2", volume())
    on(claim, [less], HOSTS, OTHER)
    (refused,) = on(claim, [more], HOSTS, Terms(run="run-3"))
    assert "volume data is attached to web-1" in refused.error
    on(settle, [less], OTHER)
    assert places(on)["data"].instance is None
    (taken,) = on(claim, [more], HOSTS, Terms(run="run-3"))
    assert taken.changed and places(on)["data"].instance == more["uuid"]


def test_a_failed_change_leaves_the_volume_where_it_was(on):
    active(on, guest("web-1", volume()))
    less = guest("web-1", digest="2")
    on(claim, [less], HOSTS, OTHER)
    on(settle, [{**less, "failed": True, "msg": "it does not let go"}], OTHER)
    assert places(on)["data"].instance == less["uuid"]


def test_a_volume_stays_with_its_host_and_one_that_all_see_does_not(on):
    shared = volume("shared", pool={"directory": "/srv/nfs", "shared": True})
    active(on, guest("web-1", volume(), shared))
    on(release, [guest("web-1")], RUN)
    assert [(one.host, one.instance) for one in places(on).values()] == [("vfr-h1", None), ("", None)]
    (refused,) = on(claim, [guest("web-2", volume(), at="vfr-h2")], HOSTS, RUN)
    assert refused.error == "volume data is on vfr-h1, and no other host sees it: say host: vfr-h1"
    (taken,) = on(claim, [guest("web-3", shared, at="vfr-h2")], HOSTS, RUN)
    assert not taken.error


def test_what_goes_with_its_instance_is_forgotten(on):
    active(on, guest("web-1", volume(), volume("scratch", delete_on_termination=True)))
    on(release, [guest("web-1")], RUN)
    assert set(places(on)) == {"data"}


def test_only_a_free_volume_is_forgotten(on):
    active(on, guest("web-1", volume()))
    other = volume("other", host="vfr-h2")
    made, known = on(volumes.keep, [other, volume()])
    assert (made.changed, made.facts) == (True, {"attached_to": "", "home": "vfr-h2"})
    assert (known.changed, known.facts) == (False, {"attached_to": "web-1", "home": "vfr-h1"})
    refused, gone = on(volumes.forget, [volume(), other])
    assert refused.error == "volume data is attached to web-1: detach it first" and refused.fault == "request"
    assert gone.changed and set(places(on)) == {"data"}
    assert not on(volumes.forget, [other])[0].changed


def test_a_volume_that_was_made_and_unmade_follows_its_instance_to_another_host(on):
    on(claim, [guest("web-1", volume())], HOSTS, RUN)
    elsewhere = guest("web-1", volume(made=True), at="vfr-h2")
    (refused,) = on(claim, [{**elsewhere, "domain_id": 7}], HOSTS, RUN)
    assert "volume data is on vfr-h1" in refused.error
    (moved,) = on(claim, [elsewhere], HOSTS, RUN)
    assert not moved.error and places(on)["data"].host == "vfr-h2"
    on(settle, [{**elsewhere, "failed": True, "msg": "no room", "undone": True}], RUN)
    assert places(on) == {}
