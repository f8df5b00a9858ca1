# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: which are given, which never, and that no two ports get the same."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.virtfleet.compute.plugins.module_utils._model.claim import PortClaim
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.addresses import Book, choose


def ask(name, *subnets, fixed_ip=None):
    return PortClaim(id=name, network="lan", mac="", fixed_ip=fixed_ip, subnets=subnets)


def take(book, name, *subnets, fixed_ip=None):
    """Choose the addresses of a port, give them to it, and return them as texts."""
    chosen = [one["address"] for one in choose(ask(name, *subnets, fixed_ip=fixed_ip), book)]
    for address in chosen:
        book.give(address, name, name)
    return chosen


def test_the_first_free_address_of_the_pool_with_what_a_guest_needs():
    subnet = {"cidr": "192.0.2.0/24", "gateway": "192.0.2.1", "dns": ["192.0.2.1"], "pool": ["192.0.2.20-192.0.2.22"]}
    book = Book()
    assert choose(ask("a", subnet), book) == [
        {"address": "192.0.2.20", "prefix": 24, "gateway": "192.0.2.1", "dns": ["192.0.2.1"], "cidr": "192.0.2.0/24"}
    ]
    assert [take(book, name, subnet) for name in "abc"] == [["192.0.2.20"], ["192.0.2.21"], ["192.0.2.22"]]
    with pytest.raises(ItemError, match=r"no address left in network lan: the pools of 192.0.2.0/24 hold 3") as refused:
        take(book, "d", subnet)
    assert refused.value.fault == "request"


def test_without_a_pool_all_but_gateway_name_server_network_and_broadcast():
    subnet = {"cidr": "192.0.2.0/29", "dns": ["192.0.2.3"]}
    book = Book()
    assert [take(book, name, subnet)[0] for name in "abcd"] == ["192.0.2.2", "192.0.2.4", "192.0.2.5", "192.0.2.6"]


def test_what_is_reserved_is_given_only_to_whom_asks_for_it():
    subnet = {
        "cidr": "192.0.2.0/24",
        "pool": ["192.0.2.20-192.0.2.30"],
        "reserved": ["192.0.2.21-192.0.2.28", "192.0.2.30"],
    }
    book = Book()
    assert [take(book, name, subnet)[0] for name in "ab"] == ["192.0.2.20", "192.0.2.29"]
    with pytest.raises(ItemError, match="no address left"):
        take(book, "c", subnet)
    assert take(book, "d", subnet, fixed_ip="192.0.2.21") == ["192.0.2.21"]
    large = {"cidr": "2001:db8::/64", "gateway": None, "reserved": ["2001:db8::1-2001:db8::ffff:ffff:ffff"]}
    assert take(Book(), "a", large) == ["2001:db8:0:0:1::"]


def test_one_address_of_each_version_and_the_second_subnet_when_the_first_is_full():
    first, second = {"cidr": "192.0.2.0/30"}, {"cidr": "198.51.100.0/24", "gateway": None}
    six = {"cidr": "2001:db8::/64"}
    book = Book()
    assert take(book, "a", first, second, six) == ["192.0.2.2", "2001:db8::2"]
    assert take(book, "b", first, second, six) == ["198.51.100.1", "2001:db8::3"]


def test_a_port_keeps_its_addresses():
    subnet = {"cidr": "192.0.2.0/29"}
    book = Book()
    take(book, "a", subnet)
    second = take(book, "b", subnet)
    assert take(book, "b", subnet) == second


def test_small_ranges_have_no_network_address():
    assert take(Book(), "a", {"cidr": "192.0.2.4/31", "gateway": None}) == ["192.0.2.4"]
    assert take(Book(), "a", {"cidr": "2001:db8::1/128", "gateway": None}) == ["2001:db8::1"]


def test_a_fixed_address_may_be_outside_the_pool():
    subnet = {"cidr": "192.0.2.0/24", "pool": ["192.0.2.20-192.0.2.30"]}
    assert take(Book(), "a", subnet, fixed_ip="192.0.2.99") == ["192.0.2.99"]


def test_a_fixed_address_is_one_text_however_it_is_written():
    book = Book()
    subnet = {"cidr": "2001:db8::/64"}
    assert take(book, "a", subnet, fixed_ip="2001:0DB8:0:0::99") == ["2001:db8::99"]
    with pytest.raises(ItemError, match="2001:db8::99 of network lan belongs to a"):
        take(book, "b", subnet, fixed_ip="2001:db8::99")


@pytest.mark.parametrize(
    "address,told",
    [
        ("192.0.2.1", "gateway, network or broadcast"),
        ("192.0.2.0", "gateway, network or broadcast"),
        ("192.0.2.255", "gateway, network or broadcast"),
        ("198.51.100.7", r"in no subnet of network lan \(192.0.2.0/24\)"),
        ("2001:db8::1", "in no subnet"),
        ("nonsense", "is no address"),
    ],
)
def test_a_fixed_address_that_cannot_be(address, told):
    with pytest.raises(ItemError, match=told) as refused:
        take(Book(), "a", {"cidr": "192.0.2.0/24"}, fixed_ip=address)
    assert refused.value.fault == "request"


def test_a_network_without_subnets_gives_no_addresses():
    assert choose(ask("a"), Book()) == []
    with pytest.raises(ItemError, match=r"in no subnet of network lan \(none\)"):
        choose(ask("a", fixed_ip="192.0.2.9"), Book())


SUBNETS = st.one_of(
    st.builds(
        lambda third, prefix: ipaddress.ip_network(f"10.99.{third}.0/{prefix}"),
        st.integers(0, 255),
        st.integers(24, 31),
    ),
    st.builds(lambda prefix: ipaddress.ip_network(f"2001:db8:99::/{prefix}"), st.integers(64, 127)),
)


@given(st.lists(SUBNETS, min_size=1, max_size=3, unique=True), st.integers(1, 60), st.data())
def test_given_addresses_are_unique_usable_and_inside(networks, count, data):
    assume(not any(one != other and one.overlaps(other) for one in networks for other in networks))
    subnets = [{"cidr": str(one)} for one in networks]
    if data.draw(st.booleans()):
        first = networks[0]
        low = data.draw(st.integers(0, min(first.num_addresses - 1, 200)))
        high = data.draw(st.integers(low, min(first.num_addresses - 1, 255)))
        subnets[0]["pool"] = [f"{first[low]}-{first[high]}"]
    book, given_out = Book(), []
    for number in range(count):
        try:
            given_out += take(book, f"port-{number}", *subnets)
        except ItemError as error:
            assert "no address left" in str(error)
            break
    assert len(given_out) == len(set(given_out))
    for text in given_out:
        address = ipaddress.ip_address(text)
        home = next(one for one in networks if address in one)
        if home.num_addresses > 2:
            assert address not in (home[0], home[1])
            assert home.version == 6 or address != home[-1]
