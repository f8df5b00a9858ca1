# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network stacks behind the taps of instances that are stopped, on hosts that are reached by a shell."""

from __future__ import annotations

import base64
import time

from machine import PUMP


class Guest:
    """A network stack behind the tap of an instance."""

    def __init__(self, fleet, host, port):
        self.fleet, self.host, self.port = fleet, host, port
        pump = base64.b64encode(PUMP.encode()).decode()
        arguments = f"{port['tap']} {port['mac']} {port['mtu']}"
        start = f'python3 -c "$(echo {pump} | base64 -d)" {arguments} >/tmp/{port["tap"]} 2>&1 & echo $!'
        self.pid = fleet.on(host, start).split()[-1]
        end = time.monotonic() + 20
        while "up" not in fleet.on(host, f"cat /tmp/{port['tap']}") and time.monotonic() < end:
            time.sleep(0.2)

    def run(self, script):
        code = base64.b64encode(script.encode()).decode()
        return self.fleet.on(self.host, f"echo {code} | base64 -d | nsenter -t {self.pid} -n sh -s")

    def says(self, script):
        """Say whether a script ends well."""
        return self.run(f"if ( {script} ) >/dev/null 2>&1; then echo yes; else echo no; fi").split()[-1] == "yes"

    def static(self):
        one = self.port["addresses"][0]
        self.run(f"ip address replace {one['address']}/{one['prefix']} dev eth0")
        if one["gateway"]:
            self.run(f"ip route replace default via {one['gateway']}")
        return self

    def pings(self, address, more=""):
        """The first frame to a host that was never spoken to may be lost."""
        return self.says(f"busybox ping -c 3 -W 2 {more} {address} || busybox ping -c 2 -W 2 {more} {address}")

    def serves(self, port=80):
        code = (
            f"import socket\ns=socket.create_server(('0.0.0.0',{port}))\nwhile True:\n c=s.accept()[0]\n"
            " d=c.recv(99)\n c.sendall(d)\n c.close()\n"
        )
        text = base64.b64encode(code.encode()).decode()
        self.run(f'nohup python3 -c "$(echo {text} | base64 -d)" >/dev/null 2>&1 & sleep 0.5')

    def reaches(self, address, port=80):
        return self.says(
            f'python3 -c \'import socket; c=socket.create_connection(("{address}",{port}),3); c.sendall(b"x");'
            ' assert c.recv(9)==b"x"\''
        )
