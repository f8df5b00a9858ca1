# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of backup jobs, and what a domain says of its disks."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.module_utils._xml import backup

DOMAIN = """<domain><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/i/root.qcow2'/>
 <backingStore type='file'><format type='qcow2'/><source file='/images/a.qcow2'/>
  <backingStore type='file'><source file='/images/b.raw'/><backingStore/></backingStore></backingStore>
 <target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/i/config.iso'/><backingStore/>
 <target dev='vdb' bus='virtio'/><readonly/></disk></devices></domain>"""


def test_disks_with_all_that_is_below_them():
    root, drive = backup.disks(DOMAIN)
    assert root == backup.Disk("vda", "/i/root.qcow2", "qcow2", ("/images/a.qcow2", "/images/b.raw"))
    assert drive == backup.Disk("vdb", "/i/config.iso", "raw", (), readonly=True)


def test_a_full_job_says_of_each_disk_what_becomes_of_it():
    assert backup.backup({"vda": "/b/<x>"}, ["vda", "vdb"]) == (
        '<domainbackup mode="push">\n  <disks>\n    <disk name="vda" backup="yes" type="file">\n'
        '      <driver type="qcow2"/>\n      <target file="/b/&lt;x&gt;"/>\n    </disk>\n'
        '    <disk name="vdb" backup="no"/>\n  </disks>\n</domainbackup>\n'
    )


def test_an_incremental_job_and_its_checkpoint():
    document = backup.backup({"vda": "/b/x"}, ["vda"], since="virtfleet-b1")
    assert "<incremental>virtfleet-b1</incremental>" in document and backup.job_files(document) == ["/b/x"]
    assert backup.checkpoint("virtfleet-b2", ["vda"], ["vda", "vdb"]) == (
        "<domaincheckpoint>\n  <name>virtfleet-b2</name>\n  <disks>\n"
        '    <disk name="vda" checkpoint="bitmap" bitmap="virtfleet-b2"/>\n    <disk name="vdb" checkpoint="no"/>\n'
        "  </disks>\n</domaincheckpoint>\n"
    )
