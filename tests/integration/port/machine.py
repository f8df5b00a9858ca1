# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest without an emulator, but with a network stack: a network namespace whose only link is the far end of a tap.

A small process opens the tap as QEMU does, makes a tap in a namespace of its own, and carries frames between the two.
What runs in the namespace is the kernel's own TCP, ARP and neighbour discovery.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

PUMP = r"""
import ctypes, fcntl, os, select, struct, subprocess, sys

def tap(name):
    handle = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(handle, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1002))
    return handle

outer, mac, mtu = sys.argv[1], sys.argv[2], sys.argv[3]
far = tap(outer)
if ctypes.CDLL(None).unshare(0x40000000):
    sys.exit("no namespace")
near = tap("eth0")
with open("/proc/sys/net/ipv6/conf/eth0/accept_dad", "w") as file:
    file.write("0")  # its link-local address is of use at once
subprocess.run(["ip", "-batch", "-"], input=f"link set lo up\nlink set eth0 address {mac} mtu {mtu} up\n", text=True)
print("up", flush=True)
while True:
    for handle in select.select([far, near], [], [])[0]:
        os.write(near if handle == far else far, os.read(handle, 65536))
"""


class Machine:
    """A running guest on the port of an instance record."""

    def __init__(self, record, at=0):
        self.port = record["ports"][at]
        arguments = [self.port["tap"], self.port["mac"], str(self.port["mtu"])]
        self.process = subprocess.Popen([sys.executable, "-c", PUMP, *arguments], stdout=subprocess.PIPE, text=True)
        self.started = []
        if self.process.stdout.readline() != "up\n":
            raise RuntimeError(f"the guest of {arguments} did not start")
        for one in self.port["addresses"]:
            self.run(
                f"ip address add {one['address']}/{one['prefix']} dev eth0 {'nodad' if ':' in one['address'] else ''}"
            )
            if one.get("gateway") and ":" not in one["address"]:
                self.run(f"ip route add default via {one['gateway']}")

    @property
    def ip(self):
        """The first address."""
        return self.port["addresses"][0]["address"]

    def command(self, command):
        """Return the command as it is run inside."""
        return ["nsenter", "-t", str(self.process.pid), "-n", "sh", "-c", command]

    def run(self, command):
        """Run a command inside and return what it prints."""
        return subprocess.run(self.command(command), check=True, capture_output=True, text=True).stdout

    def start(self, command):
        """Start a command inside."""
        self.started.append(
            subprocess.Popen(self.command("exec " + command), stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        )
        return self.started[-1]

    def pings(self, address, count=1, wait=1, more=""):
        """Say whether an address answers."""
        done = subprocess.run(
            self.command(f"busybox ping -c {count} -W {wait} {more} {address}"), capture_output=True, check=False
        )
        return done.returncode == 0

    def serves(self, port):
        """Echo what comes to a port."""
        code = (
            "import socket,threading\n"
            f"s=socket.create_server(('::',{port}),family=socket.AF_INET6,dualstack_ipv6=True)\n"
            "def echo(c):\n"
            "    while (d:=c.recv(65536)): c.sendall(d)\n"
            "while True: threading.Thread(target=echo,args=(s.accept()[0],),daemon=True).start()\n"
        )
        self.start(f'{sys.executable} -c "{code}"')
        end = time.monotonic() + 5
        while f":{port} " not in self.run("ss -ltn") and time.monotonic() < end:
            time.sleep(0.05)

    def reaches(self, address, port, wait=1.0):
        """Say whether a TCP connection to a port carries data both ways."""
        with contextlib.suppress(OSError, ValueError), contextlib.closing(self.connects(address, port, wait)) as talk:
            return talk.says("hello", wait)
        return False

    def connects(self, address, port, wait=1.0):
        """Open a TCP connection and return it; it lives in a process inside."""
        return Talk(self, address, port, wait)

    def close(self):
        """Power off."""
        for one in [*self.started, self.process]:
            one.kill()
            one.wait()


class Talk:
    """A TCP connection out of a machine that goes on."""

    CODE = (
        "import socket,sys\n"
        "c=socket.create_connection((sys.argv[1],int(sys.argv[2])),float(sys.argv[3]))\n"
        "print('open',flush=True)\n"
        "for line in sys.stdin:\n"
        "    c.settimeout(float(line.split()[1]))\n"
        "    try:\n"
        "        c.sendall(line.encode()); print(c.recv(999)==line.encode(),flush=True)\n"
        "    except OSError: print(False,flush=True)\n"
    )

    def __init__(self, machine, address, port, wait):
        command = machine.command(f'exec {sys.executable} -c "{self.CODE}" {address} {port} {wait}')
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if self.process.stdout.readline() != "open\n":
            self.close()
            raise OSError("not connected")

    def says(self, word, wait=1.0):
        """Say whether a word comes back."""
        self.process.stdin.write(f"{word} {wait}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "True\n"

    def close(self):
        """Hang up without a word."""
        self.process.kill()
        self.process.wait()
