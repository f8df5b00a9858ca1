# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of virtfleet_instances: what is wrong with it, and the records it stands for. Private to this collection.

The rules are those of Nova's create (POST /servers) where Nova has one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from ...module_utils._model import config_drive, naming, schema
from ...module_utils._model.errors import ItemError
from . import catalogue, disks, security, user_data
from .problems import Path, Problem, listed, quoted
from .ranges import address, subnet
from .requests import boots_from_volume

Entry = dict[str, Any]
Record = dict[str, Any]

MOST_FILE = 10240
# What reaches the guest by its config drive and by nothing else.
TOLD = ("user_data", "user_data_base64", "vendor_data", "admin_pass", "files", "key_name")
# libvirt keeps a domain in the file <name>.xml and writes <name>.xml.new first; a file name has at most 255 bytes.
MOST_DOMAIN_BYTES = 255 - len(".xml.new")


def resolve(written: Entry, path: Path, world: Any) -> tuple[list[Record], list[Problem]]:
    """Return the records of the entry and all that is wrong with it."""
    one = schema.defaults(schema.INSTANCE) | {key: value for key, value in written.items() if value is not None}
    problems = list(name_problems(one, path))
    if one["state"] == "absent":
        world.find((*path, "project"), one["project"], "virtfleet_projects", problems)
        return [gone(one, name) for name in naming.expand(one["name"], one["count"])], problems
    problems += [*single_problems(one, path), *drive_problems(one, path), *user_data.problems(one, path)]
    image = disks.boot_image(one, world)
    one = {**one, "image": image} if image else one
    parts = found_parts(one, path, world, problems)
    problems += bus_problems(one, parts["image"], path)
    if parts["image"]:
        problems += visibility_problems(one, parts["image"], path)
    made = disks.found_disks(written_devices(one, written), parts, path, world, problems)
    if parts["flavor"] and parts["image"] and not boots_from_volume({"volumes": made}):
        problems += size_problems(parts["flavor"], parts["image"], path)
    ports = found_ports(one, path, world, problems)
    if one["wait_for"] in ("address", "ssh") and not ports:
        problems.append(Problem((*path, "wait_for"), f"is '{one['wait_for']}', but there is no network to reach it by"))
    # A thing it names may have a problem of its own, told where it is defined.
    whole = all(parts[key] for key in parts if one.get(key)) and len(ports) == len(one.get("networks", ports))
    if problems or not whole or not made:
        return [], problems
    names = naming.expand(one["name"], one["count"])
    return [record(one, name, index, parts, ports, made) for index, name in enumerate(names)], []


def written_devices(one: Entry, written: Entry) -> Entry:
    """Return the entry with the image that the user wrote and not that of a block device."""
    image = written.get("image")
    return {**{key: value for key, value in one.items() if key != "image"}, **({"image": image} if image else {})}


def look_up(written: Entry, path: Path, world: Any) -> tuple[list[Record], list[Problem]]:
    """Return no record, and the names in an entry that is wrong in other places too which do not exist."""
    problems: list[Problem] = []
    found_parts({key: value for key, value in written.items() if value is not None}, path, world, problems)
    return [], problems


def name_problems(one: Entry, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the name; of several instances the last has the longest one."""
    odd = next((character for character in one["name"] if not printable(character)), "")
    if odd:
        yield Problem((*path, "name"), f"has the character U+{ord(odd):04X}, which cannot be printed: leave it out")
        return
    last = naming.expand(one["name"], one["count"])[-1]
    size = len(naming.domain(one["project"], last).encode())
    if len(last) > 255:
        yield Problem((*path, "name"), f"is {len(last)} characters long with the number behind it: at most 255 fit")
    elif size > MOST_DOMAIN_BYTES:
        says = f"takes {size} bytes as a file name of libvirt: at most {MOST_DOMAIN_BYTES} fit, so make it shorter"
        yield Problem((*path, "name"), says)


def printable(character: str) -> bool:
    """Tell whether Nova takes the character in a name: no control, format or unassigned one, of blanks only spaces."""
    category = unicodedata.category(character)
    return category == "Zs" or category[0] not in "CZ"


def single_problems(one: Entry, path: Path) -> Iterator[Problem]:
    """Yield what only one instance can have, and a lower bound above the number."""
    if one["count"] > 1:
        if "hostname" in one:
            yield Problem((*path, "hostname"), f"does not go with count {one['count']}: leave it out or write entries")
        for index, network in enumerate(one.get("networks", [])):
            if network.get("fixed_ip"):
                says = f"does not go with count {one['count']}: only one instance can have {network['fixed_ip']}"
                yield Problem((*path, "networks", index, "fixed_ip"), says)
    if one.get("min_count", 1) > one["count"]:
        yield Problem((*path, "min_count"), f"is {one['min_count']}, more than the count of {one['count']}")


def drive_problems(one: Entry, path: Path) -> Iterator[Problem]:
    """Yield what of all that the guest is told does not go together."""
    told = [key for key in TOLD if one.get(key)]
    if told and one["config_drive"] == "none":
        yield Problem((*path, "config_drive"), f"is 'none', so the guest would never see its {listed(told)}")
    paths = [file["path"] for file in one["files"]]
    for again in dict.fromkeys(name for index, name in enumerate(paths) if name in paths[:index]):
        yield Problem((*path, "files"), f"has {quoted(again)} twice: once is enough")
    for index, file in enumerate(one["files"]):
        yield from file_problems(file, (*path, "files", index))


def file_problems(file: dict[str, str], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with a file for the guest."""
    given = [key for key in ("content", "content_base64") if key in file]
    if len(given) != 1:
        says = "has both 'content' and 'content_base64'" if given else "has neither 'content' nor 'content_base64'"
        yield Problem(path, f"{says}: write one of them")
        return
    content = user_data.decoded(file, "content")
    if content is None:
        yield Problem((*path, "content_base64"), "is not base64: make it with `base64 -w0` or the filter b64encode")
    elif len(content) > MOST_FILE:
        yield Problem((*path, *given), f"is {len(content):,} bytes: at most {MOST_FILE:,} fit")


def bus_problems(one: Entry, image: dict[str, Any] | None, path: Path) -> Iterator[Problem]:
    """Yield a bus that no config drive can be plugged to."""
    if image and one["config_drive"] != "none":
        try:
            config_drive.bus(image["properties"])
        except ItemError as error:
            yield Problem((*path, "image"), f"has the property {error}")


def found_parts(one: Entry, path: Path, world: Any, problems: list[Problem]) -> dict[str, Any]:
    """Return the things the entry names; None for those that cannot be used, and a problem added if that is news."""
    parts = {}
    for key, variable in (
        ("project", "virtfleet_projects"),
        ("flavor", "virtfleet_flavors"),
        ("image", "virtfleet_images"),
        ("server_group", "virtfleet_server_groups"),
        ("cell", "virtfleet_cells"),
        ("key_name", "virtfleet_keypairs"),
    ):
        parts[key] = world.find((*path, key), one[key], variable, problems) if key in one else None
    for key in ("project", "cell"):
        parts.pop(key)
    parts["flavor"] = parts["flavor"] and schema.defaults(schema.FLAVOR) | parts["flavor"]
    parts["image"] = parts["image"] and schema.defaults(schema.IMAGE) | parts["image"]
    return parts


def visibility_problems(one: Entry, image: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Yield that the image is not for the instance's project, as Glance would not show it to that."""
    yield from catalogue.hidden(image, one["image"], one["project"], (*path, "image"))


def size_problems(flavor: dict[str, Any], image: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Yield what the image needs and the flavor does not have; a disk of 0 GiB is as large as the image."""
    if flavor["memory_mb"] < image["min_ram_mb"]:
        says = (
            f"has {flavor['memory_mb']} MiB of memory and the image needs {image['min_ram_mb']}: take a larger flavor"
        )
        yield Problem((*path, "flavor"), says)
    if 0 < flavor["disk_gb"] < image["min_disk_gb"]:
        says = f"has a disk of {flavor['disk_gb']} GiB and the image needs {image['min_disk_gb']}: take a larger flavor"
        yield Problem((*path, "flavor"), says)


def found_ports(one: Entry, path: Path, world: Any, problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the ports without what is derived from the name; those that cannot be used are left out."""
    groups = found_groups(one, path, world, problems)
    ports = []
    for index, wanted in enumerate(wanted_networks(one, path, world, problems)):
        place = (*path, "networks", index)
        network = world.find((*place, "network"), wanted["network"], "virtfleet_networks", problems)
        if network is None:
            continue
        if network.get("project", one["project"]) != one["project"]:
            says = (
                f"is {quoted(wanted['network'])}, which is for project {quoted(network['project'])} alone: take another"
            )
            problems.append(Problem((*place, "network"), says))
        port = catalogue.port_of_network(wanted["network"], network)
        pairs = wanted.get("allowed_address_pairs", [])
        problems += security.pair_problems(pairs, (*place, "allowed_address_pairs"))
        port["fixed_ip"] = wanted.get("fixed_ip")
        port["port_security"] = wanted.get("port_security", port["port_security"])
        port.update({"port_isolated": True} if wanted.get("port_isolated") else {})
        port.update({"qos": wanted["qos"]} if "qos" in wanted else {})
        port.update({"floating_ip": wanted["floating_ip"]} if "floating_ip" in wanted else {})
        problems += floating_problems(one, port, (*place, "floating_ip"))
        problems += catalogue.qos_problems((*place, "qos"), wanted.get("qos", []))
        problems += [*fixed_ip_problems(port, (*place, "fixed_ip")), *unguarded_problems(one, port, wanted, place)]
        if not problems:
            port["security_groups"] = groups if port["port_security"] else []
            port["allowed_address_pairs"] = [security.whole_pair(pair) for pair in pairs]
        ports.append(port)
    return ports


def floating_problems(one: Entry, port: dict[str, Any], place: Path) -> Iterator[Problem]:
    """Yield what is wrong with the address that others reach a guest at."""
    text = port.get("floating_ip")
    if text is None:
        return
    found = address(text)
    if found is None or found.version != 4 or str(found) != text:
        yield Problem(place, f"is {quoted(text)}: it must be an IPv4 address such as 203.0.113.7")
    elif not port.get("router"):
        yield Problem(place, f"is {text}, and network {quoted(port['network'])} has no 'router' that could lead there")
    elif one["count"] > 1:
        yield Problem(place, f"is {text}, which only one guest can have, and count is {one['count']}")


def found_groups(one: Entry, path: Path, world: Any, problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the security groups of the entry, whole."""
    place = (*path, "security_groups")
    groups = [
        security.whole(name, group)
        for index, name in enumerate(one["security_groups"])
        for group in [world.find((*place, index), name, "virtfleet_security_groups", problems)]
        if group is not None
    ]
    if security.mixture(groups):
        problems.append(Problem(place, security.mixture(groups)))
    whole = len(groups) == len(one["security_groups"])
    if one["wait_for"] == "ssh" and whole and not security.lets_in(groups, "tcp", 22) and filtered(one, world):
        says = (
            f"is 'ssh', and no rule of {listed(one['security_groups']) or 'no group'} lets TCP port 22 in from a range"
        )
        problems.append(Problem((*path, "wait_for"), f"{says}: add one, or wait for 'address' or 'console'"))
    return groups


def filtered(one: Entry, world: Any) -> bool:
    """Say whether the first port of an entry, which is the one that is waited for, has security groups."""
    for wanted in wanted_networks(one, (), world, [])[:1]:
        network = world.sound["virtfleet_networks"].get(wanted["network"], {})
        return wanted.get("port_security", network.get("port_security", True))
    return False


def unguarded_problems(one: Entry, port: dict[str, Any], wanted: dict[str, Any], place: Path) -> Iterator[Problem]:
    """Yield what does nothing without port security; the group that nobody named is no mistake."""
    if port["port_security"] and port["type"] == "ovs":
        yield Problem((*place, "port_security"), "is true, and type ovs has no rules of ours: leave it out")
    if port["port_security"]:
        return
    if one["security_groups"] and one["security_groups"] != [security.DEFAULT]:
        says = "is off, so security groups would do nothing: turn it on or leave security_groups out"
        if port["type"] == "ovs":
            says = f"is off, for network {quoted(port['network'])} is of type ovs: leave security_groups out"
        yield Problem((*place, "port_security"), says)
    if wanted.get("allowed_address_pairs"):
        says = "does nothing where port_security is off: everything is allowed there"
        yield Problem((*place, "allowed_address_pairs"), says)


def wanted_networks(one: Entry, path: Path, world: Any, problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the networks the entry names; without a word about them the only one there is."""
    if "networks" in one:
        return one["networks"]
    names = sorted(world.names.get("virtfleet_networks", ()))
    if len(names) > 1:
        says = f"has no 'networks', and there is more than one to choose from: name one of {listed(names)}, or write []"
        problems.append(Problem(path, says))
        return []
    return [{"network": name} for name in names]


def fixed_ip_problems(port: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the address the user asks for."""
    asked = port["fixed_ip"]
    if asked is None:
        return
    if address(asked) is None:
        yield Problem(path, f"is {quoted(asked)}: it must be an address such as 10.0.0.31")
        return
    ranges = {one["cidr"]: one for one in port["subnets"]}
    home = next((one for cidr, one in ranges.items() if address(asked) in subnet(cidr)), None)
    if home is None:
        there = f"there is {listed(ranges)}" if ranges else "it has none"
        yield Problem(path, f"is {asked}, which is in no subnet of network {quoted(port['network'])}: {there}")
    elif home["gateway"] and address(asked) == address(home["gateway"]):
        yield Problem(path, f"is {asked}, which is the gateway of {home['cidr']}: take another")
    elif home.get("dhcp_server") and address(asked) == address(home["dhcp_server"]):
        yield Problem(path, f"is {asked}, which is the DHCP server of {home['cidr']}: take another")
    elif not catalogue.usable(asked, subnet(home["cidr"])):
        yield Problem(path, f"is {asked}, which no machine in {home['cidr']} can have: take another")


def gone(one: Entry, name: str) -> Record:
    """Return the record of an instance that should not be there: only what finds it."""
    project = one["project"]
    identity = naming.instance_uuid(project, name)
    found = {"name": name, "uuid": identity, "project": project, "domain": naming.domain(project, name)}
    return {**found, "host": None, "state": "absent", "ports": [], "volumes": []}


def record(
    one: Entry, name: str, index: int, parts: dict[str, Any], ports: list[dict[str, Any]], made: list[dict[str, Any]]
) -> Record:
    """Return the record of one instance: complete, and without secrets."""
    identity = naming.instance_uuid(one["project"], name)
    made = {
        "name": name,
        "uuid": identity,
        "project": one["project"],
        "domain": naming.domain(one["project"], name),
        "host": None,
        "hostname": one.get("hostname") or naming.hostname(name, identity),
        "state": one["state"],
        "flavor": {"name": one["flavor"], **without_description(parts["flavor"], "extra_specs")},
        "image": {"name": one.get("image", ""), **of_the_file(parts["image"] or schema.defaults(schema.IMAGE))},
        "volumes": disks.of_instance(made, one, name),
        "ports": [own_port(one["project"], name, index, port) for index, port in enumerate(ports)],
        "keys": [{"name": one["key_name"], "public_key": parts["key_name"].strip()}] if parts["key_name"] else [],
        "metadata": one["metadata"],
        "tags": one["tags"],
        "availability_zone": one.get("availability_zone"),
        "server_group": parts["server_group"] and {"name": one["server_group"], "rules": {}, **parts["server_group"]},
        "wait_for": one["wait_for"],
        "config_drive": one["config_drive"],
        "config_drive_format": one["config_drive_format"],
        "launch_index": index,
        "user_data_digest": naming.user_data_digest(
            identity, one.get("user_data") or one.get("user_data_base64"), one["files"], one.get("vendor_data")
        ),
        "scheduling": {
            "entry": one["name"],
            "hints": one["hints"],
            "requested_host": one.get("host"),
            "force_hosts": one["force_hosts"],
            "ignore_hosts": one["ignore_hosts"],
            "min_count": one.get("min_count"),
            "spread": one.get("spread"),
            **({"cell": one["cell"]} if one.get("cell") else {}),
        },
    }
    return {**made, "spec_digest": naming.spec_digest(made)}


def without_description(part: dict[str, Any], properties: str) -> dict[str, Any]:
    """Return the flavor or image as records have it: no words for people, and properties as texts."""
    kept = {key: value for key, value in part.items() if key != "description"}
    return {**kept, properties: {key: as_text(value) for key, value in part[properties].items()}}


def image_records(images: dict[str, dict[str, Any]]) -> list[Record]:
    """Return the images of a catalogue that has nothing wrong with it, as instance records have them, by name."""
    whole = {name: schema.defaults(schema.IMAGE) | dict(images[name]) for name in sorted(images)}
    return [{"name": name, **of_the_file(image)} for name, image in whole.items()]


def of_the_file(image: dict[str, Any]) -> dict[str, Any]:
    """Return the image as records have it: not whose it is, which may change while guests of it run."""
    kept = without_description(image, "properties")
    return {key: value for key, value in kept.items() if key not in ("visibility", "owner", "members")}


def as_text(value: str | int | bool) -> str:
    """Return the value of a property as Nova keeps it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def own_port(project: str, name: str, index: int, port: dict[str, Any]) -> dict[str, Any]:
    """Return the port with what is derived from the instance's name."""
    identity = naming.port_id(project, name, index)
    return {"id": identity, **port, "mac": naming.mac(identity), "tap": naming.tap(identity), "addresses": []}
