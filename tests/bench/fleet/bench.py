# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time the playbooks over a lab of many real libvirt hosts, beside Ansible's own ping of them in the same run.

Guests halt in their boot sector, so that hundreds fit. Needs root; makes a lab of its own and removes it.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import statistics
import tempfile

os.environ.setdefault("LAB_NAME", "vflbench")
os.environ.setdefault("LAB_NET", "10.74.0.0/16")

from lab import HERE, HOST_INFO, PING, ROOT, SIZES, Timed, inventory, lab, play

GUESTS_APART = ("domain", "ready")  # the stages in which guests start
# Nothing of the machine is to be full: what is measured is the way, not the room.
ROOM = {
    "host_info_cpu_allocation_ratio": 64,
    "host_info_ram_allocation_ratio": 8,
    "domain_stop_timeout": 1,
    "virtfleet_projects": {"default": {"quota": {"instances": -1, "cores": -1, "memory_mb": -1}}},
}
# Copies of a domain of ours, each with ids, MACs and digests of its own, as those of real instances are.
DEFINE = """
import libvirt, re, secrets, sys, uuid
connection = libvirt.open("qemu:///system")
like = connection.lookupByName(sys.argv[1])
text = like.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
there = {domain.name() for domain in connection.listAllDomains()}
for number in range(int(sys.argv[2])):
    name, new = f"mass-{number}", text
    if name in there:
        continue
    for one in set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)):
        other = str(uuid.uuid4())
        new = new.replace(one, other).replace("tap" + one.replace("-", "")[:11], "tap" + other.replace("-", "")[:11])
    for one in set(re.findall(r"52:54:00(?::[0-9a-f]{2}){3}", text)):
        new = new.replace(one, "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3)))
    for one in set(re.findall(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", text)):
        new = new.replace(one, secrets.token_hex(32))
    for before, behind in ((">", "<"), ('"', '"'), ("&quot;", "&quot;")):
        new = new.replace(f"{before}{like.name()}{behind}", f"{before}{name}{behind}")
    connection.defineXML(new)
"""
UNDEFINE = """
import libvirt
for domain in libvirt.open("qemu:///system").listAllDomains():
    if domain.name().startswith("mass-"):
        domain.undefine()
"""


def guests(count: int) -> dict:
    """Return the variables for so many guests that halt."""
    entry = {"name": "fleet", "count": count, "flavor": "still", "image": "halt", "networks": [{"network": "lan"}]}
    return {**ROOM, "virtfleet_instances": [entry]}


def against_ping(path: pathlib.Path, rounds: int) -> list[dict]:
    """Return rows of ping and host_info of the same hosts, in turn.

    One round before them opens the connections and lets each libvirtd learn what its QEMU can, as it does once.
    """
    for plays in (PING, HOST_INFO):
        play(path, plays, **ROOM)
    rows = []
    for number in range(rounds):
        for verb, plays in (("ping", PING), ("host_info", HOST_INFO)):
            rows.append(play(path, plays, **ROOM).as_row(verb=verb, round=number))
            print("{verb:12} {seconds:8.2f} s {controller_cpu:8.2f} s of the controller".format(**rows[-1]), flush=True)
    return rows


def story(path: pathlib.Path, hosts: int, count: int) -> list[dict]:
    """Return rows of plan, first boot, second run, audit and delete of so many guests."""
    names = {"names": "all"}
    verbs = (
        ("plan", "boot.yml", ("--check",), {}),
        ("boot", "boot.yml", (), {}),
        ("again", "boot.yml", (), {}),
        ("recent", "boot.yml", (), {"host_info_max_age": 600}),
        ("audit", "audit.yml", (), {}),
        ("sizes", SIZES, (), {}),
        ("delete", "delete.yml", (), names),
    )
    rows = []
    for verb, playbook, arguments, more in verbs:
        done: Timed = play(path, playbook, *arguments, **guests(count), **more)
        row = done.as_row(verb=verb, hosts=hosts, guests=count)
        row["apart"] = round(done.without(*GUESTS_APART), 2)
        if verb == "sizes":
            row["bytes"] = max(map(int, re.findall(r"size (\d+)", done.output)))
        rows.append(row)
        print("{verb:8} {guests:4} guests {hosts:3} hosts {seconds:8.2f} s {controller_cpu:8.2f} s CPU".format(**row))
    return rows


def many_domains(path: pathlib.Path, host: str, counts: list[int]) -> list[dict]:
    """Return rows of what host_info of one host with so many defined domains takes and tells, beside its ping."""
    play(path, "boot.yml", **guests(1))
    like = lab("exec", host, "virsh", "-q", "list", "--name").split()[0]
    limit, rows = ("--limit", host), []
    try:
        for count in counts:
            lab("exec", host, "python3", "-c", DEFINE, like, str(count - 1))
            size = int(re.findall(r"size (\d+)", play(path, SIZES, *limit, **ROOM).output)[0])
            ping = statistics.median(play(path, PING, *limit).seconds for _round in range(3))
            told = [play(path, HOST_INFO, *limit, **ROOM) for _round in range(3)]
            seconds = statistics.median(one.seconds for one in told)
            stage = statistics.median(one.stages["host_info"]["seconds"] for one in told)
            row = {"domains": count, "seconds": seconds, "stage": stage, "ping": ping, "above_ping": seconds - ping}
            rows.append({key: round(value, 2) for key, value in {**row, "bytes": size}.items()})
            print(
                "{domains:4} domains {bytes:7} bytes {stage:6.2f} s, all {seconds:6.2f} s".format(**rows[-1]),
                flush=True,
            )
    finally:
        lab("exec", host, "python3", "-c", UNDEFINE)
        play(path, "delete.yml", **guests(1), names="all")
    return rows


def goals(report: dict) -> dict[str, dict]:
    """Return what the project asks for beside what was measured."""
    found: dict[str, dict] = {}

    def goal(name: str, measured: float, limit: float) -> None:
        found[name] = {"measured": round(measured, 2), "limit": limit, "met": measured <= limit}

    def median(verb: str, key: str) -> float:
        return statistics.median(row[key] for row in report["ping"] if row["verb"] == verb)

    if report.get("ping"):
        goal("host_info / ping, wall", median("host_info", "seconds") / median("ping", "seconds"), 1.3)
        cpu = median("host_info", "controller_cpu") / median("ping", "controller_cpu")
        goal("host_info / ping, CPU of the controller", cpu, 1.3)
    for row in report.get("story", ()):
        if row["verb"] == "sizes" and "bytes" in row:
            goal(f"KB of a host's record with {row['guests'] // row['hosts']} guests", row["bytes"] / 1000, 20)
    for row in report.get("many", ()):
        if row["domains"] == 500:
            goal("seconds of stage host_info on a host with 500 domains", row["stage"], 2)
        elif row["domains"] <= 100:
            goal(f"KB of a host's record with {row['domains']} guests", row["bytes"] / 1000, 20)
    spread = {row["guests"]: row for row in report.get("spread", ()) if row["verb"] == "boot"}
    if {10, 100} <= set(spread):
        goal("100 guests / 10 guests over 10 hosts, their start apart", spread[100]["apart"] / spread[10]["apart"], 1.5)
        cpu = spread[100]["controller_cpu"] / spread[10]["controller_cpu"]
        goal("the same, CPU of the controller", cpu, 1.5)
    return found


def plot(report: dict, path: pathlib.Path) -> None:
    """Draw what each stage takes for 10 and 100 guests, and each playbook over all hosts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5))
    rows = [row for row in report.get("spread", ()) if row["verb"] == "boot"]
    for place, row in enumerate(rows):
        where = [number + place * 0.25 for number in range(len(row["stages"]))]
        left.bar(where, [one["seconds"] for one in row["stages"].values()], 0.25, label=f"{row['guests']} guests")
    if rows:
        left.set_xticks(range(len(rows[-1]["stages"])), rows[-1]["stages"], rotation=60)
        left.legend()
    left.set(title="stages of the first boot over 10 hosts", ylabel="seconds")
    rows = [row for row in report.get("story", ()) if row["verb"] != "sizes"]
    ping = statistics.median([row["seconds"] for row in report.get("ping", ()) if row["verb"] == "ping"] or [0])
    right.bar(["ping", *(row["verb"] for row in rows)], [ping, *(row["seconds"] for row in rows)])
    if rows:
        right.set(title=f"{rows[0]['guests']} guests over {rows[0]['hosts']} hosts", ylabel="seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("--hosts", type=int, default=40, help="libvirt hosts of the lab")
    top.add_argument("--guests", type=int, default=200, help="guests over all of them")
    top.add_argument("--spread", default="10,100", help="numbers of guests over ten hosts")
    top.add_argument("--domains", default="10,50,100,500", help="numbers of defined domains on one host")
    top.add_argument("--rounds", type=int, default=5, help="how often ping and host_info are measured")
    top.add_argument("--parts", default="ping,many,spread,story", help="what is measured")
    top.add_argument("--output", type=pathlib.Path, default=HERE)
    top.add_argument("--keep", action="store_true", help="leave the lab up")
    options = top.parse_args()
    parts, folder = options.parts.split(","), pathlib.Path(tempfile.mkdtemp(prefix="virtfleet-bench-"))
    report: dict = {"hosts": options.hosts, "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    try:
        print(lab("up", str(options.hosts)).strip().splitlines()[-1], flush=True)
        all_hosts, ten = inventory(folder, options.hosts), inventory(folder, min(10, options.hosts))
        play(all_hosts, str(ROOT / "tests/lab/hosts.yml"))
        if "ping" in parts:
            report["ping"] = against_ping(all_hosts, options.rounds)
        if "many" in parts:
            report["many"] = many_domains(
                inventory(folder, 1), "kvm1", [int(one) for one in options.domains.split(",")]
            )
        if "spread" in parts:
            report["spread"] = [row for size in options.spread.split(",") for row in story(ten, 10, int(size))]
        if "story" in parts:
            report["story"] = story(all_hosts, options.hosts, options.guests)
    finally:
        if not options.keep:
            lab("down")
    options.output.mkdir(parents=True, exist_ok=True)
    kept = options.output / "bench.json"  # the parts that were not measured this time stay
    report = {**(json.loads(kept.read_text()) if kept.exists() else {}), **report}
    report["goals"] = goals(report)
    kept.write_text(json.dumps(report, indent=1) + "\n")
    plot(report, options.output / "bench.png")
    for name, one in report["goals"].items():
        print(f"{'met   ' if one['met'] else 'MISSED'} {name}: {one['measured']} (goal {one['limit']})")


if __name__ == "__main__":
    main()
