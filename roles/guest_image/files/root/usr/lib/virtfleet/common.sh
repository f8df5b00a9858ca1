# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What all scripts of the guest share: where things are, and how a problem is told instead of hanging.
# shellcheck shell=sh disable=SC2034 # what it sets is used by those who read it

run=/run/virtfleet        # this boot: seed/ (normalised copy of the config drive), identity, problems
kept=/var/lib/virtfleet   # all boots: instance-id, seed/

# Say something on the console.
say() {
    echo "virtfleet: $*" >/dev/console
}

# Say on the console what went wrong, and count it: the ready marker tells the number.
problem() {
    echo "$*" | tr '\n' ' ' >>"$run/problems"
    echo >>"$run/problems"
    echo "VIRTFLEET-ERROR $*" >/dev/console
}

# Run a command; its words become a problem if it fails.
attempt() {
    doing=$1
    shift
    words=$("$@" 2>&1) || problem "$doing: $words"
}
