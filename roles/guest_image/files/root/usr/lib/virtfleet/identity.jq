# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The meta data of either layout as assignments for the shell.
def key_lines:
  if type == "string" then .
  elif type == "object" and has("data") then .data
  elif type == "object" and has("openssh-key") then ."openssh-key"
  elif type == "object" or type == "array" then .[] | key_lines
  else empty end;

(."instance-id" // .instance_id // .uuid // "unknown" | tostring | gsub("[^0-9A-Za-z._-]"; "_")) as $iid
| (."local-hostname" // .hostname // .name // "" | tostring) as $name
| ([."public-keys" // .public_keys // .keys // empty | key_lines] | join("\n")) as $keys
| (.admin_pass // "" | tostring) as $password
| "iid=\($iid | @sh) name=\($name | @sh) keys=\($keys | @sh) password=\($password | @sh)"
