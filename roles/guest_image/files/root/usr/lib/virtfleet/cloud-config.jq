# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# A cloud-config as a shell script: hostname, ssh_authorized_keys, password, ssh_pwauth, write_files, runcmd.
def identity($what; $value): "/usr/lib/virtfleet/set-identity \($what) \($value | tostring | @sh)";
def file:
  (if .encoding // "" | test("b64|base64") then "base64 -d" else "cat" end) as $decode
  | (.path | @sh) as $path
  | "mkdir -p \"$(dirname \($path))\"",
    "printf %s \(.content // "" | @sh) | \($decode) \(if .append then ">>" else ">" end)\($path)",
    (.permissions // empty | "chmod \(tostring | @sh) \($path)");
def command: if type == "array" then map(tostring | @sh) | join(" ") else tostring end;

(.fqdn // .hostname // empty | identity("hostname"; .)),
(.ssh_authorized_keys // [] | select(length > 0) | identity("keys"; join("\n"))),
(.password // empty | identity("password"; .)),
(if .ssh_pwauth == true then "mkdir -p /etc/dropbear; touch /etc/dropbear/allow-passwords; killall dropbear" else empty end),
(.write_files // [] | .[] | file),
(.runcmd // [] | .[] | command)
