# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt hook that makes saved ports stand again before a guest starts. Private.

After a reboot there are no taps, and libvirt starts no guest without them. libvirt calls the hook five times in the
life of a guest, so it is a shell script that does nothing but look (about 5 ms); only if something is missing it
starts Python with a copy of this package, which does what the module `ports` does. It never calls libvirt, which
waits for it.
"""

from __future__ import annotations

import contextlib
import io
import os
import pkgutil
import zipfile

from .._model.errors import ItemError
from . import plug
from .ruleset import GUARD
from .saved import replace

SCRIPT = """\
#!/bin/sh
# Written by virtfleet.compute. libvirt calls it with <domain> <operation> and the domain's XML on standard input.
# It lets a guest start only when its taps are plugged and its rules are loaded, and makes them so after a reboot.
[ "$2" = prepare ] || exit 0
PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd "{state_dir}/ports" 2>/dev/null || exit 0
taps='' quoted='' missing='' filtered=''
for tap in $(sed -n "s/.*<target dev=['\\"]\\(tap[0-9a-f]\\{{11\\}}\\)['\\"].*/\\1/p"); do
    id=${{tap#tap}} # the first 11 characters of the port id, without its dash after the eighth
    set -- "${{id%???}}-${{id#????????}}"*.json
    [ -e "$1" ] || continue
    [ -e "/sys/class/net/$tap/brport" ] || missing=yes
    taps="$taps $tap" quoted="$quoted${{quoted:+, }}\\"$tap\\""
    grep -q '"filtered": true' "$1" && filtered="$filtered${{filtered:+, }}\\"$tap\\""
done
[ -n "$taps" ] || exit 0
loaded() {{ # whether the chain looks into the map, and the map has all these taps
    case $(nft "list chain bridge {guard} $1; get element bridge {guard} $2 {{ $3 }}" 2>/dev/null) in
        *"vmap @$2"*'elements ='*) return 0 ;;
    esac
    return 1
}}
if [ -z "$missing" ] && loaded from_guest guests "$quoted"; then
    [ -z "$filtered" ] && exit 0
    loaded to_guest inward "$filtered" && loaded leave_guest outward "$filtered" && exit 0
fi
exec {python} -I -S "{archive}" "{state_dir}" "{run_dir}" $taps
"""

MAIN = """\
import sys
from virtfleet._model.errors import ItemError
from virtfleet._network.host import Host
from virtfleet._network.plug import replay

try:
    replay(Host(sys.argv[1], sys.argv[2], 10.0), sys.argv[3:])  # libvirt waits meanwhile
except ItemError as error:
    sys.exit("virtfleet: " + str(error))
"""


# What a replay imports, in a package of its own; a test runs it alone.
SOURCES = (
    "_bulk",
    "_model.errors",
    "_model.host",
    "_model.membership",
    "_model.qos",
    "_network.addresses4",
    "_network.backends",
    "_network.bridge",
    "_network.ctmark",
    "_network.cuts",
    "_network.delta",
    "_network.dhcp",
    "_network.dnsmasq",
    "_network.floating",
    "_network.flows",
    "_network.groups",
    "_network.host",
    "_network.integration",
    "_network.links",
    "_network.load",
    "_network.members",
    "_network.nat",
    "_network.nft",
    "_network.nftext",
    "_network.ovn",
    "_network.ovs",
    "_network.plug",
    "_network.port",
    "_network.qos",
    "_network.ranges",
    "_network.rules",
    "_network.ruleset",
    "_network.saved",
    "_network.settings",
    "_network.standing",
    "_network.tunnels",
    "_network.unplug",
    "_network.vxlan",
    "_ovsdb",
)


def sources() -> dict[str, bytes]:
    """Return the files of a replay by their path; the module that calls this may run from a zip itself."""
    root = plug.__name__.rsplit(".", 2)[0]
    found = {f"{folder}__init__.py": b"" for folder in ("", "_model/", "_network/")}
    for name in SOURCES:
        package, leaf = f"{root}.{name}".rsplit(".", 1)
        content = pkgutil.get_data(package, f"{leaf}.py")
        if not content:
            raise ItemError(f"the collection has no {name}: install it again")
        found[name.replace(".", "/") + ".py"] = content
    return found


def archive() -> bytes:
    """Return the code of a replay as one file that Python can run; the same sources give the same bytes."""
    files = {f"virtfleet/{path}": content for path, content in sources().items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path, content in sorted({**files, "__main__.py": MAIN.encode()}.items()):
            bundle.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def script_path(hooks_dir: str) -> str:
    """Return the file that libvirt calls (libvirt 6.5 and later look into qemu.d)."""
    return os.path.join(hooks_dir, "qemu.d", "virtfleet")


def archive_path(state_dir: str) -> str:
    """Return the file of the replay's code."""
    return os.path.join(state_dir, "port_hook.pyz")


def wanted(hooks_dir: str, state_dir: str, run_dir: str, python: str) -> dict[str, bytes]:
    """Return the files of the hook and their content."""
    code = archive_path(state_dir)
    script = SCRIPT.format(state_dir=state_dir, run_dir=run_dir, archive=code, python=python, guard=GUARD)
    return {code: archive(), script_path(hooks_dir): script.encode()}


def differing(files: dict[str, bytes]) -> list[str]:
    """Return the files that are missing or have another content."""
    different = []
    for path, content in files.items():
        try:
            with open(path, "rb") as file:
                if file.read() != content:
                    different.append(path)
        except OSError:
            different.append(path)
    return different


def existing(files: dict[str, bytes]) -> list[str]:
    """Return the files that are there."""
    return [path for path in files if os.path.exists(path)]


def install(files: dict[str, bytes]) -> None:
    """Write the files, the script last: it must not run without its code."""
    for path in differing(files):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            raise ItemError(f"cannot create {os.path.dirname(path)}: {error.strerror}")
        replace(path, files[path], 0o644 if path.endswith(".pyz") else 0o755)


def remove(files: dict[str, bytes]) -> None:
    """Remove the files, the script first."""
    for path in reversed(list(files)):
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            raise ItemError(f"cannot remove {path}: {error.strerror}")


def known_to_libvirt(hooks_dir: str) -> bool:
    """Say whether a QEMU hook was there already: libvirtd looks for hooks only when it starts."""
    folder = os.path.join(hooks_dir, "qemu.d")
    return os.path.exists(os.path.join(hooks_dir, "qemu")) or (os.path.isdir(folder) and bool(os.listdir(folder)))
