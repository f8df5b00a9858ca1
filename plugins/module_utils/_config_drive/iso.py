# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ISO 9660 image with the real names of its files (Rock Ridge and Joliet), made in memory."""

from __future__ import annotations

import io
import posixpath

from .._model.errors import ItemError

try:
    import pycdlib
except ImportError:  # told when it is needed
    pycdlib = None


def build(label: str, files: dict[str, bytes]) -> bytes:
    """Return the bytes of an ISO with the label and the files (path without leading slash -> content)."""
    if pycdlib is None:
        raise ItemError("python3-pycdlib is not installed on this host: role compute_host installs what is needed")
    iso = pycdlib.PyCdlib()
    iso.new(vol_ident=label, joliet=3, rock_ridge="1.09")
    plain: dict[str, str] = {"": ""}  # path -> the name of eight letters that the plain standard wants
    for path in sorted(files):
        for directory in _parents(path):
            if directory not in plain:
                plain[directory] = f"{plain[posixpath.dirname(directory)]}/D{len(plain):05}"
                iso.add_directory(plain[directory], rr_name=posixpath.basename(directory), joliet_path=f"/{directory}")
        plain[path] = f"{plain[posixpath.dirname(path)]}/F{len(plain):05}.;1"
        content = files[path]
        iso.add_fp(
            io.BytesIO(content), len(content), plain[path], rr_name=posixpath.basename(path), joliet_path=f"/{path}"
        )
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()


def _parents(path: str) -> list[str]:
    """Return the directories above the path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
