# virtfleet.compute: every target is one line of help below. `make` alone prints it.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
ROOT := $(CURDIR)
PYTHON ?= python3
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
RUN := PATH="$(ROOT)/$(BIN):$$PATH" ANSIBLE_CONFIG=$(ROOT)/ansible.cfg
ROOT_RUN := $(SUDO) env PATH="$(ROOT)/$(BIN):$$PATH" ANSIBLE_CONFIG=$(ROOT)/ansible.cfg
PYTHON_VERSION = $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PLAY := $(RUN) ansible-playbook
ARGS ?=
HOSTS ?= 3
LAB := $(SUDO) env PATH="$(ROOT)/$(BIN):$$PATH" LAB_NAME=$(LAB_NAME) LAB_NET=$(LAB_NET) tests/lab/lab
MOLECULE := cd collections/ansible_collections/virtfleet/compute && $(ROOT_RUN) molecule test --report
LAB_TOOLS := command -v mmdebstrap >/dev/null && command -v ssh >/dev/null || { $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq mmdebstrap debian-archive-keyring openssh-client; }

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*## .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

boot: $(BIN)/.run hosts ## Make this machine a compute host and boot the instances of inventories/local
	@$(PLAY) playbooks/boot.yml $(ARGS)

plan: $(BIN)/.run ## Say what boot would do and why, and change nothing
	@$(PLAY) playbooks/plan.yml $(ARGS)

list: $(BIN)/.run ## Print the instances that exist
	@$(PLAY) playbooks/list.yml $(ARGS)

audit: $(BIN)/.run ## Compare instances, registry and hosts: nothing may be stray
	@$(PLAY) playbooks/audit.yml $(ARGS)

rebuild: $(BIN)/.run ## Make a lost registry again from what the hosts have
	@$(PLAY) playbooks/rebuild.yml $(ARGS)

delete: $(BIN)/.run ## Delete the instances of inventories/local
	@$(PLAY) playbooks/delete.yml -e names=all $(ARGS)

hosts: $(BIN)/.run ## Make this machine a compute host
	@$(PLAY) playbooks/hosts.yml $(ARGS)

test: lint unit sanity integration ## Run everything that needs no other machine

unit: $(BIN)/.test ## Run the unit tests, those of the registry on SQLite and on PostgreSQL
	@$(RUN) VIRTFLEET_TEST_REGISTRY=both pytest

lint: $(BIN)/.test ## Run ruff, yamllint, ansible-lint and the checks of docs and changelog
	@$(RUN) ruff check plugins tests
	@$(RUN) ruff format --check plugins tests
	@$(RUN) yamllint -s .
	@$(RUN) ansible-lint
	@$(RUN) antsibull-docs lint-collection-docs --plugin-docs .
	@$(RUN) antsibull-changelog lint

sanity: $(BIN)/.test ## Run ansible-test sanity without an ignore file
	@$(RUN) tests/tools/prepare-ansible-test
	@$(RUN) tests/ansible-test sanity --python $(PYTHON_VERSION)

integration: $(BIN)/.test hosts ## Boot real guests on this machine and look inside
	@$(RUN) tests/tools/prepare-ansible-test
	@$(ROOT_RUN) tests/ansible-test integration --python $(PYTHON_VERSION) --allow-destructive --exclude ports
	@$(ROOT_RUN) tests/tools/in-netns tests/ansible-test integration ports --python $(PYTHON_VERSION) --allow-destructive
	@$(ROOT_RUN) pytest tests/integration/port
	@$(ROOT_RUN) pytest tests/integration/guest_image
	@$(ROOT_RUN) pytest tests/integration/backup/test_backup_core.py
	@$(ROOT_RUN) pytest tests/integration/boot/test_guest.py
	@$(LAB_TOOLS)
	@$(MOLECULE) -s default -s boot

cloud-image-test: $(BIN)/.test ## Boot a Debian image with real cloud-init and read what it made of the config drive (minutes)
	@$(LAB_TOOLS)
	@command -v mke2fs sfdisk qemu-img >/dev/null || $(SUDO) apt-get install -y -qq e2fsprogs fdisk qemu-utils
	@$(ROOT_RUN) pytest -v tests/integration/cloud_image

backup-test: $(BIN)/.test hosts ## Snapshot, back up, kill and restore running guests, in a lab of their own (minutes)
	@$(LAB_TOOLS)
	@$(ROOT_RUN) pytest -v tests/integration/backup

failures: $(BIN)/.test hosts ## Let bad images, full disks and missing bridges fail under boots of this machine (minutes)
	@$(ROOT_RUN) pytest tests/integration/boot/test_failures.py

faults: $(BIN)/.test ## Kill controllers, modules, daemons and hosts in the middle of runs over a lab, and write docs/faults.md (minutes)
	@$(LAB_TOOLS)
	@$(ROOT_RUN) python tests/faults/run.py --table $(ARGS)

registry-test: $(BIN)/.test ## Let twenty controllers boot on one registry, in SQLite and in PostgreSQL (minutes)
	@$(RUN) VIRTFLEET_TEST_REGISTRY=both pytest tests/unit/plugins/module_utils/registry
	@$(RUN) pytest -v tests/registry

ceph-test: $(BIN)/.test ## Make, clone, grow and remove disks in a throw-away Ceph cluster of this machine
	@command -v ceph-osd >/dev/null || $(SUDO) apt-get install -y -qq --no-install-recommends ceph-mon ceph-osd ceph-common qemu-utils qemu-block-extra
	@$(ROOT_RUN) pytest tests/integration/ceph

ovn-test: $(BIN)/.test hosts ## Run networks of OVN over two hosts: frames in namespaces, then the playbooks and real guests in a lab of their own (minutes)
	@$(LAB_TOOLS)
	@command -v ethtool >/dev/null || $(SUDO) apt-get install -y -qq ethtool
	@$(ROOT_RUN) pytest -v tests/integration/ovn/test_frames.py tests/integration/ovn/test_hostile.py tests/integration/ovn/test_crash.py
	@$(ROOT_RUN) pytest -v tests/integration/ovn/test_lab.py tests/integration/ovn/test_guests.py

ovn-systemd-test: $(BIN)/.test ## Install OVN on a Debian with systemd that QEMU emulates, boot guests in its kernel's datapath and reboot it (half an hour)
	@$(LAB_TOOLS)
	@command -v mke2fs sfdisk qemu-img mformat qemu-system-x86_64 >/dev/null || $(SUDO) apt-get install -y -qq e2fsprogs fdisk mtools qemu-utils qemu-system-x86
	@$(ROOT_RUN) pytest -v tests/integration/ovn/test_systemd.py

lvm-test: $(BIN)/.test ## Make, clone, grow and move disks in a volume group of a Debian that QEMU emulates, and start guests from them (half an hour)
	@$(LAB_TOOLS)
	@command -v mke2fs sfdisk qemu-img mformat qemu-system-x86_64 >/dev/null || $(SUDO) apt-get install -y -qq e2fsprogs fdisk mtools qemu-utils qemu-system-x86
	@$(ROOT_RUN) pytest -v tests/integration/lvm

volume-test: $(BIN)/.test hosts ## Encrypt, attach, move and copy volumes of real guests, in a lab of their own (minutes)
	@$(LAB_TOOLS)
	@command -v tgtd >/dev/null || $(SUDO) apt-get install -y -qq --no-install-recommends tgt qemu-utils
	@$(ROOT_RUN) pytest -v tests/integration/volumes

lab: $(BIN)/.run ## Start HOSTS=3 simulated compute hosts on this machine, for inventories/lab
	@$(LAB_TOOLS)
	@$(LAB) up $(HOSTS)
	@$(PLAY) -i inventories/lab tests/lab/hosts.yml

lab-down: $(BIN)/.run ## Remove the simulated hosts
	@$(LAB) down

network-test: $(BIN)/.test hosts ## Let guests on two hosts of a lab reach and attack each other and change while they run, and try Open vSwitch (minutes)
	@$(LAB_TOOLS)
	@command -v ovs-vsctl >/dev/null || $(SUDO) apt-get install -y -qq openvswitch-switch
	@command -v gcc >/dev/null || $(SUDO) apt-get install -y -qq gcc libc6-dev
	@$(ROOT_RUN) pytest -v tests/integration/port/test_ovs.py
	@$(ROOT_RUN) pytest -v tests/integration/network

vlan-test: $(BIN)/.test ## Run the tests of stage port on Debian's own kernel in an emulated machine: VLANs, connections tracked by bridges (minutes)
	@$(LAB_TOOLS)
	@command -v mke2fs depmod cpio >/dev/null || $(SUDO) apt-get install -y -qq e2fsprogs kmod cpio
	@$(ROOT_RUN) pytest -v -s tests/integration/vlan

lab-test: $(BIN)/.test ## Take hosts away from running fleets, in a lab of its own (minutes)
	@$(LAB_TOOLS)
	@$(ROOT_RUN) pytest -v tests/lab_tests

molecule: $(BIN)/.test ## Run the molecule scenarios, in a lab of their own (minutes)
	@$(LAB_TOOLS)
	@$(MOLECULE) --all

bench-boot: $(BIN)/.test ## Time 1 to 100 guests against the floor and against community.libvirt
	@$(PLAY) playbooks/hosts.yml
	@$(ROOT_RUN) python tests/bench/boot/bench.py $(ARGS)

bench-fleet: $(BIN)/.test ## Time the playbooks over 40 simulated hosts against Ansible's own ping of them
	@$(LAB_TOOLS)
	@$(ROOT_RUN) python tests/bench/fleet/bench.py $(ARGS)

bench-scale: $(BIN)/.test ## Time schedule, claim, audit and report of 200 to 10,000 hosts in process
	@$(RUN) python tests/bench/fleet/scale.py $(ARGS)

bench-controller: $(BIN)/.test ## Take the controller's CPU seconds of each stage with 0 to 100 guests on each of ten hosts
	@$(RUN) python tests/bench/fleet/controller.py $(ARGS)

bench-registry: $(BIN)/.test ## Time transactions of 1,000 instances in SQLite and in PostgreSQL
	@$(RUN) python tests/bench/registry/bench.py $(ARGS)

bench-scheduler: $(BIN)/.test ## Time the scheduler on fleets of 200 to 10,000 hosts
	@$(RUN) python tests/bench/scheduler/bench.py $(ARGS)

bench-network: $(BIN)/.test ## Time the ports of a host with 10 to 500 of them
	@$(ROOT_RUN) tests/tools/in-netns python tests/bench/network/bench.py

bench-storage: $(BIN)/.test ## Time images beside curl, sha256sum and the unpackers
	@command -v curl >/dev/null || $(SUDO) apt-get install -y -qq curl
	@$(RUN) python tests/bench/storage/bench.py $(ARGS)
	@$(ROOT_RUN) python tests/bench/storage/disks.py $$(command -v ceph-osd >/dev/null && echo --ceph)

clean: ## Remove the virtual environment and caches of this clone
	rm -rf $(VENV) .cache .ansible build .pytest_cache .ruff_cache .hypothesis tests/output

$(BIN)/.run: requirements/run.lock
	@tests/tools/prepare-venv $(VENV) $(PYTHON) run
	@touch $@

$(BIN)/.test: requirements/test.lock $(BIN)/.run
	@tests/tools/prepare-venv $(VENV) $(PYTHON) test
	@touch $@
