# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stages on the controller hand to each other: the variable `virtfleet_run`, registered by each. Private.

It is a mapping of `instances`, the records of the whole run, and of what else later stages need: `run_id`; `ovn`,
whether a network is of that type; `leaving`, the uuids of what is to be deleted; `decision`, the scheduler's record;
`members`, what hosts are to be told of security groups; `lease_due`, when claims are to be renewed; `unsettled`,
whether stage settle has something to do. It is read as it is: to template a hundred records costs half a second each
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Record = dict[str, Any]

RUN = "virtfleet_run"
KEPT = ("run_id", "ovn", "leaving", "decision", "members", "lease_due", "unsettled")


def run_of(variables: Mapping[str, Any]) -> Record:
    """Return what the stage before left."""
    return dict(variables.get(RUN) or {})


def handed_on(run: Mapping[str, Any], instances: Iterable[Record], **more: Any) -> Record:
    """Return what the next stage finds."""
    return {**{key: run[key] for key in KEPT if key in run}, "instances": list(instances), **more}


def fleet(variables: Mapping[str, Any]) -> list[Record]:
    """Return the records of the hosts of group compute that stage host_info left, in the order of the group."""
    known = (record_of(variables, host) for host in (variables["groups"].get("compute") or ()))
    return [one for one in known if one]


def record_of(variables: Mapping[str, Any], host: str) -> Record:
    """Return the record of a host that stage host_info left, empty if there is none."""
    return (variables["hostvars"].raw_get(host).get("virtfleet_host_info") or {}).get("host") or {}


def what_hosts_did(variables: Mapping[str, Any], hosts: Iterable[str]) -> tuple[list[Record], list[str]]:
    """Return what the stages left on these hosts, and which of the hosts did not come to the end."""
    known = {host: variables["hostvars"].raw_get(host) for host in hosts}
    return (
        [one["virtfleet_here"] for one in known.values() if "virtfleet_here" in one],
        [host for host, one in known.items() if not (one.get("virtfleet_here") or {}).get("ended")],
    )
