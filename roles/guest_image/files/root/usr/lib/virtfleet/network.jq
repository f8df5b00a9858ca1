# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# NoCloud's network-config version 2 or OpenStack's network_data.json as one line for each interface:
# MAC-or-name MTU dhcp(yes|no) addresses routes(to@via) dns; a dash stands for nothing, lists are parted by commas.
def word: tostring | gsub("[^0-9A-Za-z.:/_-]"; "");
def list:
  reduce (.[] | select(. != null and . != "")) as $one ([]; if any(.[]; . == $one) then . else . + [$one] end)
  | if length == 0 then "-" else join(",") end;

# "255.255.255.0", "ffff:ffff:ffff:ffff::", "24" or 24 -> 24 or 64
def prefix:
  tostring
  | if test("^[0-9]+$") then .
    elif contains(":") then split(":") | map(select(length > 0)) | length * 16 | tostring
    else split(".") | map(tonumber | [while(. > 0; (. / 2 | floor)) | . % 2] | add // 0) | add | tostring end;
def cidr($mask): if contains("/") or $mask == null then . else "\(.)/\($mask | prefix)" end;
def target: if . == "default" or . == "0.0.0.0/0" or . == "::/0" then "default" else . end;
def line($match; $mtu; $dhcp; $addresses; $routes; $dns):
  [($match | ascii_downcase | word), ($mtu // "-" | word), (if $dhcp then "yes" else "no" end),
   ($addresses | map(word) | list), ($routes | map("\(.to | word)@\(.via | word)") | list), ($dns | map(word) | list)]
  | join(" ");

def version_2:
  (.ethernets // {}) | to_entries[] | .value as $nic
  | line($nic.match.macaddress // .key; $nic.mtu; $nic.dhcp4 // false;
         [$nic.addresses // [] | .[] | strings];
         [($nic.gateway4, $nic.gateway6 | select(. != null) | {to: "default", via: .}),
          ($nic.routes // [] | .[] | select(.via != null) | {to: (.to | target), via: .via})];
         [$nic.nameservers.addresses // [] | .[]]);

def openstack:
  . as $all
  | .links[] | . as $link
  | [$all.networks // [] | .[] | select(.link == $link.id)] as $networks
  | line($link.ethernet_mac_address // $link.id; $link.mtu; any($networks[]; .type == "ipv4_dhcp");
         [$networks[] | select(.ip_address != null) | .netmask as $mask | .ip_address | cidr($mask)];
         [$networks[]
          | (select(.gateway != null) | {to: "default", via: .gateway}),
            (.routes // [] | .[] | .netmask as $mask | {to: (.network | cidr($mask) | target), via: .gateway})];
         [($networks[].services // [] | .[]), ($all.services // [] | .[]) | select(.type == "dns") | .address]);

(.network? // .)
| if .version == 2 then version_2
  elif has("links") then openstack
  elif . == {} then empty
  else error("neither network-config version 2 nor network_data.json, but \(keys | join(", "))") end
