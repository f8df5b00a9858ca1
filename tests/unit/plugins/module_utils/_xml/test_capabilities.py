# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt says of a host, as values."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.module_utils._xml.capabilities import (
    capabilities,
    guest_capabilities,
)

HOST = """<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>
<topology sockets='1' dies='1' cores='2' threads='2'/><feature name='sse4.1'/><feature name='aes'/></cpu>
<topology><cells num='1'><cell id='0'><memory unit='KiB'>4194304</memory>
<pages unit='KiB' size='4'>1</pages><pages unit='KiB' size='2048'>0</pages>
<cpus num='4'><cpu id='0' siblings='0,2'/><cpu id='2' siblings='0,2'/>
<cpu id='1' siblings='1,3'/><cpu id='3' siblings='1,3'/>
</cpus></cell></cells></topology></host>
<guest><os_type>hvm</os_type><arch name='x86_64'><emulator>/bin/qemu</emulator><machine canonical='pc-7'>pc</machine>
<machine>pc-7</machine><domain type='qemu'/><domain type='kvm'/></arch></guest></capabilities>"""
GUEST = """<domainCapabilities><machine>pc-7</machine><arch>x86_64</arch><cpu>
<mode name='host-passthrough' supported='no'/>
<mode name='host-model' supported='yes'><model>EPYC</model><feature policy='require' name='aes'/>
<feature policy='disable' name='sha-ni'/></mode></cpu><devices>
<disk><enum name='bus'><value>virtio</value><value>sata</value></enum></disk>
<video><enum name='modelType'><value>vga</value></enum></video></devices></domainCapabilities>"""


def test_a_host():
    host = capabilities(HOST)
    assert (host.arch, host.model, host.vendor, host.features) == ("x86_64", "EPYC", "AMD", ("aes", "sse4.1"))
    assert host.topology == {"sockets": 1, "dies": 1, "cores": 2, "threads": 2}
    assert host.supported == (("x86_64", "qemu", "hvm"), ("x86_64", "kvm", "hvm"))
    assert (host.machines, host.emulator) == (("pc", "pc-7"), "/bin/qemu")
    assert host.cells == (
        {
            "id": 0,
            "memory_mb": 4096,
            "cpuset": [0, 1, 2, 3],
            "siblings": ["0,2", "1,3"],
            "mempages": [{"size_kb": 4, "total": 1}],
        },
    )


def test_what_guests_get():
    guest = guest_capabilities(GUEST)
    assert guest.cpu_xml.startswith("<cpu><arch>x86_64</arch><model>EPYC</model>")
    assert (guest.disabled, guest.buses, guest.screens) == (("sha-ni",), ("virtio", "sata"), ("vga",))


def test_a_host_that_says_little():
    assert capabilities("<capabilities><host/></capabilities>").cells == ()
    assert guest_capabilities("<domainCapabilities/>").cpu_xml == ""
