# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys with which the host's libvirt opens disks of a cluster, and encrypted ones. Private to this collection.

The key of a cluster is read from the host's own keyring; the passphrase of an encrypted volume came with the task.
Both are given to libvirt in its own protocol: they are in no argument list, record, result or log, and libvirt shows
them to nobody again. It forgets passphrases when it ends: what is encrypted stays closed after a theft of the host.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from .._model import naming
from .._model.errors import ItemError
from .._model.instance import Instance
from .._model.volume import Volume
from .._model.volume_keys import is_locked, passphrase
from .._xml.tree import add, etree, need_lxml, serialize
from .connection import failing_to, libvirt

KEY = re.compile(r"^\s*key\s*=\s*(\S+)\s*$")
SETTING = re.compile(r"^\s*keyring\s*=\s*(\S+)\s*$")


def keyring_of(conf: str, user: str) -> str:
    """Return the file that holds the user's key: what the section of the user, or else [global], says."""
    section, found = "", {}
    try:
        with open(conf, encoding="utf-8") as lines:
            for line in lines:
                if line.lstrip().startswith("["):
                    section = line.strip().strip("[]").strip()
                elif match := SETTING.match(line):
                    found[section] = match.group(1)
    except OSError as error:
        raise ItemError(f"the Ceph configuration {conf} cannot be read: {error.strerror}")
    usual = f"/etc/ceph/ceph.client.{user}.keyring"
    told = found.get(f"client.{user}") or found.get("client") or found.get("global") or usual
    return told.replace("$name", f"client.{user}").replace("$cluster", "ceph").replace("$id", user)


def ceph_key(conf: str, user: str) -> bytes:
    """Return the user's key as libvirt takes it."""
    path, section = keyring_of(conf, user), ""
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.lstrip().startswith("["):
                    section = line.strip().strip("[]").strip()
                elif section == f"client.{user}" and (match := KEY.match(line)):
                    return base64.b64decode(match.group(1), validate=True)
    except OSError as error:
        raise ItemError(f"the keyring {path} of Ceph user {user} cannot be read: {error.strerror}")
    except binascii.Error:
        raise ItemError(f"the keyring {path} is broken: the key of client.{user} is not base64")
    raise ItemError(f"the keyring {path} has no key of client.{user}: put it there with ceph auth get")


def ensure(connection: Any, instance: Instance, keys: Mapping[str, Any]) -> None:
    """libvirt has the key of every cluster that a disk of the instance is in, and the passphrase of encrypted ones."""
    for one in locked(instance.volumes):
        give(connection, instance.uuid, one, passphrase(asdict(one), keys))
    clusters = {
        (one.pool.get("conf") or "/etc/ceph/ceph.conf", one.pool.get("user") or "libvirt")
        for one in instance.volumes
        if one.backend == "rbd"
    }
    for conf, user in sorted(clusters):
        key = ceph_key(conf, user)
        with failing_to(f"give libvirt the key of Ceph user {user}"):
            secret = connection.secretDefineXML(secret_xml(conf, user), 0)
            secret.setValue(key, 0)


def give(connection: Any, owner: str, volume: Volume, key: str) -> None:
    """libvirt has what opens a volume of the instance with the uuid `owner`."""
    with failing_to(f"give libvirt the passphrase of volume {volume.name}"):
        connection.secretDefineXML(volume_secret_xml(owner, volume), 0).setValue(key.encode(), 0)


def locked(volumes: Iterable[Volume]) -> list[Volume]:
    """Return those of the volumes that are opened by something secret."""
    return [one for one in volumes if is_locked(asdict(one))]


def forget(connection: Any, owner: str, volumes: Iterable[Volume]) -> None:
    """libvirt has no passphrase of these volumes of the instance with the uuid `owner`."""
    for one in locked(volumes):
        with failing_to(f"take the passphrase of volume {one.name} from libvirt"):
            try:
                connection.secretLookupByUUIDString(naming.volume_secret_id(owner, one.name)).undefine()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_SECRET:
                    raise


def volume_secret_xml(owner: str, volume: Volume) -> str:
    """Return the document of the secret of a volume; the audit knows by its usage whose it is."""
    need_lxml()
    root = etree.Element("secret", ephemeral="yes", private="yes")
    add(root, "uuid", naming.volume_secret_id(owner, volume.name))
    add(root, "description", "made by virtfleet.compute")
    kind, of = ("volume", "volume") if volume.encryption else ("iscsi", "target")
    add(add(root, "usage", type_=kind), of, f"virtfleet:{owner}/{volume.name}")
    return serialize(root)


def secret_xml(conf: str, user: str) -> str:
    """Return the document of the secret: kept over a restart of libvirt, as the keyring is, and never shown."""
    need_lxml()
    root = etree.Element("secret", ephemeral="no", private="yes")
    add(root, "uuid", naming.ceph_secret_id(conf, user))
    add(root, "description", "made by virtfleet.compute")
    add(add(root, "usage", type_="ceph"), "name", f"client.{user} of {conf} (virtfleet)")
    return serialize(root)
