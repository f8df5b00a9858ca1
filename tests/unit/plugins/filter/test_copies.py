# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is copied, how the copies are called, and what is told of them."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.filter.chosen import chosen
from ansible_collections.virtfleet.compute.plugins.filter.copies import copies
from ansible_collections.virtfleet.compute.plugins.filter.copies_problems import copies_problems
from ansible_collections.virtfleet.compute.plugins.filter.copies_table import copies_table

WEB = {"name": "web-1", "uuid": "u1", "project": "default", "image": {"name": "a"}, "keys": ["k"]}
SHOP = {"name": "web-1", "uuid": "u2", "project": "shop"}
HOST = {"instances": [{"ours": True, "record": WEB}, {"ours": True, "record": SHOP}, {"ours": False, "record": None}]}


def test_names_are_of_a_project():
    assert chosen(HOST, "web-1") == [WEB] and chosen(HOST, " shop/web-1 ,x") == [SHOP]
    assert chosen(HOST, "all") == [WEB, SHOP] and chosen(HOST, "") == [] == chosen({}, "all")


def test_items_have_of_the_record_what_the_modules_read():
    assert copies([WEB], "golden", settings={"quiesce": True}) == [
        {"name": "golden", "quiesce": True, "instance": {key: WEB[key] for key in ("name", "uuid", "project", "image")}}
    ]
    assert [one["name"] for one in copies([WEB, SHOP], "golden", each=True)] == ["golden-web-1", "golden-web-1"]


def test_problems_name_the_host_the_item_and_the_missing():
    results = {"kvm2": None, "kvm1": [{"name": "g", "failed": True, "msg": "no space"}, {"name": "h", "failed": False}]}
    assert copies_problems(results, "web-1,nobody", found=[WEB]) == [
        "g on kvm1: no space",
        "kvm2 did not come to the end: see above",
        "nobody is on no host that answered: list.yml tells what there is",
    ]
    assert copies_problems({"kvm1": []}, "all") == [] == copies_problems({}, "")


def test_the_table():
    one = {"instance": "web-1", "name": "b2", "created_at": "2026-01-01 10:00:00", "parent": "b1", "quiesced": False}
    assert copies_table([{**one, "size": 5 << 20}]) == [
        "INSTANCE  NAME  MADE (UTC)           KIND      CONSISTENT  MIB",
        "web-1     b2    2026-01-01 10:00:00  since b1  crash       5",
    ]
