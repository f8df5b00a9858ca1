# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images over a fleet: one download, hosts that hand them to each other, and images.yml."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import threading

import pytest

from .conftest import NET, instance

HALT = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # a boot sector that stops the processor
MIB = 2**20
DAMAGE = f"""
for one in /var/lib/virtfleet/images/*.raw; do
    if [ $(stat -c %s $one) = {MIB} ]; then chmod 644 $one; printf X | dd of=$one conv=notrunc bs=1 seek=9999; fi
done
"""


class Origin(http.server.ThreadingHTTPServer):
    """A web server on this machine that the hosts reach.

    `sent` is bytes by path, `asked` how often anybody asked for one, `clients` who got them.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__((re.sub(r"0/16$", "1", NET), 0), Handler)
        self.files, self.sent, self.asked, self.clients = {}, {}, {}, set()

    def image(self, name, size=20 * MIB):
        """Publish an image and return its entry of the catalogue."""
        self.files[f"/{name}"] = HALT + os.urandom(size - len(HALT))
        digest = hashlib.sha256(self.files[f"/{name}"]).hexdigest()
        url = f"http://{self.server_address[0]}:{self.server_port}/{name}"
        return {"url": url, "checksum": f"sha256:{digest}", "disk_format": "raw"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body, server = self.server.files[self.path], self.server
        server.asked[self.path] = server.asked.get(self.path, 0) + 1
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:])
        server.sent[self.path] = server.sent.get(self.path, 0) + len(body) - start
        server.clients.add(self.client_address[0])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def origin(fleet):
    server = Origin()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def table(run):
    """Return the rows of the table of images: image, host, size, users, last use, verified."""
    rows = run.output.rpartition("\nIMAGE ")[2].splitlines()[1:]
    return [re.split(r"\s{2,}", row) for row in rows if row and not row.startswith("total")]


@pytest.mark.parametrize("hosts,more", [(1, {"host": "kvm2"}), (3, {})])
def test_twenty_guests_of_a_new_image_on_one_host_and_on_three_make_one_download(fleet, origin, hosts, more):
    name = f"once{hosts}"
    images = {name: origin.image(name)}
    web = instance("web", count=20, image=name, **more)
    run = fleet.boot(web, virtfleet_images=images)
    assert run.code == 0, run.output
    running = fleet.running()
    assert len(running) == 20 and len(set(running.values())) == hosts
    assert origin.asked == {f"/{name}": 1} and origin.sent == {f"/{name}": 20 * MIB} and len(origin.clients) == 1
    assert "token" not in run.output and not re.search(r"http://[^ ]+/[\w-]{40,}/", run.output)
    again = fleet.boot(web, virtfleet_images=images)
    assert (again.code, again.changed) == (0, 0), again.output
    assert origin.asked == {f"/{name}": 1}


def test_images_yml_caches_lists_verifies_and_removes(fleet, origin):
    catalogue = {"virtfleet_images": {"cold": origin.image("cold"), "other": origin.image("other", MIB)}}

    def images(*words, code=0, **more):
        run = fleet.play("playbooks/images.yml", *words, **catalogue, **more)
        assert run.code == code, run.output
        return run

    first = images("-e", "images=cold", "--limit", "kvm2")
    assert [row[:3] for row in table(first) if row[0] == "cold"] == [["cold", "kvm2", "20 MiB"]]
    assert [row[1] for row in table(images("-e", "images=all")) if row[0] == "cold"] == ["kvm1", "kvm2", "kvm3"]
    assert origin.sent == {"/cold": 20 * MIB, "/other": MIB}
    assert images("-e", "images=all").changed == 0
    wrong = images("-e", "images=cald", code=2)
    assert "there is no image cald: there is " in wrong.output

    fleet.lab("exec", "kvm3", "sh", "-c", DAMAGE)
    verified = images("-e", "state=verified", code=2)
    assert re.search(r"kvm3.*other.*is not what was cached", verified.output)
    assert images("-e", "images=other").changed
    assert origin.sent["/other"] == MIB  # another host had it
    images("-e", "state=verified", "-e", "images=cold,other")

    run = fleet.boot(instance("web", image="other", host="kvm1"), **catalogue)
    assert run.code == 0, run.output
    listed = images("-e", "state=list")
    assert [row[3] for row in table(listed) if row[:2] == ["other", "kvm1"]] == ["web"]
    refused = images("-e", "state=absent", "-e", "images=other,cold", code=2)
    assert "other: image other: made from it on this host and to be deleted first: web" in refused.output
    assert [row[:2] for row in table(refused) if row[0] in ("cold", "other")] == [["other", "kvm1"]]


def test_hosts_that_cannot_reach_each_other_ask_the_origin(fleet, origin):
    closed = "nft add table inet closed; nft 'add chain inet closed in { type filter hook input priority -10; }'"
    rule = f"nft add rule inet closed in ip saddr {NET} ip saddr != {origin.server_address[0]} tcp flags syn drop"
    for host in fleet.hosts:
        fleet.lab("exec", host, "sh", "-c", f"{closed}; {rule}")
    try:
        run = fleet.play(
            "playbooks/images.yml", "-e", "images=apart", virtfleet_images={"apart": origin.image("apart")}
        )
        assert run.code == 0, run.output
        assert origin.sent == {"/apart": 3 * 20 * MIB} and len(origin.clients) == 3
    finally:
        for host in fleet.hosts:
            fleet.lab("exec", host, "nft", "delete", "table", "inet", "closed")
