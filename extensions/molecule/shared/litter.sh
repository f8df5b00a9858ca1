#!/bin/sh
# What killed runs leave on a host, one of each kind, and beside it the same kinds of somebody else.
set -eu
state=/var/lib/virtfleet
gone=aaaaaaaa-bbbb-4ccc-8ddd-000000000001
full=aaaaaaaa-bbbb-4ccc-8ddd-000000000002
port=aaaaaaaa-bbbb-4ccc-8ddd-000000000003
set -- $state/instances/*/root.qcow2
here=$(basename "$(dirname "$1")")

# Ours.
mkdir -p $state/instances/$gone $state/images
echo '{"volumes": []}' >$state/instances/$gone/volumes.json
qemu-img create -q -f qcow2 $state/instances/$gone/root.qcow2 1M
echo half >"$state/instances/$here/root.qcow2.new"
set -- $state/ports/*.json
saved=$1
sed "s/$(basename "$saved" .json)/$port/; s/\"tap[0-9a-f]\{11\}\"/\"tapaaaaaaaabbb\"/; s/\"uuid\": \"[^\"]*\"/\"uuid\": \"$gone\"/" "$saved" >$state/ports/$port.json
ip tuntap add dev tapcccccccc111 mode tap
ip link set dev tapcccccccc111 alias virtfleet:cccccccc-1111-4111-8111-111111111111
ip link add name vf-old type bridge
ip link set dev vf-old alias virtfleet:nat
echo half >$state/images/0123456789abcdef.part
echo "<secret ephemeral='no' private='yes'><usage type='volume'><volume>$state/instances/$gone/root.qcow2</volume></usage></secret>" >/tmp/secret.xml
virsh -q secret-define /tmp/secret.xml >/dev/null

# In a folder of ours what no stage makes, and in that of a guest a disk that nobody knows.
mkdir -p $state/instances/$full
echo precious >$state/instances/$full/precious.txt
qemu-img create -q -f qcow2 "$state/instances/$here/extra.qcow2" 1M

# Of somebody else.
mkdir -p $state/instances/notes
echo mine >$state/instances/notes/todo
ip tuntap add dev tap0 mode tap
ip link add name br-other type bridge
nft add table bridge other
echo "<domain type='qemu'><name>stranger</name><memory>65536</memory><os><type>hvm</type></os></domain>" >/tmp/stranger.xml
virsh -q define /tmp/stranger.xml
echo "<secret ephemeral='no' private='yes'><usage type='volume'><volume>/srv/other.qcow2</volume></usage></secret>" >/tmp/secret.xml
virsh -q secret-define /tmp/secret.xml >/dev/null
