# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nova's filters that follow scheduler hints."""

from __future__ import annotations

import ipaddress
import json
import operator
from collections.abc import Callable, Iterable
from typing import Any

from .arrays import np
from .attributes import attribute
from .names import refuse, refuse_unknown
from .policy import Policy
from .requests import Request
from .state import Rows, State
from .steps import Verdict

_COMPARE = {"=": operator.eq, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
_COMMANDS = (*_COMPARE, "in", "not", "or", "and")


def has_hint(name: str) -> Callable[[Policy, Request], bool]:
    """Return the question whether a request has this hint."""
    return lambda policy, request: bool(request.hints.get(name))


def different_host(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that has none of the instances of the hint."""
    hosts = _hosts_of(state, request.hints["different_host"])
    mask = np.ones(len(state.fleet.names), dtype=bool)
    mask[list(hosts)] = False
    return mask[rows], lambda row: ", ".join(hosts[row]), None


def same_host(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that has one of the instances of the hint."""
    hosts = _hosts_of(state, request.hints["same_host"])
    mask = np.zeros(len(state.fleet.names), dtype=bool)
    mask[list(hosts)] = True
    return mask[rows], ", ".join(_several(request.hints["same_host"])), None


def _hosts_of(state: State, uuids: Any) -> dict[int, list[str]]:
    """Return the rows of the hosts that have some of the instances, and which."""
    hosts: dict[int, list[str]] = {}
    for uuid in _several(uuids):
        row = state.host_of(uuid)
        if row is not None:
            hosts.setdefault(row, []).append(uuid)
    return hosts


def _several(uuids: Any) -> Iterable[str]:
    """Return one uuid or several as several."""
    return [uuids] if isinstance(uuids, str) else uuids


def cidr_affinity(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose address is in the network around the hinted one."""
    around = f"{request.hints['build_near_host_ip']}{request.hints.get('cidr') or '/24'}"
    try:
        network = ipaddress.ip_network(around, strict=False)
    except ValueError:
        refuse(f"request {request.name}: hints build_near_host_ip and cidr make {around}, which is no network")
    addresses = state.fleet.column("host_ip")
    mask = [_is_inside(addresses[row], network) for row in state.rows(rows)]
    return np.array(mask, dtype=bool), lambda row: addresses[row], str(network)


def _is_inside(address: str | None, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Return whether an address is in the network; a host without one, or with a name for one, is not."""
    try:
        return ipaddress.ip_address(address or "") in network
    except ValueError:
        return False


def json_query(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes for which the query, a nested list of operators, is true."""
    query = request.hints["query"]
    try:
        parsed = json.loads(query) if isinstance(query, str) else query
    except ValueError:
        refuse(f"request {request.name}: hint query is not JSON: {query}")
    mask = []
    for row in state.rows(rows):
        answer = _ask(state, request, row, parsed)
        mask.append(any(answer) if isinstance(answer, list) else bool(answer))
    return np.array(mask, dtype=bool), json.dumps(parsed), None


def _ask(state: State, request: Request, row: int, query: list[Any]) -> Any:
    """Return what a query says of a host; arguments that the host does not know are left out, as in Nova."""
    if not query:
        return True
    command, *arguments = query
    if command not in _COMMANDS:
        refuse_unknown(f"request {request.name}: query operator", command, _COMMANDS)
    values = [_argument(state, request, row, argument) for argument in arguments]
    known = [value for value in values if value is not None]
    if command == "not":
        return [not value for value in known]
    if command in ("or", "and"):
        return any(known) if command == "or" else all(known)
    if len(known) < 2:
        return False
    if command == "in":
        return known[0] in known[1:]
    try:
        return all(_COMPARE[command](known[0], other) for other in known[1:])
    except TypeError:
        refuse(f"request {request.name}: query compares {known[0]!r} {command} {known[1:]!r}, which are not alike")


def _argument(state: State, request: Request, row: int, argument: Any) -> Any:
    """Return an argument's value: that of a nested query, of a host attribute ($free_ram_mb), or itself."""
    if isinstance(argument, list):
        return _ask(state, request, row, argument)
    if isinstance(argument, str):
        return attribute(state, row, argument[1:].split(".")) if argument.startswith("$") else argument or None
    return argument
