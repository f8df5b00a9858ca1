# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside a simulated host: print as JSON what it has of anybody's, read past our own code.

What was sent to the host before the fault goes on there, and may take things away meanwhile: these are not told.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
from contextlib import suppress
from xml.etree import ElementTree

STATE, REGISTRY = "/var/lib/virtfleet", "/var/lib/virtfleet/registry/registry.db"
TABLES = ("hosts", "instances", "allocations", "ports", "addresses", "group_members")


def domains():
    import libvirt

    libvirt.registerErrorHandler(lambda *_said: None, None)
    for domain in libvirt.open("qemu:///system").listAllDomains():
        try:
            yield about(libvirt, domain)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise


def about(libvirt, domain):
    text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    tree = ElementTree.fromstring(text)
    return {
        "uuid": domain.UUIDString(),
        "name": domain.name(),
        "running": bool(domain.isActive()) and domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING,
        "id": domain.ID(),
        "ours": "urn:virtfleet:1" in text,
        "macs": [mac.get("address") for mac in tree.iterfind("devices/interface/mac")],
        "vcpus": int(tree.findtext("vcpu")),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def files(folder):
    for top, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            with suppress(FileNotFoundError):
                state = os.lstat(path)
                yield os.path.relpath(path, folder), [state.st_ino, state.st_size, state.st_mtime_ns]


def taps():
    for name in os.listdir("/sys/class/net"):
        if name.startswith("tap"):
            with suppress(FileNotFoundError), open(f"/sys/class/net/{name}/ifindex") as file:
                yield name, int(file.read())


def nft(*words):
    return subprocess.run(["nft", "list", *words], check=False, capture_output=True, text=True).stdout


def tables():
    told = nft("tables")
    for line in told.splitlines():
        words = line.split()[1:]
        yield " ".join(words), nft("table", *words)


def ports():
    folder = f"{STATE}/ports"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith(".json"):
            with suppress(FileNotFoundError), open(f"{folder}/{name}") as file:
                yield json.load(file)


def registry():
    if not os.path.exists(REGISTRY):
        return {name: [] for name in TABLES}
    connection = sqlite3.connect(f"file:{REGISTRY}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in TABLES}
    except sqlite3.Error as error:
        return {**{name: [] for name in TABLES}, "error": str(error)}
    finally:
        connection.close()


print(
    json.dumps(
        {
            "domains": list(domains()),
            "instances": dict(files(f"{STATE}/instances")),
            "folders": [one.name for one in os.scandir(f"{STATE}/instances") if one.is_dir()]
            if os.path.isdir(f"{STATE}/instances")
            else [],
            "ports": list(ports()),
            "taps": dict(taps()),
            "tables": dict(tables()),
            "registry": registry(),
        }
    )
)
