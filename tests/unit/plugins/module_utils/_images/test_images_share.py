# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that hands an image to another one, over a real connection."""

from __future__ import annotations

import hashlib
import http.client
import os
import pathlib
import time
import urllib.parse

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, share
from ansible_collections.virtfleet.compute.plugins.module_utils._images.source import peers_of


def serve(host, idle=3.0, address="127.0.0.1"):
    base = host.ensure()
    identity = host.image().id
    return share.start({identity: (cache.path(host.images, base), base.checksum)}, address, 0, idle)[identity]


def ask(url, path=None, **headers):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request("GET", path or parts.path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_another_host_gets_the_image_and_the_origin_is_not_asked(host, tmp_path, disk, address):
    disk += os.urandom(20 * 2**20)  # more than a connection takes at once
    host.web.files["/disk.qcow2"], host.digest = disk, "sha256:" + hashlib.sha256(disk).hexdigest()
    url = serve(host, address=address)
    host.web.requests.clear()
    told = {"id": host.image().id, "host": "kvm1", "url": url, "checksum": host.digest}
    images, peers = str(tmp_path / "other"), peers_of([told])[host.image().id]
    base = cache.ensure(images, host.run_dir + "-other", host.image(), None, peers=peers)
    assert base.url == "host kvm1" and pathlib.Path(cache.path(images, base)).read_bytes() == disk
    assert host.web.requests == []


def test_only_who_knows_the_address_gets_anything(host, disk):
    url = serve(host)
    assert ask(url) == (200, disk)
    path = urllib.parse.urlsplit(url).path
    for wrong in ("/", path[:-1], path + "x", "/x" + path, "/../etc/passwd", "/" + host.image().id):
        assert ask(url, wrong)[0] == 404


def test_a_transfer_goes_on_where_it_broke(host, disk):
    url = serve(host)
    assert ask(url, Range="bytes=100000-") == (206, disk[100000:])
    assert ask(url, Range="bytes=100000-", **{"If-Range": '"other"'})[1] == disk
    assert ask(url, Range=f"bytes={len(disk)}-")[0] == 416


def test_it_runs_as_nobody_with_nothing_but_the_image_open_and_ends_by_itself(host):
    url = serve(host, idle=1.0)
    port = f":{urllib.parse.urlsplit(url).port:04X}"
    sockets = pathlib.Path("/proc/net/tcp").read_text().splitlines()
    (inode,) = [line.split()[9] for line in sockets if line.split()[1].endswith(port) and " 0A " in line]
    (server,) = [one for one in pathlib.Path("/proc").glob("[0-9]*") if f"socket:[{inode}]" in targets(one)]
    assert [one for one in targets(server) if host.images in one]
    assert not [one for one in targets(server) if one.startswith("/") and host.images not in one and "/dev/" not in one]
    assert str(share.NOBODY) in (server / "status").read_text().partition("Uid:")[2].splitlines()[0] or not is_root()
    assert url.split("/")[3] not in (server / "cmdline").read_text() + (server / "comm").read_text()
    deadline = time.monotonic() + 10
    while server.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not server.exists()
    with pytest.raises(OSError):
        ask(url)


def is_root():
    return pathlib.Path("/proc/self").stat().st_uid == 0


def targets(process):
    try:
        return [str((process / "fd" / one.name).readlink()) for one in (process / "fd").iterdir()]
    except OSError:
        return []
