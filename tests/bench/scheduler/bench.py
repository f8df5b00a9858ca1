# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the scheduler decides, beside a plain loop in the same run and figures of Nova's, measured elsewhere.

CPU seconds of one core, the best of some rounds, whole decision with its record: `bench.py` writes bench.json and
bench.png beside itself; `bench.py --rounds 1 --directory /tmp` is quick and leaves them elsewhere.
"""

from __future__ import annotations

import argparse
import gc
import json
import pathlib
import platform
import random
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "collections"))
# Nova 34.0.0's own code in process, without database and message bus, decisions per CPU second. Measured on another
# machine, so these are for orders of magnitude and not for a race.
NOVA = {(1000, 1): 6.2, (1000, 100): 16.9, (10000, 1): 0.47, (10000, 100): 0.99}
# What the project asks for: seconds for one request, decisions per second for a hundred.
GOALS = {(200, 1): 0.005, (1000, 1): 0.015, (10000, 1): 0.100, (1000, 100): 2000, (10000, 100): 500}
SIZES = (200, 1000, 10000)


def fleet(size):
    """Return so many random hosts, each with ten instances, two aggregates and a rack."""
    chance = random.Random(size)
    hosts = []
    for number in range(size):
        vcpus = chance.choice([32, 64, 96])
        memory = vcpus * 4096
        hosts.append(
            {
                "name": f"host-{number:05}",
                "vcpus": vcpus,
                "vcpus_used": chance.randint(0, vcpus),
                "memory_mb": memory,
                "memory_mb_used": chance.randint(0, memory // 2),
                "disk_gb": 4000,
                "disk_gb_used": chance.randint(0, 2000),
                "cpu_allocation_ratio": 4.0,
                "ram_allocation_ratio": 1.0,
                "disk_allocation_ratio": 1.0,
                "reserved_memory_mb": 512,
                "num_io_ops": chance.randint(0, 3),
                "failed_builds": 0,
                "availability_zone": chance.choice(["az1", "az2", "az3"]),
                "enabled": chance.random() > 0.02,
                "up": chance.random() > 0.02,
                "hypervisor_version": chance.choice([8002002, 9002000]),
                "host_ip": "10.0.0.1",
                "traits": ["HW_CPU_X86_AVX2", "STORAGE_DISK_SSD", "COMPUTE_NODE"],
                "instances": [f"{number:06}-{place}" for place in range(10)],
                "num_instances": 10,
                "aggregates": [
                    {"name": f"row-{number % 5}", "metadata": {"ssd": "true", f"row{number % 5}": "1"}},
                    {"name": "all", "metadata": {"filter": "no"}},
                ],
                "labels": {"rack": f"r{number % 20}"},
            }
        )
    return hosts


def request(count, **more):
    """Return a request for so many instances."""
    return {"name": "web", "flavor_name": "m1.small", "vcpus": 2, "memory_mb": 4096, "disk_gb": 40} | {
        "num_instances": count,
        **more,
    }


def plain_loop(hosts, count):
    """Decide with a loop over the hosts for each instance, the default filters and the four weighers that matter here.

    The floor that arrays have to beat: nothing is explained, recorded or updated.
    """
    names = []
    hosts = [dict(host) for host in hosts]
    for _instance in range(count):
        fitting = [
            host
            for host in hosts
            if host["enabled"]
            and host["up"]
            and host["vcpus_used"] + 2 <= host["vcpus"] * host["cpu_allocation_ratio"]
            and host["memory_mb_used"] + 4096 <= host["memory_mb"] - host["reserved_memory_mb"]
            and host["disk_gb_used"] + 40 <= host["disk_gb"]
        ]
        raw = [
            (
                host["memory_mb"] - host["memory_mb_used"] - host["reserved_memory_mb"],
                host["vcpus"] * host["cpu_allocation_ratio"] - host["vcpus_used"],
                (host["disk_gb"] - host["disk_gb_used"]) * 1024,
                host["num_io_ops"],
                host["hypervisor_version"] - 8002002,
            )
            for host in fitting
        ]
        most = [max(column) or 1 for column in zip(*raw, strict=True)]
        weights = [r / most[0] + c / most[1] + d / most[2] - i / most[3] + v / most[4] for r, c, d, i, v in raw]
        chosen = fitting[max(range(len(weights)), key=weights.__getitem__)]
        chosen["vcpus_used"] += 2
        chosen["memory_mb_used"] += 4096
        chosen["disk_gb_used"] += 40
        chosen["num_io_ops"] += 1
        names.append(chosen["name"])
    return names


def cpu_seconds(work, rounds):
    """Return the least CPU seconds that the work took, garbage from earlier work collected first."""
    least = float("inf")
    for _round in range(rounds):
        gc.collect()
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return least


def measure(rounds):
    """Return one row per size and count."""
    from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.decide import decide
    from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.replay import seal

    rows = []
    for size in SIZES:
        hosts = fleet(size)
        for count in (1, 100):
            ours = cpu_seconds(lambda hosts=hosts, count=count: decide([request(count)], hosts), rounds)
            group = {"name": "web", "policy": "anti-affinity"}
            apart = cpu_seconds(
                lambda hosts=hosts, count=count, group=group: decide([request(count, server_group=group)], hosts),
                rounds,
            )
            floor = cpu_seconds(
                lambda hosts=hosts, count=count: plain_loop(hosts, count), 1 if size * count > 1e5 else rounds
            )
            record = decide([request(count)], hosts)
            sealing = cpu_seconds(lambda record=record: seal(record), 1)
            decided = [one["host"] for one in record["requests"][0]["instances"]]
            rows.append(
                {
                    "hosts": size,
                    "instances": count,
                    "seconds": ours,
                    "seconds_anti_affinity": apart,
                    "seconds_plain_loop": floor,
                    "seconds_seal": sealing,
                    "decisions_per_second": count / ours,
                    "nova_decisions_per_second": NOVA.get((size, count)),
                    "same_hosts_as_plain_loop": decided == plain_loop(hosts, count),
                    "record_bytes": len(json.dumps(record["requests"])),
                    "goal_met": met(size, count, ours),
                }
            )
            print(told(rows[-1]), flush=True)
    return rows


def met(size, count, seconds):
    """Return whether the goal of the project is met, None where there is none."""
    goal = GOALS.get((size, count))
    if goal is None:
        return None
    return seconds <= goal if count == 1 else count / seconds >= goal


def told(row):
    """Return a row as a line."""
    nova = row["nova_decisions_per_second"]
    loop = row["seconds_plain_loop"] / row["seconds"]
    goal = {True: "met", False: "MISSED", None: "none"}[row["goal_met"]]
    against = f", {row['decisions_per_second'] / nova:,.0f} x Nova's figure" if nova else ""
    return (
        f"{row['hosts']:>6} hosts {row['instances']:>4} instances: {row['seconds'] * 1000:8.1f} ms "
        f"{row['decisions_per_second']:9,.0f}/s, {loop:5.1f} x plain loop{against}, goal {goal}"
    )


def plot(rows, file):
    """Draw decisions per second by fleet size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for count, mark in ((1, "o"), (100, "s")):
        some = [row for row in rows if row["instances"] == count]
        sizes = [row["hosts"] for row in some]
        axes.plot(sizes, [row["decisions_per_second"] for row in some], mark + "-", label=f"virtfleet, {count} at once")
        loop = [count / row["seconds_plain_loop"] for row in some]
        axes.plot(sizes, loop, mark + ":", color="grey", label=f"plain Python loop, {count} at once")
        nova = [(row["hosts"], row["nova_decisions_per_second"]) for row in some if row["nova_decisions_per_second"]]
        axes.plot(*zip(*nova, strict=True), mark + "--", label=f"Nova 34 in process, {count} at once (other machine)")
    axes.set(xscale="log", yscale="log", xlabel="hosts", ylabel="decisions per CPU second")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize=7, loc="lower left")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main():
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=pathlib.Path, default=HERE)
    options = parser.parse_args()
    rows = measure(options.rounds)
    report = {"python": platform.python_version(), "rounds": options.rounds, "unit": "CPU seconds", "rows": rows}
    (options.directory / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
    plot(rows, options.directory / "bench.png")
    return 0 if all(row["goal_met"] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
