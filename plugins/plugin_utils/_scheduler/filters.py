# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nova's filters that look at one host by itself, and the list of all filters by their Nova names."""

from __future__ import annotations

from . import filters_aggregate as aggregate
from . import filters_hints as hints
from . import groups, nplus1, numa, pci
from .arrays import np
from .attributes import attribute, is_attribute
from .names import check_names
from .operators import matches, version_matches
from .policy import Policy
from .requests import Request
from .state import Rows, State
from .steps import Filter, Verdict

_DEFAULT_SUPPORT = [[arch, kind, "hvm"] for arch in ("x86_64", "i686") for kind in ("kvm", "qemu")]


def all_hosts(state: State, request: Request, rows: Rows) -> Verdict:
    """Every host passes."""
    return np.ones(len(state.fleet.names), dtype=bool)[rows], None, None


def compute(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that is enabled and up."""
    mask = (state.fleet.flags("enabled") & state.fleet.flags("up"))[rows]
    return mask, state.fleet.trouble, None


def compute_capabilities(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose attributes match every `capabilities:` extra spec, and every plain one that it has."""
    specs = dict(request.extra_specs)
    bits = specs.pop("hw:maxphysaddr_bits", None)
    if bits:
        specs["capabilities:cpu_info:maxphysaddr:bits"] = f">= {bits}"
    wanted = []
    for key, value in specs.items():
        scope, _colon, rest = key.partition(":")
        if (rest and scope == "capabilities") or (not rest and ":" not in key):
            wanted.append(((rest or key).split(":"), value, not rest))

    def misses(row: int) -> str | None:
        for path, value, plain in wanted:
            if plain and not is_attribute(state, row, path[0]):
                continue
            have = attribute(state, row, path)
            if have is None or not matches(str(have), value):
                return f"{':'.join(path)} is {have}, not {value}"
        return None

    mask = np.array([misses(row) is None for row in state.rows(rows)], dtype=bool)
    return mask, misses, None


def image_properties(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that runs guests of the image's architecture, hypervisor type and mode, in a version it accepts."""
    image = request.image_properties
    architecture = image.get("hw_architecture") or state.policy.image_properties_default_architecture
    wanted = [one for one in (architecture, image.get("img_hv_type"), image.get("hw_vm_mode")) if one]
    predicate, bits = image.get("img_hv_requested_version"), image.get("hw_maxphysaddr_bits")
    supported = state.fleet.column("supported_instances")
    versions = state.fleet.columns["hypervisor_version"]

    def misses(row: int) -> str | None:
        triples = _DEFAULT_SUPPORT if supported[row] is None else supported[row]
        if not any(set(wanted) <= set(triple) for triple in triples):
            return f"runs no guests of {' '.join(wanted)}"
        if predicate and versions[row] and not version_matches(int(versions[row]), str(predicate)):
            return f"has version {int(versions[row])}, the image wants {predicate}"
        have = attribute(state, row, ["cpu_info", "maxphysaddr", "bits"]) if bits else None
        return f"has {have} physical address bits, the image wants {bits}" if have and have < int(bits) else None

    if not wanted:
        return all_hosts(state, request, rows)
    return np.array([misses(row) is None for row in state.rows(rows)], dtype=bool), misses, None


def num_instances(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that has fewer instances than the policy allows."""
    limit = state.policy.max_instances_per_host
    return state.num_instances[rows] < limit, state.num_instances[rows], limit


def io_ops(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that does less heavy disk work at once than the policy allows."""
    limit = state.policy.max_io_ops_per_host
    return state.num_io_ops[rows] < limit, state.num_io_ops[rows], limit


def isolated_hosts(state: State, request: Request, rows: Rows) -> Verdict:
    """Isolated images go to isolated hosts only; with the restriction, isolated hosts take nothing else."""
    policy = state.policy
    isolated = np.array([name in policy.isolated_hosts for name in state.fleet.names], dtype=bool)[rows]
    image = bool(policy.isolated_images) and request.image_id in policy.isolated_images
    says = "is not isolated, the image is" if image else "takes only isolated images"
    if policy.restrict_isolated_hosts_to_isolated_images:
        return isolated == image, says, None
    return isolated | (not image), says, None


def metrics(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that reports every metric of the policy's weight_setting."""
    wanted = set(state.policy.weight_setting)
    reported = state.fleet.column("metrics")
    mask = np.array([wanted <= set(reported[row] or ()) for row in state.rows(rows)], dtype=bool)
    return mask, lambda row: ", ".join(sorted(wanted - set(reported[row] or ()))), None


def numa_topology(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose NUMA cells hold the guest's cells, with the CPUs, pages and devices that it asks for."""
    needs_threads = request.guest.cpu_policy == "dedicated" and request.guest.thread_policy == "require"

    def misses(row: int) -> str | None:
        cells = state.host_cells(row)
        if not cells:
            return "tells no NUMA topology"
        if needs_threads and not numa.has_threads(cells):
            return "has no CPU threads, the guest requires them"
        fits = state.numa_fit(row, request) is not None
        return None if fits else f"cannot hold the guest's {len(request.guest.cells)} NUMA cells"

    return np.array([misses(row) is None for row in state.rows(rows)], dtype=bool), misses, None


def pci_passthrough(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes whose PCI pools hold the devices that the request asks for."""
    mask = [pci.take_devices(state.pci_pools(row), request.devices) is not None for row in state.rows(rows)]
    wanted = ", ".join(f"{device.count} {device.alias}" for device in request.devices)
    return np.array(mask, dtype=bool), wanted, lambda row: sum(pool["count"] for pool in state.pci_pools(row))


def bridges(state: State, request: Request, rows: Rows) -> Verdict:
    """A host passes that has the bridges of the networks, for packets as large as theirs; one that tells none may."""
    extra = state.fleet.column("extra")

    def misses(row: int) -> str | None:
        have = (extra[row] or {}).get("bridges")
        for one in request.bridges if have is not None else ():
            if one.name not in have:
                return f"has no bridge {one.name}, which network '{one.network}' is on"
            if one.mtu > have[one.name]:
                return f"has bridge {one.name} with mtu {have[one.name]}, network '{one.network}' wants {one.mtu}"
        return None

    return np.array([misses(row) is None for row in state.rows(rows)], dtype=bool), misses, None


FILTERS = (
    Filter("AllHostsFilter", all_hosts, ""),
    Filter("ComputeFilter", compute, "is {value}"),
    Filter(
        "ComputeCapabilitiesFilter", compute_capabilities, "{value}", applies=lambda _policy, r: bool(r.extra_specs)
    ),
    Filter("ImagePropertiesFilter", image_properties, "{value}"),
    Filter(
        "ServerGroupAntiAffinityFilter",
        groups.anti_affinity,
        "{value}",
        "row",
        groups.has_policy("anti-affinity"),
    ),
    Filter(
        "ServerGroupAffinityFilter",
        groups.affinity,
        "the group runs on {limit}",
        "fleet",
        groups.has_policy("affinity"),
    ),
    Filter("DifferentHostFilter", hints.different_host, "has {value}", applies=hints.has_hint("different_host")),
    Filter("SameHostFilter", hints.same_host, "has none of {value}", applies=hints.has_hint("same_host")),
    Filter(
        "SimpleCIDRAffinityFilter",
        hints.cidr_affinity,
        "has address {value}, outside {limit}",
        applies=hints.has_hint("build_near_host_ip"),
    ),
    Filter(
        "AggregateInstanceExtraSpecsFilter",
        aggregate.extra_specs,
        "its aggregates lack {value}",
        applies=lambda policy, request: bool(request.extra_specs),
    ),
    Filter("AggregateImagePropertiesIsolation", aggregate.image_isolation, "its aggregates want {value}"),
    Filter(
        "AggregateMultiTenancyIsolation", aggregate.multi_tenancy, "its aggregates are for {limit}, not for {value}"
    ),
    Filter("AggregateTypeAffinityFilter", aggregate.type_affinity, "its aggregates are for {limit}, not for {value}"),
    Filter("NumInstancesFilter", num_instances, "has {value} instances, the limit is {limit}", "row"),
    Filter(
        "AggregateNumInstancesFilter", aggregate.num_instances, "has {value} instances, the limit is {limit}", "row"
    ),
    Filter("IoOpsFilter", io_ops, "does {value} disk operations, the limit is {limit}", "row"),
    Filter("AggregateIoOpsFilter", aggregate.io_ops, "does {value} disk operations, the limit is {limit}", "row"),
    Filter("IsolatedHostsFilter", isolated_hosts, "{value}"),
    Filter("JsonFilter", hints.json_query, "the query {value} is false", "row", hints.has_hint("query")),
    Filter("MetricsFilter", metrics, "does not report {value}"),
    Filter("NUMATopologyFilter", numa_topology, "{value}", "row", lambda policy, request: request.guest is not None),
    Filter(
        "PciPassthroughFilter",
        pci_passthrough,
        "needs {value}, has {limit} devices free",
        "row",
        lambda policy, request: bool(request.devices),
    ),
    Filter("BridgeFilter", bridges, "{value}", applies=lambda policy, request: bool(request.bridges)),
    Filter(
        "SpreadFilter",
        groups.hard_spread,
        "{value}",
        "fleet",
        lambda policy, request: bool(request.spread and request.spread.hard),
    ),
    Filter("NPlusOneFilter", nplus1.survives, "{value}", "fleet"),
)
BY_NAME = {one.name: one for one in FILTERS}


def chosen_filters(policy: Policy, own: dict[str, Filter]) -> list[Filter]:
    """Return the filters of a policy in its order, then the user's own that it does not name, then ours."""
    known = {**BY_NAME, **own}
    check_names("filter", policy.filters, known)
    names = list(dict.fromkeys([*policy.filters, *sorted(own), "BridgeFilter", "SpreadFilter"]))
    if policy.n_plus_one and "NPlusOneFilter" not in names:
        names.append("NPlusOneFilter")
    return [known[name] for name in names]
