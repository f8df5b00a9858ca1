# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the databases of Open vSwitch and OVN over their UNIX sockets (RFC 7047). Private to this collection.

One request is one transaction. It needs no library on the host, and a transaction of a thousand ports is one line.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from ._model.errors import ItemError

Operation = dict[str, Any]

# The database of the Open vSwitch of a host.
SWITCH = "/run/openvswitch/db.sock"


def transact(path: str, database: str, operations: list[Operation], timeout: float = 30.0) -> list[dict[str, Any]]:
    """Return the results of the operations, done all or none."""
    request = {"method": "transact", "params": [database, *operations], "id": 1}
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(timeout)
            server.connect(path)
            server.sendall(json.dumps(request).encode())
            answer = _answer(server)
    except OSError as error:
        raise ItemError(f"cannot talk to {path}: {error.strerror or error}: does its service run?")
    results = answer.get("result") or []
    wrong = [one for one in results if one and one.get("error")]
    if answer.get("error") or wrong:
        told = wrong[0] if wrong else {"error": answer["error"]}
        raise ItemError(f"{database} refused a change: {told['error']} {told.get('details', '')}".strip())
    return results


def _answer(server: socket.socket) -> dict[str, Any]:
    """Return the answer to our request; the server may ask in between whether we still live."""
    decoder, text = json.JSONDecoder(), ""
    while True:
        more = server.recv(1 << 20)
        if not more:
            raise OSError("the connection was closed")
        text += more.decode()
        while text:
            try:
                message, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:].lstrip()
            if message.get("method") == "echo":
                reply = {"id": message["id"], "result": message["params"], "error": None}
                server.sendall(json.dumps(reply).encode())
            elif message.get("id") == 1:
                return message


def interfaces(path: str = SWITCH) -> dict[str, dict[str, Any]]:
    """Return the interfaces of the Open vSwitch of this host by name, each with `ids`, `ofport` and `error`."""
    asked = [select("Interface", ("_uuid", "name", "external_ids", "ofport", "error"))]
    rows = [{key: decoded(one) for key, one in row.items()} for row in transact(path, "Open_vSwitch", asked)[0]["rows"]]
    return {row["name"]: {"ids": row["external_ids"], "ofport": row["ofport"], "error": row["error"]} for row in rows}


def installed(name: str, path: str = SWITCH) -> bool:
    """Say whether OVN has put the flows of an interface into the switch of this host."""
    try:
        return interfaces(path).get(name, {}).get("ids", {}).get("ovn-installed") == "true"
    except ItemError:
        return False


def select(table: str, columns: Iterable[str], where: Iterable[Any] = ()) -> Operation:
    """Return the operation that reads rows."""
    return {"op": "select", "table": table, "where": list(where), "columns": list(columns)}


def encoded(value: Any) -> Any:
    """Return a value as the protocol has it: sets and mappings are marked."""
    if isinstance(value, Mapping):
        return ["map", [[key, each] for key, each in sorted(value.items())]]
    if isinstance(value, (list, tuple, set, frozenset)):
        return ["set", [encoded(one) for one in value]]
    return value


def decoded(value: Any) -> Any:
    """Return a value of the protocol: mappings as dict, sets as sorted list, a uuid as text."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        kind, content = value
        if kind == "map":
            return {key: decoded(one) for key, one in content}
        if kind == "set":
            return sorted(map(decoded, content), key=str)
        if kind in ("uuid", "named-uuid"):
            return content
    return value
