# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small words for building and reading XML with lxml, the only way this collection makes XML. Private to it."""

from __future__ import annotations

from typing import Any

from .._model.errors import ItemError

try:
    from lxml import etree
except ImportError:  # said in one sentence by `need_lxml`, so that the modules can at least be imported
    etree = None

OURS = "urn:virtfleet:1"  # the namespace of our element in a domain's metadata
# What libvirt hands out is not ours: no entities, no network, however it was defined.
PARSER = {"resolve_entities": False, "no_network": True, "remove_comments": True}


def need_lxml() -> None:
    """Raise ItemError when the host lacks lxml."""
    if etree is None:
        raise ItemError("python3-lxml is missing on this host: install the package (role compute_host does)")


def add(parent: Any, tag: str, text: str | int | None = None, **attributes: Any) -> Any:
    """Add a child with the attributes that are not None ("type_" is written "type") and return it."""
    child = etree.SubElement(parent, tag)
    try:
        for key, value in attributes.items():
            if value is not None:
                child.set(key.rstrip("_"), str(value))
        if text is not None:
            child.text = str(text)
    except ValueError:
        told = ascii(text if text is not None else attributes)
        raise ItemError(f"<{local(tag)}> cannot hold {told}: remove the control characters", fault="request")
    return child


def local(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]


def parse(text: str) -> Any:
    """Return the root element of a document that libvirt gave us."""
    need_lxml()
    return etree.fromstring(text, etree.XMLParser(**PARSER))


def serialize(root: Any) -> str:
    """Return the document as indented text."""
    etree.indent(root)
    return etree.tostring(root, encoding="unicode") + "\n"
