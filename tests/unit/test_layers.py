# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import what: the table of docs/architecture.md, section "Layers", as a test."""

from __future__ import annotations

import ast
import pathlib
import sys

import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
FOREIGN = {
    "ansible",
    "libvirt",
    "lxml",
    "sqlalchemy",
    "numpy",
    "netaddr",
    "jsonschema",
    "jinja2",
    "yaml",
    "pycdlib",
    "oslo_utils",
}
# Folder below plugins/ -> the packages outside the standard library and the sibling layers that it may import.
ALLOWED = {
    "module_utils/_model": set(),
    "module_utils/_xml": {"lxml", "_model"},
    "module_utils/_hypervisor": {"libvirt", "_model", "_xml"},
    "module_utils/_registry": {"sqlalchemy", "_model"},
    "module_utils/_images": {"_model", "oslo_utils"},
    "module_utils/_volumes": {"_model"},
    "module_utils/_config_drive": {"_model", "pycdlib"},
    "module_utils/_network": {"_model"},
    "module_utils/_ovn": {"_model"},
    "module_utils/_backups": {"_model", "_hypervisor", "_volumes"},
    "module_utils/_guest": {"_model"},
    "module_utils/_host": {"_model"},
    "plugin_utils/_scheduler": {"numpy", "netaddr", "jinja2", "_model"},
    "plugin_utils/_request": {"jsonschema", "netaddr", "yaml", "_model"},
}
# What the answer of these layers must not depend on.
NO_CLOCK = {"plugin_utils/_scheduler": {"time", "datetime", "random", "secrets", "uuid", "socket", "subprocess", "os"}}
LAYERS = {folder.rsplit("/", 1)[1] for folder in ALLOWED}


def layer_files():
    """Yield (layer, file) for every file of every layer."""
    for layer in ALLOWED:
        for file in sorted((PLUGINS / layer).rglob("*.py")):
            yield pytest.param(layer, file, id=str(file.relative_to(PLUGINS)))


def imported(file):
    """Return the names of the outside packages and the sibling layers that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            found.update(LAYERS.intersection(parts) if node.level else [parts[0]])
            if node.level and not node.module:
                found.update(LAYERS.intersection(alias.name for alias in node.names))
    return found - set(sys.stdlib_module_names) | found & set().union(*NO_CLOCK.values())


@pytest.mark.parametrize("layer,file", layer_files())
def test_layer_imports_only_what_it_may(layer, file):
    own = layer.rsplit("/", 1)[1]
    names = imported(file)
    forbidden = names - ALLOWED[layer] - {own} - set(sys.stdlib_module_names)
    forbidden |= names & NO_CLOCK.get(layer, set())
    assert not forbidden, f"{file.name} in {layer} must not import {sorted(forbidden)}"


@pytest.mark.parametrize("file", sorted((PLUGINS / "modules").glob("*.py")), ids=lambda file: file.name)
def test_modules_know_neither_libvirt_nor_sql(file):
    assert not imported(file) & {"libvirt", "sqlalchemy", "lxml"}


def test_the_table_names_every_private_folder():
    folders = {
        str(folder.relative_to(PLUGINS))
        for parent in ("module_utils", "plugin_utils")
        for folder in (PLUGINS / parent).glob("_*/")
        if folder.is_dir() and any(folder.glob("*.py"))
    }
    assert folders <= set(ALLOWED)
