# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is made of the schema: docs/schema.json, docs/variables.md and the argument specs of role request.

Run it with python docs/generate.py after a change of the schema.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MADE = "made by docs/generate.py from plugins/module_utils/_model/schema.py: change it there"


def load_schema():
    """Return the module with the schema; it needs nothing but the standard library."""
    sys.path.insert(0, str(ROOT / "plugins/module_utils"))
    try:
        return importlib.import_module("_model.schema")
    finally:
        sys.path.pop(0)


def kinds(one):
    """Return the type of a key, in a reader's words."""
    words = {"string": "text", "integer": "number", "boolean": "true/false", "array": "list", "object": "mapping"}
    types = one["type"] if isinstance(one["type"], list) else [one["type"]]
    text = " or ".join(words.get(kind, kind) for kind in types if kind != "null")
    if "array" in types and "type" in one.get("items", {}):
        text += f" of {kinds(one['items'])}"
    return text


def limits(one):
    """Return what a value must keep to."""
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])
    if "x-valid" in one:
        return one["x-valid"]
    low, high = one.get("minimum"), one.get("maximum")
    if low is not None:
        return f"{low} or more" if high == 2**31 - 1 else f"{low} to {high}"
    if "maxLength" in one:
        return f"{one.get('minLength', 0)} to {one['maxLength']} characters"
    most = one.get("maxItems") or one.get("maxProperties")
    return f"at most {most}" if most else ""


def told(value):
    """Return a value as YAML people write, short enough for a table."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def rows(entry, required=(), prefix=""):
    """Yield a table row for each key, with the keys below it after it."""
    for key, one in entry["properties"].items():
        default = "required" if key in required else told(one["default"]) if "default" in one else ""
        example = told(one["examples"][0]) if "examples" in one else ""
        cells = (f"`{prefix}{key}`", kinds(one), default, limits(one), one["description"], example)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        below = one.get("items", one)
        if below.get("properties"):
            yield from rows(below, below.get("required", ()), f"{prefix}{key}{'[]' if 'items' in one else ''}.")


def required_keys(entry):
    """Return the keys that must be there, those of an instance that is not absent with them."""
    return [*entry.get("required", []), *entry.get("else", {}).get("required", [])]


def variables_page(schema):
    """Return docs/variables.md."""
    lines = [f"<!-- {MADE} -->", "# Variables", ""]
    lines += [
        "What a user writes, in the inventory or in `group_vars`. Names are those of Nova's API. Editors that know",
        "JSON Schema complete and check these files with [schema.json](schema.json); or take it from this line:",
        "`# yaml-language-server: $schema=<path to>/docs/schema.json`",
        "",
    ]
    for variable, one in schema.VARIABLES.items():
        entry = one.get("items") or one.get("additionalProperties")
        lines += [f"## {variable}", "", one["description"], ""]
        if not entry:
            lines += [f"A {kinds(one)}, {limits(one)}; {told(one['default'])} unless given.", ""]
            continue
        lines += ["```yaml", f"{variable}:"]
        lines += [f"  {line}" for line in as_yaml(one["examples"][0])] + ["```", ""]
        if "properties" in entry:
            lines += ["| key | type | default | limits | what it is | example |", "|---" * 6 + "|"]
            lines += [*rows(entry, required_keys(entry)), ""]
        else:
            lines += [f"Each entry is a {kinds(entry)}: {entry['x-valid']}.", ""]
    return "\n".join(lines)


def as_yaml(value):
    """Return the lines of a value: block style for the first level, flow style below."""
    if isinstance(value, list):
        return [f"- {flow(one)}" for one in value]
    return [f"{key}: {flow(one)}" for key, one in value.items()]


def flow(value):
    """Return a value in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(one) for one in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def argument_specs(schema):
    """Return meta/argument_specs.yml; types are raw because stage request tells more about a wrong one."""
    lines = ["---", f"# {MADE}", "argument_specs:", "  main:"]
    lines += ["    short_description: Checks what should run and turns it into instance records"]
    lines += [
        "    description: Refuses what cannot be before any host is touched and names all of it at once.",
        "    options:",
    ]
    for variable, one in schema.VARIABLES.items():
        lines += [f"      {variable}:", "        type: raw", f"        description: {json.dumps(one['description'])}"]
    lines += ["      request_existing:", "        type: list", "        elements: dict", "        default: []"]
    lines += ["        description: Records of instances that hosts have told about already."]
    lines += ["      request_run_id:", "        type: str"]
    lines += ["        description: What this run is called in the registry."]
    lines += ["      request_entries:", "        type: raw"]
    lines += ["        description: What should run, in the place of virtfleet_instances."]
    return "\n".join(lines) + "\n"


def files():
    """Return the text of every generated file, by path."""
    schema = load_schema()
    return {
        ROOT / "docs/schema.json": json.dumps(schema.SCHEMA, indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs/variables.md": variables_page(schema),
        ROOT / "roles/request/meta/argument_specs.yml": argument_specs(schema),
    }


if __name__ == "__main__":
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        path.write_text(files()[path])
        print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
