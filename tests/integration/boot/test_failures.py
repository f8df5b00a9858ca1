# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong, through the real playbooks: one sentence says so, nothing is left behind, and the rest goes on.

The guests are boot sectors that halt, so that a run takes seconds. Most tests use the same instances, in the order of
this file.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.requests import base64_of

from ..conftest import STATE_DIR, virsh
from .machine import (
    Commands,
    cached,
    deaf,
    domain_id,
    entry,
    folder,
    full_disk,
    halting_image,
    killed,
    qemu_img,
    reasons,
    row,
    rules,
    same_disk,
    snapshot,
    stray,
    unguard,
)

PREFIX, OCTET = "vff", 233

LOCAL = {"ansible_connection": "local"}
FAR = {"ansible_host": "192.0.2.1", "ansible_timeout": 2, "ansible_ssh_common_args": "-o BatchMode=yes"}
GOOD = ("vff-run", "vff-stop", "vff-gone", "vff-off")
BAD = ("vff-sum", "vff-page", "vff-reach")
FOREIGN = """<domain type='qemu'><name>{name}</name>{uuid}<memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type></os></domain>"""


@pytest.fixture(scope="module")
def cloud(cloud):
    """The cloud of this module: three flavors and the halting image."""
    sizes = {"speck": (32, 1), "grown": (48, 1), "large": (32, 2)}
    cloud.vars |= {
        "host_info_cpu_allocation_ratio": 100,
        "host_info_disk_allocation_ratio": 100,
        "virtfleet_projects": {"default": {"quota": {"instances": -1, "cores": -1, "memory_mb": -1}}},
        "domain_stop_timeout": 1,  # a guest that halts does not hear that it is to shut down
        "virtfleet_flavors": {key: {"vcpus": 1, "memory_mb": mb, "disk_gb": gb} for key, (mb, gb) in sizes.items()},
        "virtfleet_images": {"halt": halting_image(cloud.folder / "halt.raw")},
    }
    return cloud


def speck(cloud, name, **more):
    """Return the entry of a guest that halts."""
    return cloud.instance(name, **{"flavor": "speck", "image": "halt", "key_name": None, **more})


@pytest.fixture(scope="module")
def standing(cloud):
    """The entries of what stands after the first two tests: three that run and one that is stopped."""
    return [speck(cloud, name[4:], **({"state": "stopped"} if name == "vff-off" else {})) for name in GOOD]


@pytest.fixture(scope="module")
def bad(cloud):
    """The entries of instances with bad images, and the catalogue with these images."""
    page, reach = cloud.folder / "page.qcow2", cloud.folder / "reach.qcow2"
    page.write_text("<!doctype html><title>404</title>\n")
    qemu_img(reach, "-b", "/etc/hostname", "-F", "raw")
    halt = cloud.vars["virtfleet_images"]["halt"]
    images = {
        "sum": {**halt, "checksum": f"sha256:{'0' * 64}"},
        "page": {"url": f"file://{page}", "disk_format": "qcow2"},
        "reach": {"url": f"file://{reach}", "disk_format": "qcow2"},
    }
    return [speck(cloud, name[4:], image=name[4:]) for name in BAD], images


# --- a bad image -------------------------------------------------------------------------------------------------


def test_instances_with_a_bad_image_are_undone_and_the_others_run(cloud, standing, bad):
    entries, images = bad
    run = cloud.boot(*standing, *entries, virtfleet_images={**cloud.vars["virtfleet_images"], **images})
    assert run.code != 0
    assert cloud.domains() == {**dict.fromkeys(GOOD, "running"), "vff-off": "shut off"}
    assert cloud.traces(*BAD) == []
    assert cloud.claims() == dict.fromkeys(GOOD, "active")
    (said,) = reasons(run)
    assert said.startswith("3 of 7 instances failed: vff-sum on localhost: image sum: the checksum of file://")
    assert "vff-page on localhost: image page: " in said and "is an HTML page, not an image: correct the url" in said
    assert "vff-reach on localhost: image reach: this qcow2 has a backing file: convert it" in said
    for name in BAD:
        *cells, below = row(run, name)
        assert cells[1] == "failed" and below in said
    assert [cached(image) for image in images.values()] == [[], [], []]


def test_the_next_run_builds_only_what_is_missing(cloud, standing, bad):
    entries, images = bad
    before = {name: domain_id(name) for name in GOOD}
    for name in ("page", "reach"):
        images[name] = entry(qemu_img(cloud.folder / f"good-{name}.qcow2"), "qcow2")
    images["sum"] = entry(cloud.folder / "halt.raw", "raw")
    run = cloud.boot(*standing, *entries, virtfleet_images={**cloud.vars["virtfleet_images"], **images})
    assert run.code == 0, run.output
    assert "domain        3 of 3 instances" in run.output
    assert cloud.domains() == {**dict.fromkeys(GOOD + BAD, "running"), "vff-off": "shut off"}
    assert {name: domain_id(name) for name in GOOD} == before
    assert stray(cloud, *GOOD, *BAD) == []


# --- a host that is not as it should be --------------------------------------------------------------------------


@pytest.fixture
def small_bridge():
    """The name of a bridge of this host that takes packets of 1500 bytes."""
    subprocess.run(["ip", "link", "add", "vffsmall", "type", "bridge"], check=True)
    yield "vffsmall"
    subprocess.run(["ip", "link", "del", "vffsmall"], check=True)


def test_a_missing_bridge_is_found_before_anything_is_touched(cloud, standing, small_bridge):
    networks = {
        "none": {"type": "bridge", "bridge": "vffgone", "subnets": [{"cidr": "192.168.234.0/24"}]},
        "large": {"type": "bridge", "bridge": small_bridge, "mtu": 9000, "subnets": [{"cidr": "192.168.235.0/24"}]},
    }
    before = snapshot(cloud)
    run = cloud.boot(
        *standing,
        *(speck(cloud, name, networks=[{"network": name}]) for name in networks),
        virtfleet_networks={**cloud.vars["virtfleet_networks"], **networks},
    )
    assert run.code != 0 and "Traceback" not in run.output
    (told,) = reasons(run)
    assert "but has no bridge vffgone, which network 'none' is on" in told, run.output
    assert "but has bridge vffsmall with mtu 1500, network 'large' wants 9000" in told, told
    assert snapshot(cloud) == before


def test_a_missing_interface_while_others_are_removed(cloud, standing, bad):
    networks = {"wire": {"type": "bridge", "physical": "vffgone", "subnets": [{"cidr": "192.168.234.0/24"}]}}
    gone = [{"name": name, "state": "absent"} for name in BAD]
    run = cloud.boot(
        *standing,
        *gone,
        speck(cloud, "wire", networks=[{"network": "wire"}]),
        virtfleet_networks={**cloud.vars["virtfleet_networks"], **networks},
    )
    assert run.code != 0 and "Traceback" not in run.output
    (told,) = reasons(run)
    assert told.startswith(
        "1 of 8 instances failed: vff-wire on localhost: interface vffgone of network 'wire' does not exist on this "
        "host: create it, or name another as 'physical'; no other host takes it"
    ), told
    assert cloud.traces("vff-wire", *BAD) == []
    assert cloud.claims() == dict.fromkeys(GOOD, "active")


def test_a_full_disk(cloud):
    path = cloud.folder / "disk"
    run = cloud.boot(
        speck(cloud, "full"),
        within=full_disk(path, free=1200 << 10),  # for the image, and not for the disk beside it
        virtfleet_state_dir=str(path),
        virtfleet_image_free_gb=0,
        virtfleet_virt_type="qemu",
    )
    assert run.code != 0 and "Traceback" not in run.output
    (told,) = reasons(run)
    assert told.startswith(f"1 of 1 instances failed: vff-full on localhost: volume root: no space left in {path}"), (
        told
    )
    left = [line for line in run.output.splitlines() if line.startswith("left: ") and "/filler" not in line]
    assert left and not [line for line in left if "/images/" not in line or ".part" in line], left
    assert cloud.traces("vff-full") == [] and "vff-full" not in cloud.claims()


@pytest.mark.parametrize(
    "hosts,why",
    [
        ({"far": FAR}, "far: it cannot be reached: "),
        ({"localhost": "deaf"}, "localhost: libvirtd does not answer on qemu:///system: "),
    ],
)
def test_a_fleet_that_does_not_answer(cloud, standing, hosts, why):
    before = snapshot(cloud)
    hosts = {name: deaf(cloud.folder, 0) if one == "deaf" else one for name, one in hosts.items()}
    changed = [{**standing[0], "flavor": "grown"}, {**standing[1], "state": "absent"}, speck(cloud, "new")]
    run = cloud.boot(*changed, hosts=hosts)
    assert run.code != 0 and "Traceback" not in run.output
    (told,) = reasons(run)
    assert told.startswith(f"no compute host answers, so nothing was done: {why}")
    assert snapshot(cloud) == before


def test_a_libvirtd_that_goes_away_in_the_middle_leaves_what_may_run_alone(cloud, standing):
    before = snapshot(cloud)
    with same_disk("vff-run"):
        entries = [{**standing[0], "flavor": "grown"}, speck(cloud, "half")]
        run = cloud.boot(*entries, hosts={"localhost": deaf(cloud.folder, 1)})
    assert run.code != 0 and "Traceback" not in run.output
    (told,) = reasons(run)
    assert told.count("libvirtd does not answer on qemu:///system") >= 2 and "start it" in told
    # The one that existed is as it was; of the new one nobody knows whether it runs, so it keeps disk, port and claim.
    after = snapshot(cloud)
    assert after["domains"] == before["domains"] and after["taps"].items() >= before["taps"].items()
    assert cloud.claims() == {**dict.fromkeys(GOOD, "active"), "vff-half": "claimed"}
    assert (folder("vff-half") / "root.qcow2").exists() and rules("vff-half")


# --- a controller that is killed ---------------------------------------------------------------------------------

# Where a run is killed, and how many seconds after that task began; each with an instance of its own.
KILLS = {
    "claim": ("share : Take", 0),
    "volume": ("volume : Make", 0.4),
    "drive": ("config_drive : Make", 0.4),
    "port": ("port : Plug", 0.4),
    "domain": ("domain : Define", 0.5),
    "settle": ("settle : Keep the claims", 0),
}


@pytest.fixture(scope="module")
def recovered(cloud, standing):
    """The entries of instances that were left at every stage by a killed run, and the run after that."""
    entries = {name: speck(cloud, name) for name in KILLS}
    runs = [(task, entries[name], after) for name, (task, after) in KILLS.items()]
    runs.append(("domain : Define", {**standing[0], "flavor": "grown"}, 0))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: killed(cloud, run[0], run[1], after=run[2]), runs))
    left = cloud.claims()
    entries["half"] = speck(cloud, "half")
    return list(entries.values()), left, cloud.boot(*standing, *entries.values())


def test_killed_runs_leave_claims(recovered):
    _entries, left, _run = recovered
    assert {name: left[f"vff-{name}"] for name in KILLS} == dict.fromkeys(KILLS, "claimed")
    assert left["vff-run"] == "changing"


def test_the_run_after_a_killed_one_makes_whole_whatever_was_left(cloud, standing, recovered):
    entries, _left, run = recovered
    assert run.code == 0, run.output
    names = [one["name"] for one in entries]
    assert cloud.domains() == {**dict.fromkeys([*GOOD, *names], "running"), "vff-off": "shut off"}
    assert cloud.claims() == dict.fromkeys([*GOOD, *names], "active")
    assert all(rules(name) for name in names)
    assert "<memory unit='KiB'>32768<" in virsh("dumpxml", "--inactive", "vff-run")
    assert len({row(run, name)[3] for name in [*GOOD, *names]}) == len([*GOOD, *names])
    assert stray(cloud, *GOOD, *names) == []
    again = cloud.boot(*standing, *entries)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_delete_after_killed_runs_leaves_nothing(cloud, recovered):
    entries = recovered[0]
    names = [one["name"] for one in entries] + ["vff-never"]
    killed(cloud, "config_drive : Make", speck(cloud, "never"), after=0.4)
    assert cloud.traces("vff-never")
    chosen = ("-e", f"names={','.join(names)}")
    killed(cloud, "undo : Unplug", playbook="delete.yml", arguments=chosen, after=0.4)
    run = cloud.play("delete.yml", *chosen)
    assert run.code == 0, run.output
    assert cloud.traces(*names) == []
    assert cloud.claims() == dict.fromkeys(GOOD, "active")


# --- bad input ---------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_before_any_host_is_asked(cloud):
    images = {"odd": {**cloud.vars["virtfleet_images"]["halt"], "checksum": "md5:abc"}}
    fixed = [{"network": "private", "fixed_ip": "192.168.233.50"}]
    entries = [
        (speck(cloud, "key", flavour="speck"), "flavour is not a known key: did you mean 'flavor'?"),
        (speck(cloud, "type", count="many"), "count is the text 'many': it must be a whole number"),
        (speck(cloud, "twice"), ""),
        (speck(cloud, "twice"), "gives the name 'vff-twice' again after virtfleet_instances[2]: names must differ"),
        (
            speck(cloud, "size", flavor="spec"),
            "flavor is 'spec', which is not in virtfleet_flavors: did you mean 'speck'?",
        ),
        (speck(cloud, "disk", image="hald"), "image is 'hald', which is not in virtfleet_images: did you mean 'halt'?"),
        (
            speck(cloud, "net", networks=[{"network": "privat"}]),
            "networks[0].network is 'privat', which is not in virtfleet_networks: did you mean 'private'?",
        ),
        (
            speck(cloud, "fixed", count=2, networks=fixed),
            "fixed_ip does not go with count 2: only one instance can have",
        ),
        (speck(cloud, "data", user_data="#!" + "x" * 65536), "user_data is 65,538 bytes"),
        (speck(cloud, "none", flavor=None), "flavor is empty (null): it must be a text"),
        (speck(cloud, "a/b"), "name is the text 'vff-a/b': it must be 1 to 255 printable characters without '/'"),
        (
            speck(cloud, "wait", wait_for="forever"),
            "wait_for is 'forever': There is running, address, agent, console, ssh",
        ),
        ("vff-text", "is a text: it must be a mapping"),
    ]
    run = cloud.boot(*(one for one, _said in entries), virtfleet_images={**cloud.vars["virtfleet_images"], **images})
    assert run.code != 0 and "Traceback" not in run.output
    assert "host_info" not in run.output and run.changed == 0
    assert "The request has 13 problems; nothing was done:" in reasons(run)
    assert "virtfleet_images.odd.checksum is the text 'md5:abc': it must be 'sha256:' and 64 hex" in run.output
    for index, (_one, said) in enumerate(entries):
        assert not said or any(
            line.startswith(f"virtfleet_instances[{index}]") and said in line for line in run.output.splitlines()
        ), (index, said, run.output)


def test_a_zone_that_no_host_is_in_is_refused_before_anything_is_changed(cloud, standing):
    before = snapshot(cloud)
    hosts = {"localhost": {**LOCAL, "host_info_availability_zone": "rack-a"}}
    run = cloud.boot(speck(cloud, "zone", availability_zone="rack-b"), speck(cloud, "new"), hosts=hosts)
    assert run.code != 0 and "Traceback" not in run.output
    (told,) = reasons(run)
    assert told == "request vff-zone: availability zone rack-b is unknown: did you mean rack-a? valid are rack-a"
    assert snapshot(cloud) == before


# --- what is there already ---------------------------------------------------------------------------------------


@pytest.fixture
def foreign(cloud):
    """Two domains of somebody else: one with the name of an instance, one with the uuid of another."""
    texts = {
        "vff-name": FOREIGN.format(name="vff-name", uuid=""),
        "vff-other": FOREIGN.format(name="vff-other", uuid=f"<uuid>{folder('vff-uuid').name}</uuid>"),
    }
    for name, text in texts.items():
        path = cloud.folder / f"{name}.xml"
        path.write_text(text)
        virsh("define", str(path))
    yield {name: virsh("dumpxml", name) for name in texts}
    for name in texts:
        virsh("undefine", name)


def test_domains_of_somebody_else_stay_and_damaged_ports_are_plugged_again(cloud, standing, foreign):
    loaded = rules("vff-run")
    virsh_id = domain_id("vff-run")
    unguard("vff-run")
    assert rules("vff-run") != loaded
    run = cloud.boot(*standing, speck(cloud, "name"), speck(cloud, "uuid"))
    assert run.code != 0
    (told,) = reasons(run)
    assert told.startswith("2 of 6 instances failed: vff-name"), told
    assert "localhost has a domain vff-name that is not ours" in told
    assert "vff-uuid on localhost: domain vff-other on this host has the uuid" in told and "it stays untouched" in told
    assert {name: virsh("dumpxml", name) for name in foreign} == foreign
    assert cloud.traces("vff-uuid") == [] and cloud.claims() == dict.fromkeys(GOOD, "active")
    assert rules("vff-run") == loaded and domain_id("vff-run") == virsh_id


# --- plans and changes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def changes(cloud, standing):
    """The entries as they are to be: one grows, one stops, one goes, one starts and one is new."""
    run, stop, gone, off = standing
    wanted = [{**run, "flavor": "grown"}, {**stop, "state": "stopped"}, {**gone, "state": "absent"}]
    return [*wanted, {**off, "state": "active"}, speck(cloud, "new", flavor="large")]


def test_check_mode_tells_what_would_change_and_changes_nothing(cloud, changes):
    before = snapshot(cloud)
    run = cloud.boot(
        *changes, speck(cloud, "wire"), {**speck(cloud, "never"), "state": "absent"}, arguments=("--check", "--diff")
    )
    assert run.code == 0, run.output
    assert snapshot(cloud) == before
    told = {line.split()[-1] for line in run.output.splitlines() if line.startswith("+++ after: ")}
    assert told == {*GOOD, "vff-new", "vff-wire"}
    for line in (
        '-    "flavor.memory_mb (next boot)": 32',
        '+    "flavor.memory_mb (next boot)": 48',
        '+    "state": "stopped"',
    ):
        assert line in run.output, line


def test_each_instance_becomes_what_is_asked_while_another_host_is_away(cloud, changes):
    grown = domain_id("vff-run")
    with same_disk("vff-run"), same_disk("vff-stop"), same_disk("vff-off"):
        run = cloud.boot(*changes, hosts={"localhost": LOCAL, "far": FAR})
    assert run.code == 0, run.output
    assert run.output.count("[WARNING]: far is left out, it cannot be reached: ") == 1
    assert cloud.domains() == {"vff-run": "running", "vff-stop": "shut off", "vff-off": "running", "vff-new": "running"}
    assert cloud.traces("vff-gone") == [] and "vff-gone" not in cloud.claims()
    assert domain_id("vff-run") == grown
    assert row(run, "vff-run")[-1] == "flavor.memory_mb: 32 -> 48 (next boot)"
    assert "<memory unit='KiB'>49152<" in virsh("dumpxml", "--inactive", "vff-run")
    again = cloud.boot(*changes)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_disk_does_not_shrink_and_the_others_go_on(cloud, changes):
    run, stop, _gone, off, new = changes
    virsh("destroy", "vff-run")
    with same_disk("vff-new"):
        wanted = [run, {**stop, "state": "active"}, {**off, "state": "stopped"}, {**new, "flavor": "speck"}]
        done = cloud.boot(*wanted)
    assert done.code != 0
    assert reasons(done) == [
        "1 of 4 instances failed: vff-new on localhost: volume root has 2 GiB: 1 GiB would destroy data; keep the "
        "size, or delete the instance first"
    ]
    assert cloud.domains() == {"vff-run": "running", "vff-stop": "running", "vff-off": "shut off", "vff-new": "running"}
    assert "<memory unit='KiB'>49152<" in virsh("dumpxml", "vff-run")
    assert cloud.claims()["vff-new"] == "active" and stray(cloud, "vff-new") == []


# --- secrets -----------------------------------------------------------------------------------------------------


def test_no_secret_is_shown_or_kept_where_others_read(cloud):
    script, content = "#!/bin/sh\necho vff-secret-script\n", "vff-secret-file"
    hashed = "$6$vffsalt$" + "vffSecretHash" * 6 + "abcdefgh"
    files = [{"path": "/etc/token", "content": content}]
    secret = speck(cloud, "secret", user_data=script, admin_pass=hashed, files=files)
    with Commands() as commands:
        run = cloud.boot(secret, arguments=("-vvv", "--diff"))
    assert run.code == 0, run.output
    words = ["vff-secret-script", "vffSecretHash", content, *(base64_of(text) for text in (script, content, hashed))]
    drive = (folder("vff-secret") / "config.iso").read_bytes()
    assert [word for word in words if word.encode() in drive] == [words[0], words[1], base64_of(content)]  # its place
    assert any(b"qemu-system" in one and b"vff-secret" in one for one in commands.seen)
    places = {
        "output": run.output.encode(),
        "domain": (virsh("dumpxml", "vff-secret") + virsh("dumpxml", "--security-info", "vff-secret")).encode(),
        "registry": b"".join(path.read_bytes() for path in (STATE_DIR / "registry").iterdir()),
        "ports": b"".join(path.read_bytes() for path in (STATE_DIR / "ports").iterdir()),
        "records": b"".join(path.read_bytes() for path in folder("vff-secret").glob("*.json")),
        "commands": b"\n".join(commands.seen),
    }
    assert [(place, word) for place, text in places.items() for word in words if word.encode() in text] == []
