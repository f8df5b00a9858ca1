# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time N small guests from nothing to running, a second run, and their removal.

Four ways in one run and in turn, so that a noisy machine treats them alike:

floor      straight libvirt-python with a thread pool: one overlay, one seed, one tap, one define and one start a guest
ansible    what Ansible itself takes: a playbook of as many pings as the run of virtfleet has module runs
virtfleet  playbooks/boot.yml of this clone, all stages, and playbooks/delete.yml
community  the modules of community.libvirt in a loop, as its users write it

The guest is a boot sector that halts, so that no guest takes the processor from what is measured; each measurement
begins when the machine is idle, for the firmware of a hundred guests runs for seconds after the command that started
them.
Needs root, a compute host (`make hosts`) and, for `community`, a Python with the `ansible` package (--community).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
WORK = pathlib.Path("/var/tmp/virtfleet-bench")
MEMORY_MB = 64
THREADS = 8
# What a shell may say to every Python that it starts is not measured: these cost each module 0.1 s.
ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key not in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
}
VERBS = ("create", "again", "delete")
# First boot: host_info, claim, image, volume, config_drive, port, domain, settle. Second run: host_info, claim.
# Deletion: host_info, the undo of four stages, settle.
MODULE_RUNS = {"create": 8, "again": 2, "delete": 6}
BRIDGE = "vfbench0"

DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>
<target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{seed}'/>
<target dev='vdb' bus='virtio'/><readonly/></disk>
<interface type='bridge'><source bridge='{bridge}'/><model type='virtio'/></interface>
<serial type='pty'><log file='{console}' append='off'/></serial><graphics type='vnc' autoport='yes' listen='127.0.0.1'/>
<video><model type='virtio'/></video><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>"""


def run(command: list[str], **more) -> str:
    """Run a command and return what it prints; its words become the error when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def halting_image() -> pathlib.Path:
    """Write a disk whose boot sector halts the processor for good, once, and return its path."""
    path = WORK / "halt.raw"
    if not path.exists():
        sector = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # cli; hlt; jmp back to hlt
        path.write_bytes(sector.ljust(1 << 20, b"\0"))
    return path


# --- the floor ---------------------------------------------------------------------------------------------------


def floor_names(count: int) -> list[str]:
    return [f"vfbench-floor-{number}" for number in range(1, count + 1)]


def floor_create(connection, count: int) -> None:
    from io import BytesIO

    import pycdlib  # the seed that every guest gets, made as fast as it can be

    folder = WORK / "floor"
    folder.mkdir(exist_ok=True)

    def one(name: str) -> None:
        disk, seed = folder / f"{name}.qcow2", folder / f"{name}.iso"
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(halting_image()), "-F", "raw", str(disk), "1G"])
        iso = pycdlib.PyCdlib()
        iso.new(vol_ident="cidata", joliet=3)
        text = json.dumps({"instance-id": name, "local-hostname": name}).encode()
        iso.add_fp(BytesIO(text), len(text), "/META.;1", joliet_path="/meta-data")
        iso.write(str(seed))
        iso.close()
        xml = DOMAIN.format(
            name=name, memory=MEMORY_MB, disk=disk, seed=seed, bridge=BRIDGE, console=folder / f"{name}.log"
        )
        connection.defineXML(xml).create()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, floor_names(count)))


def floor_again(connection, count: int) -> None:
    running = {domain.name() for domain in connection.listAllDomains() if domain.isActive()}
    missing = set(floor_names(count)) - running
    if missing:
        raise SystemExit(f"the floor lost {sorted(missing)}")


def floor_delete(connection, count: int) -> None:
    def one(name: str) -> None:
        domain = connection.lookupByName(name)
        domain.destroy()
        domain.undefine()
        for suffix in ("qcow2", "iso", "log"):
            (WORK / "floor" / f"{name}.{suffix}").unlink(missing_ok=True)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, floor_names(count)))


# --- this collection ---------------------------------------------------------------------------------------------


def virtfleet_inventory(count: int) -> pathlib.Path:
    """Write an inventory of this machine with so many instances and return its path."""
    image = halting_image()
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    inventory = {
        "all": {
            "children": {"compute": {"hosts": {"localhost": {"ansible_connection": "local"}}}},
            "vars": {
                "virtfleet_registry_url": f"sqlite:///{WORK}/registry.db",
                "host_info_cpu_allocation_ratio": 100,
                "host_info_ram_allocation_ratio": 10,
                "host_info_disk_allocation_ratio": 100,
                "virtfleet_flavors": {"bench": {"vcpus": 1, "memory_mb": MEMORY_MB, "disk_gb": 1}},
                "virtfleet_images": {
                    "halt": {"url": f"file://{image}", "checksum": f"sha256:{digest}", "disk_format": "raw"}
                },
                "virtfleet_networks": {
                    "bench": {
                        "type": "bridge",
                        "bridge": BRIDGE,
                        "subnets": [{"cidr": "10.231.0.0/16", "pool": ["10.231.0.10-10.231.9.250"]}],
                    }
                },
                "virtfleet_projects": {"default": {"quota": {"instances": -1, "cores": -1, "memory_mb": -1}}},
                "virtfleet_instances": [
                    {
                        "name": "vfbench",
                        "count": count,
                        "flavor": "bench",
                        "image": "halt",
                        "networks": [{"network": "bench"}],
                        "wait_for": "running",
                    }
                ],
            },
        }
    }
    path = WORK / f"inventory-{count}.json"
    path.write_text(json.dumps(inventory, indent=1))
    return path


def virtfleet(playbook: str, count: int) -> None:
    play_with(ROOT / "playbooks" / playbook, count)


def play_with(playbook: pathlib.Path, count: int) -> None:
    inventory = str(virtfleet_inventory(count))
    run(
        ["ansible-playbook", "-i", inventory, str(playbook), "-e", "names=all"],
        cwd=ROOT,
        env={**ENVIRONMENT, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )


# --- Ansible itself -----------------------------------------------------------------------------------------------


def ansible_floor(verb: str, count: int) -> None:
    """Run as many pings as the playbook of virtfleet runs modules: nothing that uses Ansible can take less."""
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}] * MODULE_RUNS[verb]}
    path = WORK / f"ping-{verb}.json"
    path.write_text(json.dumps([play]))
    play_with(path, count)


# --- community.libvirt in a loop ---------------------------------------------------------------------------------


def community(python: str, verb: str, count: int) -> None:
    settings = WORK / "community.cfg"
    settings.write_text("")  # Ansible's own settings, and not those of this clone
    run(
        [str(pathlib.Path(python).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
        + ["-e", f"count={count}", "-e", f"base={halting_image()}", "-e", f"folder={WORK}/community"]
        + ["-e", f"memory={MEMORY_MB}", "-e", f"bridge={BRIDGE}"]
        + ["-e", "ansible_python_interpreter=/usr/bin/python3"]
        + [str(HERE / f"community_{'delete' if verb == 'delete' else 'create'}.yml")],
        cwd=HERE,
        env={**ENVIRONMENT, "ANSIBLE_CONFIG": str(settings)},
    )


# --- measuring ---------------------------------------------------------------------------------------------------


def ways(connection, python: str) -> dict[str, dict]:
    """Return per way the function of each verb; each takes the number of guests."""
    table = {
        "floor": {
            "create": lambda count: floor_create(connection, count),
            "again": lambda count: floor_again(connection, count),
            "delete": lambda count: floor_delete(connection, count),
        },
        "ansible": {verb: (lambda count, verb=verb: ansible_floor(verb, count)) for verb in VERBS},
        "virtfleet": {
            "create": lambda count: virtfleet("boot.yml", count),
            "again": lambda count: virtfleet("boot.yml", count),
            "delete": lambda count: virtfleet("delete.yml", count),
        },
    }
    if python:
        table["community"] = {verb: (lambda count, verb=verb: community(python, verb, count)) for verb in VERBS}
    return table


def busy(seconds: float) -> float:
    """Return which part of the processors' time was used during the next seconds."""

    def read() -> tuple[int, int]:
        told = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(told), told[3] + told[4]

    total, idle = read()
    time.sleep(seconds)
    after, still = read()
    return 1 - (still - idle) / max(after - total, 1)


def until_idle(deadline: float = 60) -> None:
    """Wait until the machine has nothing else to do; go on, with a word, if it never has."""
    end = time.monotonic() + deadline
    while busy(0.5) > 0.1:
        if time.monotonic() > end:
            print(f"the machine is still busy after {deadline:g} s: what follows is too long", flush=True)
            return


def measure(table: dict[str, dict], sizes: list[int], rounds: int, community_up_to: int) -> list[dict]:
    """Return one row per way, size, round and verb: {way, count, round, verb, seconds}."""
    rows = []
    for count in sizes:
        for number in range(rounds):
            for way, verbs in table.items():
                if way == "community" and count > community_up_to:
                    continue
                for verb in VERBS:
                    until_idle()
                    begin = time.perf_counter()
                    verbs[verb](count)
                    rows.append(
                        {
                            "way": way,
                            "count": count,
                            "round": number,
                            "verb": verb,
                            "seconds": round(time.perf_counter() - begin, 3),
                        }
                    )
                    print("{way:10} {count:4} {verb:7} {seconds:8.2f} s".format(**rows[-1]), flush=True)
    return rows


def medians(rows: list[dict]) -> list[dict]:
    """Return per way, size and verb the median seconds and its ratio to the floor's."""
    keys = sorted({(row["count"], row["verb"], row["way"]) for row in rows})
    value = {
        key: statistics.median(row["seconds"] for row in rows if (row["count"], row["verb"], row["way"]) == key)
        for key in keys
    }
    return [
        {
            "way": way,
            "count": count,
            "verb": verb,
            "seconds": round(value[count, verb, way], 2),
            "ratio_to_floor": round(value[count, verb, way] / max(value[count, verb, "floor"], 0.001), 2),
        }
        for count, verb, way in keys
    ]


def goals(table: list[dict]) -> dict[str, dict]:
    """Return the goals of this collection with what was measured and whether it was met."""
    seconds = {(row["way"], row["count"], row["verb"]): row["seconds"] for row in table}
    found = {}

    def goal(name: str, measured: float, limit: float) -> None:
        found[name] = {"measured": round(measured, 2), "limit": round(limit, 2), "met": measured <= limit}

    if ("virtfleet", 20, "create") in seconds:
        floor = seconds["floor", 20, "create"]
        goal("first boot of 20: 1.3 x floor + 4 s", seconds["virtfleet", 20, "create"], 1.3 * floor + 4)
        goal("second run of 20: 3 s", seconds["virtfleet", 20, "again"], 3)
    if ("virtfleet", 100, "create") in seconds:
        goal("second run of 100: 4 s", seconds["virtfleet", 100, "again"], 4)
    if {("virtfleet", 20, "create"), ("virtfleet", 100, "create")} <= set(seconds):
        ours, floor = (
            (seconds[way, 100, "create"] - seconds[way, 20, "create"]) / 80 for way in ("virtfleet", "floor")
        )
        goal("growth from 20 to 100 beyond the floor's: 0.1 s a guest", ours - floor, 0.1)
    return found


def plot(table: list[dict], path: pathlib.Path) -> None:
    """Draw seconds over guests, one panel a verb, one line a way."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(12, 4))
    for panel, verb in zip(panels, VERBS):
        for way in sorted({row["way"] for row in table}):
            points = [(row["count"], row["seconds"]) for row in table if row["way"] == way and row["verb"] == verb]
            panel.plot(*zip(*sorted(points)), marker="o", label=way)
        panel.set(title=verb, xlabel="guests", ylabel="seconds", xscale="log", yscale="log")
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def machine() -> dict:
    import libvirt

    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return {"cpus": os.cpu_count(), "cpu": cpu, "load_1min": os.getloadavg()[0], "libvirt": libvirt.getVersion()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1,5,20,100", help="numbers of guests")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--community", default="", help="a Python with the ansible package; empty leaves it out")
    parser.add_argument("--community-up-to", type=int, default=20, help="largest number for community.libvirt")
    parser.add_argument("--output", default=str(ROOT / "tests" / "output"), type=pathlib.Path)
    options = parser.parse_args()

    import libvirt

    WORK.mkdir(mode=0o755, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    try:
        run(["ip", "link", "set", BRIDGE, "up"])
        connection = libvirt.open("qemu:///system")
        rows = measure(
            ways(connection, options.community),
            [int(size) for size in options.sizes.split(",")],
            options.rounds,
            options.community_up_to,
        )
    finally:
        run(["ip", "link", "delete", BRIDGE])
    table = medians(rows)
    report = {"machine": machine(), "goals": goals(table), "medians": table, "rows": rows}
    (options.output / "bench-boot.json").write_text(json.dumps(report, indent=1) + "\n")
    plot(table, options.output / "bench-boot.png")
    for row in table:
        print("{count:4} {verb:7} {way:10} {seconds:8.2f} s  {ratio_to_floor:6.2f} x floor".format(**row))
    for name, one in report["goals"].items():
        print(f"{'met   ' if one['met'] else 'MISSED'} {name}: {one['measured']} (limit {one['limit']})")


if __name__ == "__main__":
    main()
