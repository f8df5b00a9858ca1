# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each wrong word of a user and the sentence it is answered with."""

from __future__ import annotations

import base64
import copy
import gzip

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.problems import report
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.resolve import request
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.user_data import multipart

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ops"
GOOD = {
    "virtfleet_routers": {},
    "virtfleet_flavors": {"m1.small": {"vcpus": 1, "memory_mb": 256, "disk_gb": 1}},
    "virtfleet_images": {
        "tiny": {"url": "file:///srv/tiny.qcow2"},
        "large": {"url": "https://example.org/large.qcow2", "min_disk_gb": 3, "min_ram_mb": 512},
    },
    "virtfleet_networks": {"lan": {"type": "nat", "subnets": [{"cidr": "198.51.100.0/24"}]}},
    "virtfleet_security_groups": {"web": {}},
    "virtfleet_server_groups": {"apart": {"policy": "anti-affinity"}},
    "virtfleet_keypairs": {"ops": KEY},
    "virtfleet_projects": {"shop": {"quota": {"instances": 2}}},
    "virtfleet_instances": [{"name": "web", "flavor": "m1.small", "image": "tiny", "networks": [{"network": "lan"}]}],
}
FLAVOR, IMAGE = ("virtfleet_flavors", "m1.small"), ("virtfleet_images", "tiny")
LAN, SUBNET = ("virtfleet_networks", "lan"), ("virtfleet_networks", "lan", "subnets", 0)
WEB = ("virtfleet_instances", 0)
FIXED = (*WEB, "networks", 0, "fixed_ip")
FLOATING, NET = (*WEB, "networks", 0, "floating_ip"), (*WEB, "networks", 0, "network")
ROUTER, RED, OUT = ("virtfleet_routers", "edge"), ("virtfleet_networks", "red"), ("virtfleet_networks", "out")
OVN = {"type": "ovn", "subnets": [{"cidr": "10.77.0.0/24"}]}
EXTERNAL = {"type": "ovn", "external": True, "bridge": "br-ex", "subnets": [{"cidr": "192.0.2.0/24"}]}
EDGE = {"networks": ["red"], "external": "out", "external_ip": "192.0.2.9", "gateway_hosts": ["kvm1"]}
I0 = "virtfleet_instances[0]"
SUBNET_0 = "virtfleet_networks.lan.subnets[0]"
SECOND = {"name": "db", "flavor": "m1.small", "image": "tiny", "networks": [{"network": "lan"}]}
URL = "it must be an http://, https:// or file:/// URL of a file, without a password in it"
SUM = (
    "it must be 'sha256:' and 64 hexadecimal digits, 'sha512:' and 128, "
    "or the http://, https:// or file:/// URL of a sums file"
)
NAME = "it must be 1 to 255 printable characters without '/' and without a space at either end"


def told(*changes):
    """Return the sentences about a good request after changes, each a path and a value; None takes the key away."""
    spec = copy.deepcopy(GOOD)
    for path, value in changes:
        *way, last = path
        place = spec
        for step in way:
            place = place[step]
        if value is None:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    records, problems = request(spec)
    return [str(one) for one in problems], records


def test_the_good_request_is_good():
    assert told()[0] == []


BAD = [
    # keys and types
    ((*WEB, "tagz"), ["a"], f"{I0}.tagz is not a known key: did you mean 'tags'? Known are name, count,"),
    ((*FLAVOR, "ram"), 1, "virtfleet_flavors['m1.small'].ram is not a known key: "),
    ((*WEB, "flavor"), None, f"{I0} has no 'flavor': it must be given"),
    ((*WEB, "name"), None, f"{I0} has no 'name': it must be given"),
    ((*WEB, "count"), "three", f"{I0}.count is the text 'three': it must be a whole number"),
    (
        (*WEB, "count"),
        "3",
        f"{I0}.count is the text '3': it must be a whole number; "
        "write it without quotes, or add '| int' to the template",
    ),
    ((*WEB, "count"), True, f"{I0}.count is true: it must be a whole number"),
    ((*WEB, "count"), 0, f"{I0}.count is 0: it must be at least 1"),
    ((*WEB, "count"), 10001, f"{I0}.count is 10001: it must be at most 10000"),
    ((*WEB, "count"), 1.5, f"{I0}.count is 1.5: it must be a whole number"),
    ((*WEB, "name"), 7, f"{I0}.name is 7: it must be a text; write it in quotes"),
    ((*WEB, "networks"), "lan", f"{I0}.networks is a text: it must be a list"),
    ((*WEB, "networks"), ["lan"], f"{I0}.networks[0] is a text: it must be a mapping"),
    ((*WEB, "metadata"), {"a": 1}, f"{I0}.metadata.a is 1: it must be a text; write it in quotes"),
    (("virtfleet_instances",), {"web": {}}, "virtfleet_instances is a mapping: it must be a list"),
    (("virtfleet_flavors",), ["m1"], "virtfleet_flavors is a list: it must be a mapping"),
    (WEB, "web", f"{I0} is a text: it must be a mapping"),
    (
        ("virtfleet_flavors", 1),
        {"vcpus": 1, "memory_mb": 1},
        "virtfleet_flavors['1'] is a key that YAML reads as a whole number: write it in quotes",
    ),
    (
        (*WEB, "state"),
        "activ",
        f"{I0}.state is 'activ': did you mean 'active'? There is active, stopped, absent",
    ),
    # names
    ((*WEB, "name"), " web", f"{I0}.name is the text ' web': {NAME}"),
    ((*WEB, "name"), "web ", f"{I0}.name is the text 'web ': {NAME}"),
    ((*WEB, "name"), "web\n", f"{I0}.name is the text 'web\\n': {NAME}"),
    ((*WEB, "name"), "a/b", f"{I0}.name is the text 'a/b': {NAME}"),
    ((*WEB, "name"), "", f"{I0}.name is empty: it must have at least 1 character"),
    ((*WEB, "name"), "x" * 256, f"{I0}.name has 256 characters: it may have at most 255"),
    (
        (*WEB, "name"),
        "a\u200db",
        f"{I0}.name has the character U+200D, which cannot be printed: leave it out",
    ),
    (
        (*WEB, "name"),
        "🐘" * 62,
        f"{I0}.name takes 248 bytes as a file name of libvirt: at most 247 fit, so make it shorter",
    ),
    ((*WEB, "project"), "shopp", f"{I0}.project is 'shopp', which is not in virtfleet_projects: did you mean 'shop'? "),
    # what is named and not there
    (
        (*WEB, "flavor"),
        "m1.smal",
        f"{I0}.flavor is 'm1.smal', which is not in virtfleet_flavors: did you mean 'm1.small'? There is m1.small",
    ),
    ((*WEB, "image"), "xyz", f"{I0}.image is 'xyz', which is not in virtfleet_images: There is large, tiny"),
    (
        (*WEB, "networks"),
        [{"network": "wan"}],
        f"{I0}.networks[0].network is 'wan', which is not in virtfleet_networks: did you mean 'lan'? There is lan",
    ),
    ((*WEB, "key_name"), "op", f"{I0}.key_name is 'op', which is not in virtfleet_keypairs: did you mean 'ops'? "),
    ((*WEB, "server_group"), "x", f"{I0}.server_group is 'x', which is not in virtfleet_server_groups: There is apart"),
    (
        (*WEB, "security_groups"),
        ["wep"],
        f"{I0}.security_groups[0] is 'wep', which is not in virtfleet_security_groups: did you mean 'web'? ",
    ),
    # twice
    (
        ("virtfleet_instances", 1),
        {**SECOND, "name": "web"},
        "virtfleet_instances[1] gives the name 'web' again after virtfleet_instances[0]: "
        "names must differ within a project",
    ),
    (
        (*WEB, "tags"),
        ["a", "a"],
        f"{I0}.tags names 'a' twice: once is enough",
    ),
    # size
    (
        (*WEB, "image"),
        "large",
        f"{I0}.flavor has 256 MiB of memory and the image needs 512: take a larger flavor",
    ),
    ((*FLAVOR, "vcpus"), 0, "virtfleet_flavors['m1.small'].vcpus is 0: it must be at least 1"),
    # image
    ((*IMAGE, "url"), "ftp://x/y", f"virtfleet_images.tiny.url is the text 'ftp://x/y': {URL}"),
    ((*IMAGE, "url"), "/srv/x", f"virtfleet_images.tiny.url is the text '/srv/x': {URL}"),
    ((*IMAGE, "url"), "https://u:pw@x/y", f"virtfleet_images.tiny.url is the text 'https://...@x/y': {URL}"),
    ((*IMAGE, "checksum"), "md5:abc", f"virtfleet_images.tiny.checksum is the text 'md5:abc': {SUM}"),
    ((*IMAGE, "checksum"), "sha256:abc", f"virtfleet_images.tiny.checksum is the text 'sha256:abc': {SUM}"),
    (
        (*IMAGE, "disk_format"),
        "qcow",
        "virtfleet_images.tiny.disk_format is 'qcow': did you mean 'qcow2'? There is qcow2, raw",
    ),
    ((*IMAGE, "url"), [], "virtfleet_images.tiny.url is an empty list: it must have at least 1 entry"),
    ((*IMAGE, "url"), 5, "virtfleet_images.tiny.url is 5: it must be a text or a list; write it in quotes"),
    (
        (*IMAGE, "url"),
        ["https://one.example/x", "ftp://x/y"],
        f"virtfleet_images.tiny.url[1] is the text 'ftp://x/y': {URL}",
    ),
    (
        (*IMAGE, "visibility"),
        "privat",
        "virtfleet_images.tiny.visibility is 'privat': did you mean 'private'? There is public, private, shared",
    ),
    ((*IMAGE, "visibility"), "private", "virtfleet_images.tiny has no 'owner': a private image belongs to a project"),
    (
        (*IMAGE, "owner"),
        "shoop",
        "virtfleet_images.tiny.owner is 'shoop', which is not in virtfleet_projects: "
        "did you mean 'shop'? There is default, shop",
    ),
    (
        (*IMAGE, "members"),
        ["shop"],
        "virtfleet_images.tiny.members does not go with visibility public: only shared images have them",
    ),
    # network
    (
        (*LAN, "type"),
        "natt",
        "virtfleet_networks.lan.type is 'natt': did you mean 'nat'? There is nat, bridge, vxlan, ovs, ovn",
    ),
    (
        (*LAN, "subnets", 0, "reserved"),
        ["198.51.101.7"],
        "virtfleet_networks.lan.subnets[0].reserved[0] is '198.51.101.7': 198.51.101.7 is outside 198.51.100.0/24",
    ),
    (
        LAN,
        {"type": "vxlan"},
        "virtfleet_networks.lan has no 'vni': type vxlan needs a number from 1 to 16777215 of its own",
    ),
    (
        (*LAN, "qos"),
        [{"max_kbps": 5}, {"direction": "egress", "max_kbps": 6}],
        "virtfleet_networks.lan.qos limits egress twice: write one limit for egress and one for ingress",
    ),
    ((*LAN, "qos"), [{"max_kbps": 0}], "virtfleet_networks.lan.qos[0].max_kbps is 0: it must be at least 1"),
    (
        LAN,
        {"type": "ovs"},
        "virtfleet_networks.lan has no 'bridge': type ovs needs the name of a bridge that is on the hosts",
    ),
    (
        LAN,
        {"type": "ovs", "bridge": "br0"},
        "virtfleet_networks.lan.port_security is true: type ovs has no rules of ours, neither port security nor "
        "security groups; say false",
    ),
    (
        LAN,
        {"type": "bridge", "create": True, "segmentation_id": 7},
        "virtfleet_networks.lan has no 'physical': a VLAN on a bridge that we make needs the interface that carries it",
    ),
    (
        (*LAN, "segmentation_id"),
        7,
        "virtfleet_networks.lan.segmentation_id does not go with type nat: it is one of bridge and ovs",
    ),
    (
        LAN,
        {"type": "bridge", "bridge": "br0", "segmentation_id": 4095},
        "virtfleet_networks.lan.segmentation_id is 4095: it must be at most 4094",
    ),
    (
        LAN,
        {"type": "bridge", "bridge": "br0", "segmentation_id": 0},
        "virtfleet_networks.lan.segmentation_id is 0: it must be at least 1",
    ),
    ((*LAN, "create"), True, "virtfleet_networks.lan.create does not go with type nat: it is one of bridge"),
    ((*LAN, "router"), True, "virtfleet_networks.lan.router does not go with type nat: it is one of vxlan"),
    (
        (*WEB, "networks", 0, "floating_ip"),
        "203.0.113.7",
        f"{I0}.networks[0].floating_ip is 203.0.113.7, and network 'lan' has no 'router' that could lead there",
    ),
    (
        (*WEB, "networks", 0, "floating_ip"),
        "2001:db8::1",
        f"{I0}.networks[0].floating_ip is '2001:db8::1': it must be an IPv4 address such as 203.0.113.7",
    ),
    ((*LAN, "vni"), 5, "virtfleet_networks.lan.vni does not go with type nat: only vxlan has one"),
    ((*LAN, "vni"), 2**24, "virtfleet_networks.lan.vni is 16777216: it must be at most 16777215"),
    ((*LAN, "dns_domain"), "lab", "virtfleet_networks.lan.dns_domain needs 'dhcp: true' beside it: "),
    (
        (*LAN, "dns_domain"),
        "Lab!",
        "virtfleet_networks.lan.dns_domain is the text 'Lab!': it must be a domain in small ",
    ),
    ((*SUBNET, "dhcp_server"), "10.0.0.2", "virtfleet_networks.lan.subnets[0].dhcp_server needs 'dhcp: true' of its "),
    ((*LAN, "project"), "nobody", "virtfleet_networks.lan.project is 'nobody', which is not in virtfleet_projects: "),
    (
        (*LAN, "type"),
        "bridge",
        "virtfleet_networks.lan has no 'bridge': type bridge needs the name of a bridge that is on the hosts",
    ),
    ((*LAN, "subnets"), None, "virtfleet_networks.lan has no 'subnets': type nat needs at least one"),
    (
        (*SUBNET, "cidr"),
        "198.51.100.0",
        f"{SUBNET_0}.cidr is '198.51.100.0': it must be a range such as 10.0.0.0/24",
    ),
    (
        (*SUBNET, "cidr"),
        "198.51.100.7/24",
        f"{SUBNET_0}.cidr is '198.51.100.7/24', which has host bits set: write 198.51.100.0/24",
    ),
    (
        (*SUBNET, "gateway"),
        "203.0.113.1",
        f"{SUBNET_0}.gateway is '203.0.113.1', which is no address for a router in 198.51.100.0/24",
    ),
    ((*SUBNET, "dns"), ["x"], f"{SUBNET_0}.dns[0] is 'x': it must be an address such as 10.0.0.1"),
    (
        (*SUBNET, "pool"),
        ["198.51.100.9-198.51.101.3"],
        f"{SUBNET_0}.pool[0] is '198.51.100.9-198.51.101.3': 198.51.101.3 is outside 198.51.100.0/24",
    ),
    (
        (*SUBNET, "pool"),
        ["198.51.100.9-198.51.100.3"],
        f"{SUBNET_0}.pool[0] is '198.51.100.9-198.51.100.3': it ends before it begins; write 198.51.100.3-198.51.100.9",
    ),
    (
        (*LAN, "subnets", 1),
        {"cidr": "198.51.100.128/25"},
        "virtfleet_networks.lan.subnets[1].cidr is 198.51.100.128/25, which overlaps 198.51.100.0/24 of subnets[0]: "
        "ranges must be apart",
    ),
    (
        ("virtfleet_networks", "lan2"),
        {"type": "nat", "subnets": [{"cidr": "198.51.100.0/25"}]},
        "virtfleet_networks.lan2 has 198.51.100.0/25, which overlaps 198.51.100.0/24 of network 'lan': "
        "private networks of one host need ranges of their own",
    ),
    # addresses
    (
        (*WEB, "networks", 0, "fixed_ip"),
        "203.0.113.9",
        f"{I0}.networks[0].fixed_ip is 203.0.113.9, which is in no subnet of network 'lan': there is 198.51.100.0/24",
    ),
    (
        (*WEB, "networks", 0, "fixed_ip"),
        "198.51.100",
        f"{I0}.networks[0].fixed_ip is '198.51.100': it must be an address such as 10.0.0.31",
    ),
    (
        (*WEB, "networks", 0, "fixed_ip"),
        "198.51.100.1",
        f"{I0}.networks[0].fixed_ip is 198.51.100.1, which is the gateway of 198.51.100.0/24: take another",
    ),
    (
        (*WEB, "networks", 0, "fixed_ip"),
        "198.51.100.255",
        f"{I0}.networks[0].fixed_ip is 198.51.100.255, which no machine in 198.51.100.0/24 can have: take another",
    ),
    # groups and keys
    (
        ("virtfleet_server_groups", "apart"),
        {"policy": "affinity", "rules": {"max_server_per_host": 2}},
        "virtfleet_server_groups.apart.rules does not go with policy affinity: only anti-affinity has rules",
    ),
    (
        ("virtfleet_security_groups", "web", "rules"),
        [{"ports": 443}],
        "virtfleet_security_groups.web.rules[0].ports needs 'protocol: tcp', 'protocol: udp' or "
        "'protocol: sctp' beside it",
    ),
    (
        ("virtfleet_security_groups", "web", "rules"),
        [{"remote_group": "wep"}],
        "virtfleet_security_groups.web.rules[0].remote_group is 'wep', which is not in virtfleet_security_groups: "
        "did you mean 'web'? There is default, web",
    ),
    (
        ("virtfleet_security_groups", "web", "rules"),
        [{"protocol": "icmpv6", "remote": "10.0.0.0/8"}],
        "virtfleet_security_groups.web.rules[0] has protocol of IPv6 and remote of IPv4: nothing is both, "
        "so write two rules",
    ),
    (
        ("virtfleet_security_groups", "web", "rules"),
        [{"protocol": "tcp", "icmp_type": 8}],
        "virtfleet_security_groups.web.rules[0].icmp_type needs 'protocol: icmp' or 'protocol: icmpv6' beside it",
    ),
    (
        ("virtfleet_security_groups", "web", "rules"),
        [{"protocol": "icmp", "icmp_code": 0}],
        "virtfleet_security_groups.web.rules[0].icmp_code needs 'icmp_type' beside it",
    ),
    (
        ("virtfleet_security_groups", "web", "rules"),
        [{"protocol": "tcp", "ports": "90-80"}],
        "virtfleet_security_groups.web.rules[0].ports is '90-80': it must go from a lower port to a higher one",
    ),
    (
        (*WEB, "networks", 0, "allowed_address_pairs"),
        [{"ip_address": "10.0.0"}],
        f"{I0}.networks[0].allowed_address_pairs[0].ip_address is '10.0.0': it must be an address such as 10.0.0.250 "
        "or a range such as 10.244.0.0/16",
    ),
    (
        (*WEB, "networks", 0, "allowed_address_pairs"),
        [{"ip_address": "10.0.0.9", "mac_address": "x"}],
        f"{I0}.networks[0].allowed_address_pairs[0].mac_address is the text 'x': it must be a MAC address such as "
        "00:00:5e:00:01:0a",
    ),
    (
        (*WEB, "wait_for"),
        "ssh",
        f"{I0}.wait_for is 'ssh', and no rule of default lets TCP port 22 in from a range: add one, or wait for "
        "'address' or 'console'",
    ),
    (
        ("virtfleet_keypairs", "ops"),
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "virtfleet_keypairs.ops is not right: it must be one public key line such as 'ssh-ed25519 AAAA... comment'",
    ),
    (
        ("virtfleet_keypairs", "ops"),
        "ssh-ed25519 AAAA",
        "virtfleet_keypairs.ops is no whole ssh-ed25519 key: copy the line of the .pub file",
    ),
    # what the guest is told
    (
        (*WEB, "user_data"),
        "x" * 65537,
        f"{I0}.user_data is 65,537 bytes, 87,384 when base64-encoded: at most 65,535 fit (49,149 plain), "
        "so let it fetch the rest from a URL",
    ),
    (
        (*WEB, "user_data"),
        "x" * 49150,
        f"{I0}.user_data is 49,150 bytes, 65,536 when base64-encoded: at most 65,535 fit (49,149 plain), "
        "so let it fetch the rest from a URL",
    ),
    (
        (*WEB, "user_data"),
        "# cloud-config\npackages: [nginx]\n",
        f"{I0}.user_data begins nearly like a cloud-config: its first line must be '#cloud-config', nothing else",
    ),
    (
        (*WEB, "user_data"),
        "#cloud-config\nruncmd: [a\nb: c\n",
        f"{I0}.user_data says that it is a #cloud-config and is not YAML (line 3)",
    ),
    (
        (*WEB, "user_data"),
        "#cloud-config\n- a\n",
        f"{I0}.user_data says that it is a #cloud-config and is no mapping: write 'key: value' below the first line",
    ),
    (
        (*WEB, "user_data"),
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        f"{I0}.user_data is of several parts without a line 'MIME-Version: 1.0': cloud-init would not see them",
    ),
    (
        (*WEB, "user_data"),
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nno part\n",
        f"{I0}.user_data is no whole MIME message: make it with the filter virtfleet.compute.multipart",
    ),
    (
        (*WEB, "user_data_base64"),
        "#!/bin/sh",
        f"{I0}.user_data_base64 is not base64: make it with `base64 -w0` or the filter b64encode",
    ),
    (
        (*WEB, "user_data_base64"),
        base64.b64encode(gzip.compress(b"#cloud-config\n")[:-4]).decode(),
        f"{I0}.user_data_base64 begins like gzip and is no whole gzip file of at most 16 MiB unpacked",
    ),
    (
        (*WEB, "user_data_base64"),
        base64.b64encode(gzip.compress(b"#cloud-config\n[")).decode(),
        f"{I0}.user_data_base64 says that it is a #cloud-config and is not YAML (line 3)",
    ),
    (
        (*WEB, "vendor_data"),
        "#cloud-config\n[",
        f"{I0}.vendor_data says that it is a #cloud-config and is not YAML (line 3)",
    ),
    (
        (*WEB, "admin_pass"),
        "$y$j9T$abc$def",
        f"{I0}.admin_pass is not right: it must be what `mkpasswd -m sha-512` prints, beginning with '$6$'; "
        "cloud-init takes $y$ for a password in clear",
    ),
    ((*WEB, "files"), [{"path": "/x"}], f"{I0}.files[0] has neither 'content' nor 'content_base64': write one of them"),
    (
        (*WEB, "files"),
        [{"path": "/x", "content": "", "content_base64": ""}],
        f"{I0}.files[0] has both 'content' and 'content_base64': write one of them",
    ),
    (
        (*WEB, "files"),
        [{"path": "/x", "content_base64": "%"}],
        f"{I0}.files[0].content_base64 is not base64: make it with `base64 -w0` or the filter b64encode",
    ),
    (
        (*WEB, "files"),
        [{"path": "/x", "content": "ü" * 5121}],
        f"{I0}.files[0].content is 10,242 bytes: at most 10,240 fit",
    ),
    *(
        (
            (*WEB, "files"),
            [{"path": path, "content": ""}],
            f"{I0}.files[0].path is the text '{path}': it must be an absolute path of a file, without '..'",
        )
        for path in ("x", "/", "/a/", "/a//b", "/a/../b", "/..")
    ),
    (
        (*IMAGE, "properties"),
        {"hw_cdrom_bus": "floppy"},
        f"{I0}.image has the property hw_cdrom_bus is 'floppy', but must be one of virtio, scsi, sata, ide, usb",
    ),
    (
        (*SUBNET, "routes"),
        [{"to": "10.8.0.1/16", "via": "198.51.100.3"}],
        f"{SUBNET_0}.routes[0].to is '10.8.0.1/16': it must be a range such as 10.8.0.0/16",
    ),
    (
        (*SUBNET, "routes"),
        [{"to": "0.0.0.0/0", "via": "198.51.100.3"}],
        f"{SUBNET_0}.routes[0].to is 0.0.0.0/0, which is the way out: write it as 'gateway'",
    ),
    (
        (*SUBNET, "routes"),
        [{"to": "10.8.0.0/16", "via": "10.8.0.1"}],
        f"{SUBNET_0}.routes[0].via is '10.8.0.1', which is no address for a router in 198.51.100.0/24",
    ),
    ((*WEB, "metadata"), {"a/b": "c"}, f"{I0}.metadata has the key 'a/b': it must be 1 to 255 letters, digits, "),
    ((*WEB, "metadata"), {"a": "c" * 256}, f"{I0}.metadata.a has 256 characters: it may have at most 255"),
    (
        (*WEB, "metadata"),
        {f"k{number}": "" for number in range(129)},
        f"{I0}.metadata has 129 entries: it may have at most 128",
    ),
    ((*WEB, "tags"), ["a,b"], f"{I0}.tags[0] is the text 'a,b': it must be 1 to 60 characters without ',' and '/'"),
    ((*WEB, "tags"), [str(number) for number in range(51)], f"{I0}.tags has 51 entries: it may have at most 50"),
    (
        (*WEB, "availability_zone"),
        "nova:kvm1",
        f"{I0}.availability_zone is the text 'nova:kvm1': it must be the name of a zone without ':' "
        "(name a host with 'host')",
    ),
    ((*WEB, "min_count"), 2, f"{I0}.min_count is 2, more than the count of 1"),
    (("virtfleet_max_attempts",), 5, "virtfleet_max_attempts is 5: it must be at most 3"),
    (("virtfleet_max_attempts",), 0, "virtfleet_max_attempts is 0: it must be at least 1"),
    (("virtfleet_max_attempts",), "all", "virtfleet_max_attempts is the text 'all': it must be a whole number"),
]


@pytest.mark.parametrize("path,value,sentence", BAD, ids=[f"{i}-{one[2][:60]}" for i, one in enumerate(BAD)])
def test_each_bad_word_has_its_sentence(path, value, sentence):
    problems, _records = told((path, value))
    is_beginning = sentence[-1] in ", "
    assert any(one.startswith(sentence) if is_beginning else one == sentence for one in problems), problems


@pytest.mark.parametrize("path,value,sentence", BAD, ids=[f"{i}-{one[2][:60]}" for i, one in enumerate(BAD)])
def test_one_bad_word_is_not_told_many_times(path, value, sentence):
    assert len(told((path, value))[0]) <= 2


PAIRS = [
    (
        [((*WEB, "count"), 2), ((*WEB, "networks", 0, "fixed_ip"), "198.51.100.9")],
        f"{I0}.networks[0].fixed_ip does not go with count 2: only one instance can have 198.51.100.9",
    ),
    (
        [((*WEB, "count"), 2), ((*WEB, "hostname"), "w")],
        f"{I0}.hostname does not go with count 2: leave it out or write entries",
    ),
    (
        [((*WEB, "count"), 3), ((*WEB, "name"), "x" * 254)],
        f"{I0}.name is 256 characters long with the number behind it: at most 255 fit",
    ),
    (
        [((*WEB, "count"), 3), (("virtfleet_instances", 1), {**SECOND, "name": "web-2"})],
        "virtfleet_instances[1] gives the name 'web-2' again after virtfleet_instances[0]: "
        "names must differ within a project",
    ),
    (
        [
            ((*WEB, "project"), "shop"),
            (("virtfleet_instances", 1), {**SECOND, "name": "shop-web"}),
        ],
        "virtfleet_instances[1] gives 'shop-web' the libvirt name 'shop-web' of 'web': rename one of them",
    ),
    (
        [
            ((*WEB, "networks", 0, "fixed_ip"), "198.51.100.9"),
            (
                ("virtfleet_instances", 1),
                {**SECOND, "networks": [{"network": "lan", "fixed_ip": "198.51.100.9"}]},
            ),
        ],
        "virtfleet_instances[1] gives 'db' the address 198.51.100.9 of 'web': give each its own",
    ),
    (
        [((*WEB, "project"), "shop"), ((*WEB, "count"), 3)],
        "virtfleet_projects.shop.quota.instances is 2, and 3 are asked for: ask for fewer or raise it",
    ),
    (
        [((*WEB, "config_drive"), "none"), ((*WEB, "user_data"), "#!/bin/sh"), ((*WEB, "key_name"), "ops")],
        f"{I0}.config_drive is 'none', so the guest would never see its user_data, key_name",
    ),
    (
        [((*WEB, "user_data"), "#!/bin/sh"), ((*WEB, "user_data_base64"), "eA==")],
        f"{I0}.user_data_base64 is there beside user_data: write one of them",
    ),
    (
        [
            ((*WEB, "user_data"), "#cloud-config\nwrite_files: []\n"),
            ((*WEB, "files"), [{"path": "/x", "content": ""}]),
        ],
        f"{I0}.user_data has a 'write_files' of its own, so the guest would never see files: "
        "write it in one of the two places",
    ),
    (
        [
            ((*WEB, "user_data"), multipart(["#!/bin/sh\n", "#cloud-config\npassword: x\n"])),
            ((*WEB, "admin_pass"), "$6$salt$hash"),
            ((*WEB, "config_drive"), "openstack"),
        ],
        f"{I0}.user_data has a 'password' of its own, so the guest would never see admin_pass: "
        "write it in one of the two places",
    ),
    (
        [((*WEB, "networks"), []), ((*WEB, "wait_for"), "ssh")],
        f"{I0}.wait_for is 'ssh', but there is no network to reach it by",
    ),
    (
        [((*WEB, "networks"), None), (("virtfleet_networks", "wan"), {"type": "bridge", "bridge": "br0"})],
        f"{I0} has no 'networks', and there is more than one to choose from: name one of lan, wan, or write []",
    ),
    (
        [((*WEB, "security_groups"), ["web"]), ((*WEB, "networks", 0, "port_security"), False)],
        f"{I0}.networks[0].port_security is off, so security groups would do nothing: "
        "turn it on or leave security_groups out",
    ),
    (
        [
            (LAN, {"type": "ovs", "bridge": "br-ex", "port_security": False}),
            ((*WEB, "security_groups"), ["web"]),
        ],
        f"{I0}.networks[0].port_security is off, for network 'lan' is of type ovs: leave security_groups out",
    ),
    (
        [
            (LAN, {"type": "ovs", "bridge": "br-ex", "port_security": False}),
            ((*WEB, "networks", 0, "port_security"), True),
        ],
        f"{I0}.networks[0].port_security is true, and type ovs has no rules of ours: leave it out",
    ),
    (
        [
            (LAN, {"type": "bridge", "physical": "eth1", "segmentation_id": 7}),
            (("virtfleet_networks", "red"), {"type": "bridge", "physical": "eth1", "segmentation_id": 7}),
        ],
        "virtfleet_networks.red.physical is 'eth1', and network 'lan' has VLAN 7 of it already",
    ),
    (
        [
            ((*WEB, "networks", 0, "port_security"), False),
            ((*WEB, "networks", 0, "allowed_address_pairs"), [{"ip_address": "10.0.0.9"}]),
        ],
        f"{I0}.networks[0].allowed_address_pairs does nothing where port_security is off: everything is allowed there",
    ),
    (
        [
            (("virtfleet_security_groups", "raw"), {"stateful": False}),
            ((*WEB, "security_groups"), ["web", "raw"]),
        ],
        f"{I0}.security_groups has 'web', which is stateful, and 'raw', which is not: take one",
    ),
    (
        [(LAN, {"type": "vxlan", "vni": 7}), (("virtfleet_networks", "red"), {"type": "vxlan", "vni": 7})],
        "virtfleet_networks.red.vni is 7, which is that of network 'lan': give each its own",
    ),
    (
        [((*LAN, "dhcp"), True), ((*SUBNET, "dhcp_server"), "10.9.0.2")],
        "virtfleet_networks.lan.subnets[0].dhcp_server is '10.9.0.2', which is no address for a DHCP server in ",
    ),
    (
        [((*LAN, "dhcp"), True), ((*LAN, "subnets"), [{"cidr": "fd00::/64"}])],
        "virtfleet_networks.lan.dhcp needs a subnet of IPv4: IPv6 is told by the config drive",
    ),
    (
        [((*LAN, "dhcp"), True), ((*LAN, "subnets"), [{"cidr": "10.3.0.0/30"}])],
        "virtfleet_networks.lan.subnets[0].cidr is 10.3.0.0/30, too small for a DHCP server: take a /29",
    ),
    (
        [((*LAN, "dhcp"), True), ((*LAN, "subnets"), [{"cidr": "10.3.0.0/24"}]), (FIXED, "10.3.0.254")],
        f"{I0}.networks[0].fixed_ip is 10.3.0.254, which is the DHCP server of 10.3.0.0/24: take another",
    ),
    (
        [((*LAN, "external"), True)],
        "virtfleet_networks.lan.external needs 'type: ovn' and the name of the Open vSwitch bridge that leads outside ",
    ),
    (
        [(ROUTER, {"networks": ["lna"]})],
        "virtfleet_routers.edge.networks[0] is 'lna', which is no network of type ovn: there is none",
    ),
    (
        [(RED, OVN), (ROUTER, {"networks": ["red"], "external": "lan"})],
        "virtfleet_routers.edge.external is 'lan', which is no network with 'external: true': there is none",
    ),
    (
        [(RED, OVN), (ROUTER, {"networks": ["red"], "external_ip": "192.0.2.9"})],
        "virtfleet_routers.edge.external_ip needs 'external' beside it: the network that is its way out",
    ),
    (
        [(RED, OVN), (OUT, EXTERNAL), (ROUTER, {**EDGE, "external_ip": "192.0.9.9"})],
        "virtfleet_routers.edge.external_ip is '192.0.9.9': it must be an address of 'out'",
    ),
    (
        [(RED, OVN), (OUT, EXTERNAL), (ROUTER, {**EDGE, "gateway_hosts": []})],
        "virtfleet_routers.edge.gateway_hosts is empty: name a host that is connected to the external network",
    ),
    (
        [(RED, OVN), (ROUTER, {"networks": ["red"]}), (("virtfleet_routers", "two"), {"networks": ["red"]})],
        "virtfleet_routers.two.networks[0] is 'red', which is on router 'edge': a network has one router",
    ),
    (
        [(RED, OVN), (NET, "red"), (FLOATING, "192.0.2.50")],
        f"{I0}.networks[0].floating_ip is 192.0.2.50, but network 'red' is on no router with a way out: add one with ",
    ),
    (
        [(RED, OVN), (OUT, EXTERNAL), (ROUTER, EDGE), (NET, "red"), (FLOATING, "192.0.2.9")],
        f"{I0}.networks[0].floating_ip is 192.0.2.9: it must be an address of 'out' that no router and no gateway has",
    ),
    (
        [((*LAN, "project"), "ops"), (("virtfleet_projects", "ops"), {})],
        f"{I0}.networks[0].network is 'lan', which is for project 'ops' alone: take another",
    ),
    (
        [((*WEB, "flavour"), "m1.small"), ((*WEB, "flavor"), None)],
        f"{I0}.flavour is not a known key: did you mean 'flavor'? ",
    ),
]


@pytest.mark.parametrize("changes,sentence", PAIRS, ids=[one[1][:70] for one in PAIRS])
def test_words_that_do_not_go_together(changes, sentence):
    problems, _records = told(*changes)
    assert len(problems) == 1
    assert problems[0].startswith(sentence) if sentence.endswith(" ") else problems == [sentence]


@pytest.mark.parametrize(
    "owned,way_out",
    [
        ({"visibility": "private", "owner": "shop"}, "make the image shared or public"),
        ({"visibility": "shared", "owner": "shop"}, "add it to the image's members"),
        ({"visibility": "shared", "owner": "shop", "members": ["ops"]}, "add it to the image's members"),
    ],
)
def test_an_image_is_only_for_the_projects_that_may_see_it(owned, way_out):
    projects = (("virtfleet_projects", "ops"), {})
    image = (IMAGE, {"url": "file:///srv/tiny.qcow2", **owned})
    problems, _records = told(projects, image)
    assert problems == [
        f"{I0}.image is 'tiny', which is {owned['visibility']} to project 'shop' and not for project 'default': "
        f"{way_out}, or take another"
    ]
    for project in ["shop", *owned.get("members", [])]:
        problems, records = told(projects, image, ((*WEB, "project"), project))
        assert problems == []
        assert not {"visibility", "owner", "members"} & set(records[0]["image"])


def test_mirrors_go_into_the_record_as_they_are():
    mirrors = ["https://one.example/x", "https://two.example/x"]
    problems, records = told(((*IMAGE, "url"), mirrors))
    assert problems == [] and records[0]["image"]["url"] == mirrors


def test_all_problems_are_told_at_once_and_in_order():
    problems, _records = told(
        ((*FLAVOR, "vcpus"), 0),
        ((*IMAGE, "url"), "x"),
        ((*SUBNET, "cidr"), "x"),
        ((*WEB, "count"), "x"),
        ((*WEB, "key_name"), "op"),
        (("virtfleet_instances", 1), {**SECOND, "image": "x"}),
    )
    places = [one.split(" is ")[0] for one in problems]
    assert places == [
        "virtfleet_flavors['m1.small'].vcpus",
        "virtfleet_images.tiny.url",
        f"{SUBNET_0}.cidr",
        f"{I0}.count",
        f"{I0}.key_name",
        "virtfleet_instances[1].image",
    ]


BLANK = {"source_type": "blank", "destination_type": "volume", "volume_size": 1}
DATA = {"source_type": "volume", "source": "data", "destination_type": "volume"}
DEVICE_0 = f"{I0}.block_devices[0]"


@pytest.mark.parametrize(
    "devices,changes,sentence",
    [
        (
            [{**DATA, "source": "dta"}],
            [],
            f"{DEVICE_0}.source is 'dta', which is not in virtfleet_volumes: did you mean",
        ),
        ([{**BLANK, "source": "data"}], [], f"{DEVICE_0}.source does not go with source_type blank: leave it out"),
        ([{**DATA, "source": None}], [], f"{DEVICE_0}.source is empty (null)"),
        ([DATA, DATA], [], f"{I0}.block_devices has the volume 'data' twice: once is enough"),
        ([DATA], [((*WEB, "count"), 2)], f"{DEVICE_0}.source does not go with count 2: a volume is attached to one"),
        ([{**BLANK, "volume_size": 0}], [], f"{DEVICE_0}.volume_size is 0: it must be at least 1"),
        (
            [{**BLANK, "destination_type": "local"}],
            [],
            f"{I0}.block_devices has local disks of 1 GiB, and the flavor's",
        ),
        (
            [{**BLANK, "boot_index": 2}],
            [],
            f"{I0}.block_devices has the boot_index 2: they must be 0, 1, 2 ... each once",
        ),
        ([{**DATA, "boot_index": 0}], [], f"{DEVICE_0}.boot_index is 0, and the instance has an image too: leave one"),
        (
            [{**BLANK, "source_type": "snapshot", "source": "golden"}],
            [],
            f"{DEVICE_0}.source is 'golden', which is not in virtfleet_images",
        ),
        (
            [{**BLANK, "source_type": "image", "source": "tiny", "destination_type": "local"}],
            [],
            f"{DEVICE_0}.destination_type is 'local', which does not go with source_type image",
        ),
        (
            [{**BLANK, "source_type": "image", "source": "large"}],
            [(("virtfleet_images", "large"), {"url": "file:///srv/l.qcow2", "min_disk_gb": 5})],
            f"{DEVICE_0}.source is 'large', which needs 5 GiB and gets 1: take a larger size",
        ),
        (
            [{**BLANK, "source_type": "image", "source": "hidden"}],
            [(("virtfleet_images", "hidden"), {"url": "file:///srv/h.raw", "visibility": "private", "owner": "shop"})],
            f"{DEVICE_0}.source is 'hidden', which is private to project 'shop' and not for project 'default'",
        ),
        (
            [{**BLANK, "volume_type": "none"}],
            [],
            f"{DEVICE_0}.volume_type is 'none', which is not in virtfleet_volume_types",
        ),
        ([{**DATA, "volume_type": "nfs"}], [], f"{DEVICE_0}.volume_type goes only with a new volume: leave it out"),
        ([DATA], [((*WEB, "project"), "shop")], f"{DEVICE_0}.source is 'data', a volume of project default"),
        (
            [DATA],
            [(("virtfleet_instances", 1), {**SECOND, "block_devices": [DATA]})],
            "gives 'db' the volume 'data' of",
        ),
        ([BLANK], [((*WEB, "image"), None)], f"{I0} has neither 'image' nor a block device with boot_index 0"),
    ],
)
def test_a_block_device_that_cannot_be(devices, changes, sentence):
    catalogue = [
        (("virtfleet_volume_types",), {"nfs": {"backend": "raw", "directory": "/srv/nfs", "shared": True}}),
        (("virtfleet_volumes",), {"data": {"size_gb": 1, "type": "nfs"}}),
        ((*WEB, "block_devices"), devices),
    ]
    problems, _made = told(*catalogue, *changes)
    assert any(sentence in one for one in problems), problems


@pytest.mark.parametrize(
    "kind,entry,sentence",
    [
        (
            {"backend": "qcow2", "encryption": "luks"},
            {"volume_type": "safe"},
            f"{I0} has the encrypted volume 'root', and virtfleet_volume_keys has none of safe: add its passphrase",
        ),
        (
            {"backend": "rbd", "pool": "vms", "encryption": "luks"},
            {"volume_type": "safe"},
            f"{I0} has the encrypted volume 'root', and virtfleet_volume_keys has none of safe: add its passphrase",
        ),
        (
            {"backend": "iscsi", "server": "s", "target": "iqn.2026-01.x:y", "chap_user": "u", "encryption": "luks"},
            {},
            "virtfleet_volume_types.safe.encryption does not go with 'chap_user': a volume has one passphrase",
        ),
        ({"backend": "raw", "encryption": "aes"}, {}, "virtfleet_volume_types.safe.encryption is 'aes': There is luks"),
    ],
)
def test_a_volume_type_that_cannot_be(kind, entry, sentence):
    changes = [((*WEB, key), value) for key, value in entry.items()]
    problems, _made = told((("virtfleet_volume_types",), {"safe": kind}), *changes)
    assert any(sentence in one for one in problems), problems


def test_very_many_problems_are_cut():
    spec = {"virtfleet_instances": [{}] * 100}
    lines = report(request(spec)[1]).splitlines()
    assert lines[0] == "The request has 300 problems; nothing was done:"
    assert lines[-1] == "and 270 more problems"
    assert len(lines) == 32


@pytest.mark.parametrize(
    "change",
    [
        ((*WEB, "user_data"), ["SECRET"]),
        ((*WEB, "admin_pass"), 123456789),
        ((*WEB, "admin_pass"), "SECRET" * 50),
        ((*WEB, "files"), "SECRET"),
        ((*WEB, "files"), ["SECRET"]),
        ((*WEB, "files"), [{"path": "/x", "content": {"SECRET": 1}}]),
        ((*WEB, "user_dta"), "SECRET"),
        ((*WEB, "user_data"), "SECRET" * 20000),
        ((*WEB, "user_data"), "#cloud-config\nSECRET: [SECRET"),
        ((*WEB, "user_data_base64"), "SECRET"),
        ((*WEB, "vendor_data"), "#cloud-config\nSECRET"),
        (("virtfleet_keypairs", "ops"), "SECRET"),
        (("virtfleet_keypairs", "ops"), ["SECRET"]),
        (("virtfleet_volume_keys",), {"data": "SECRET"}),
        (("virtfleet_volume_keys",), {"data": "SECRET\nSECRET"}),
        (("virtfleet_volume_keys",), {"data": ["SECRET SECRET"]}),
    ],
)
def test_no_message_shows_a_secret(change):
    problems, _records = told(change)
    assert problems
    assert not any("SECRET" in one or "123456789" in one for one in problems)
