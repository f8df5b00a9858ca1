# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User data of every kind that cloud-init knows is let through."""

from __future__ import annotations

import base64
import email
import gzip

import pytest

from ansible_collections.virtfleet.compute.plugins.filter.multipart import multipart
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import requests, user_data

PARTS = [
    "#cloud-config\nhostname: wéb\n",
    "#!/bin/sh\necho ran\n",
    "#cloud-boothook\n#!/bin/sh\n",
    "## template: jinja\nx",
]


def problems(**entry):
    return [str(one) for one in user_data.problems({"config_drive": "nocloud", **entry}, ("e",))]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#!/bin/sh\n: [\n",
        "#cloud-config\n",
        "\n  #cloud-config\nruncmd: [ls]\n",
        "#cloud-config\n# only a comment\n",
        "#cloud-config-archive\n- {content: x}\n",
        "## template: jinja\n#cloud-config\nhostname: {{ v1.local_hostname }}\n",
        "#include\nhttp://example.org/x\n",
        "#cloud-boothook\n",
        "#part-handler\n",
        '{"ignition": {"version": "3.3.0"}}',
        "<powershell>\n",
        user_data.multipart(PARTS),
    ],
)
def test_every_kind_is_taken(text):
    assert problems(user_data=text) == []
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    assert problems(user_data_base64=packed) == []
    assert problems(vendor_data=text) == []


def test_a_part_that_is_no_yaml_is_found_inside_gzip():
    packed = gzip.compress(user_data.multipart([PARTS[1], "#cloud-config\na: [\n"]).encode())
    assert problems(user_data_base64=base64.b64encode(packed).decode()) == [
        "e.user_data_base64 says that it is a #cloud-config and is not YAML (line 3)"
    ]


def test_gzip_that_never_ends_is_no_work():
    packed = base64.b64encode(gzip.compress(bytes(20 * 2**20))).decode()
    assert "no whole gzip file of at most 16 MiB unpacked" in problems(user_data_base64=packed)[0]


def test_what_the_openstack_layout_keeps_apart_is_no_problem_there():
    entry = {"user_data": "#cloud-config\nwrite_files: []\n", "files": [{"path": "/x", "content": ""}]}
    assert problems(**entry) and problems(**entry, config_drive="openstack") == []


def test_multipart_is_what_cloud_init_reads_and_always_the_same():
    text = multipart(PARTS)
    assert text == multipart(PARTS) != multipart(PARTS[:2])
    message = email.message_from_string(text)
    kinds = ["text/cloud-config", "text/x-shellscript", "text/cloud-boothook", "text/jinja2"]
    assert [part.get_content_type() for part in message.get_payload()] == kinds
    assert [part.get_payload(decode=True).decode() for part in message.get_payload()] == PARTS


def test_a_part_that_is_nothing_is_refused():
    with pytest.raises(Exception, match="part 2 begins like nothing that cloud-init knows: it knows #cloud-config-"):
        multipart(["#!/bin/sh", "hello"])


def test_secrets_are_passed_on_in_base64_however_they_were_written():
    files = [{"path": "/a", "content": "x"}, {"path": "/b", "content_base64": "eQ=="}]
    entry = {"user_data_base64": "H4sI\nAAAA", "vendor_data": "#cloud-config\n", "admin_pass": None, "files": files}
    assert requests.entry_secrets(entry) == {
        "user_data": "H4sIAAAA",
        "vendor_data": "#cloud-config\n",
        "files": {"/a": "eA==", "/b": "eQ=="},
    }
