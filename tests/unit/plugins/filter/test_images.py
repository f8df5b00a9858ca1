# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images are meant, who hands them to whom, and how they are shown."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.virtfleet.compute.plugins.filter.chosen_images import chosen_images
from ansible_collections.virtfleet.compute.plugins.filter.image_peers import image_peers
from ansible_collections.virtfleet.compute.plugins.filter.image_table import image_table
from ansible_collections.virtfleet.compute.plugins.filter.of_images import of_images
from ansible_collections.virtfleet.compute.plugins.filter.on_hosts import on_hosts
from ansible_collections.virtfleet.compute.plugins.module_utils._images.image import from_record, shared_id
from ansible_collections.virtfleet.compute.plugins.plugin_utils._image_shares import plan

HOSTS = ["kvm1", "kvm2", "kvm3"]


def picture(name, scheme="https://example.org"):
    return {"name": name, "url": f"{scheme}/{name}", "checksum": None, "disk_format": "qcow2"}


def identity(image):
    return from_record(image).id


def caches(**cached):
    return [
        {"name": host, "up": True, "extra": {"image_cache": [f"{identity(one)}.json" for one in cached.get(host, [])]}}
        for host in HOSTS
    ]


def image_shares(records, told, run):
    return plan(records, {one["name"]: one for one in told}.get, run, HOSTS)


A, B = picture("a"), picture("b")


def test_what_nobody_has_is_fetched_by_the_first_who_hands_it_on():
    share = {"id": identity(A), "holders": ["kvm2"], "seed": "kvm2"}
    records = on_hosts([A], ["kvm3", "kvm2"])
    assert image_shares(records, caches(), HOSTS) == [share]
    assert of_images(records, [share["id"]]) == records and of_images(records, ["x"]) == []


def test_what_somebody_has_is_handed_on_even_by_a_host_that_is_not_in_the_run():
    share = {"id": identity(A), "holders": ["kvm1"], "seed": ""}
    assert image_shares(on_hosts([A], ["kvm3"]), caches(kvm1=[A]), ["kvm3"]) == [share]


def test_one_host_that_lacks_what_nobody_has_asks_the_origin():
    assert image_shares(on_hosts([A], ["kvm3"]), caches(), HOSTS) == []


def test_a_file_that_one_host_has_goes_from_there_to_the_others():
    golden = {"name": "golden", "url": "file:///srv/golden.qcow2", "checksum": "sha256:" + "a" * 64}
    golden = {**golden, "disk_format": "qcow2", "host": "kvm1"}
    known = {key: golden[key] for key in ("name", "url", "checksum", "disk_format")}
    share = {"id": shared_id(golden), "holders": ["kvm1"], "seed": "", "origin": "kvm1", "image": known}
    assert share["id"] and not shared_id({**golden, "host": ""})
    assert image_shares(on_hosts([golden], ["kvm3"]), caches(), ["kvm3"]) == [share]
    assert image_shares(on_hosts([golden], ["kvm1"]), caches(), HOSTS) == []
    assert image_shares(on_hosts([{**golden, "host": "gone"}], ["kvm3"]), caches(), HOSTS) == []
    beside = [{"host": "kvm3", "volumes": [{"name": "data", "image": golden}], "image": None, "todo": "create"}]
    assert image_shares(beside, caches(), ["kvm3"]) == [share]


def test_what_all_have_is_nobodys_business():
    assert image_shares(on_hosts([A], HOSTS), caches(kvm1=[A], kvm2=[A], kvm3=[A]), HOSTS) == []


def test_each_image_has_its_own_way():
    found = image_shares(on_hosts([A, B], HOSTS), caches(kvm3=[B]), HOSTS)
    assert {one["id"]: one["holders"] for one in found} == {identity(A): ["kvm1"], identity(B): ["kvm3"]}


@pytest.mark.parametrize("image", [picture("f", "file:///srv"), {"name": "bad", "url": "ftp://x"}, None])
def test_files_bad_images_and_none_are_not_shared(image):
    records = [{"name": "x", "host": host, "image": image} for host in HOSTS]
    assert image_shares(records, caches(), HOSTS) == []


def test_failed_records_and_hosts_that_are_down_or_not_in_the_run_do_not_count():
    records = on_hosts([A], HOSTS)
    records[0]["failed"] = True
    told = caches(kvm1=[A])
    told[0]["up"] = False
    assert image_shares(records, told, ["kvm1", "kvm2"]) == []


def test_a_run_whose_hosts_have_everything_looks_at_no_other_host():
    told = {"kvm1": caches(kvm1=[A])[0]}
    assert plan(on_hosts([A], ["kvm1"]), lambda host: told[host], ["kvm1"], HOSTS) == []


def test_who_hands_over_what_is_one_list():
    share = {"id": "i", "url": "u", "checksum": "c"}
    results = [{"item": "kvm1", "image_shares": [share]}, {"item": "kvm2", "unreachable": True}]
    assert image_peers(results) == [{**share, "host": "kvm1"}]


def test_images_are_chosen_by_name_and_a_wrong_one_is_told():
    both = [A, B]
    assert chosen_images(both, "b, a") == [B, A]
    assert chosen_images(both, "all") == both
    assert chosen_images(both, "all", all_of={"b": 1}) == [B]
    assert chosen_images(both, "c", missing_ok=True) == []
    with pytest.raises(AnsibleFilterError, match="there is no image c: there is a, b"):
        chosen_images(both, "a,c")
    with pytest.raises(AnsibleFilterError, match="say which images"):
        chosen_images(both, "")


def test_the_table_shows_every_cached_image():
    def cached(name, **more):
        plain = {"name": name, "size": 300 * 2**20, "used_by": [], "used_at": "2026-05-01 10:00:00"}
        return {**plain, "verified_at": "2026-05-01 09:00:00", "altered": False, **more}

    table = image_table(
        {
            "kvm2": [cached("debian-12", used_by=["a", "b", "c", "d"])],
            "kvm1": [cached("debian-12"), cached("", used_by=None, altered=True)],
        }
    )
    assert table == [
        "IMAGE        HOST  SIZE     USED BY             LAST USED            VERIFIED",
        "debian-12    kvm1  300 MiB  -                   2026-05-01 10:00:00  2026-05-01 09:00:00",
        "debian-12    kvm2  300 MiB  a, b, c and 1 more  2026-05-01 10:00:00  2026-05-01 09:00:00",
        "(no record)  kvm1  300 MiB  unknown             2026-05-01 10:00:00  altered",
    ]
