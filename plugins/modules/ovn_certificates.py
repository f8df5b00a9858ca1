#!/usr/bin/python
# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_certificates
short_description: Make the certificates that OVN speaks TLS with
description:
  - A host makes its key and asks for a certificate, the central signs it, and the host takes it. Keys never leave where
    they were made, that of the authority not the central.
author:
  - The virtfleet.compute authors (@virtfleet)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: linux
    support: full
options:
  state:
    description:
      - V(requested) makes the host's key and tells the request for its certificate, if it has no good one.
      - V(signed) makes the authority if there is none, and signs O(requests).
      - V(installed) writes O(certificate) and O(authority).
    type: str
    choices: [requested, signed, installed]
    required: true
  name:
    description: What the host is called among the hosts of OVN.
    type: str
    default: ""
  requests:
    description: Requests to sign, by the name of the host.
    type: dict
    default: {}
  certificate:
    description: The certificate to install.
    type: str
    default: ""
  authority:
    description: The certificate of the authority.
    type: str
    default: ""
  directory:
    description: Where keys and certificates are.
    type: path
    default: /etc/virtfleet/ovn
"""

EXAMPLES = r"""
- name: Ask for a certificate
  virtfleet.compute.ovn_certificates:
    state: requested
    name: kvm1
  register: asked

- name: Sign it
  virtfleet.compute.ovn_certificates:
    state: signed
    requests: {kvm1: "{{ asked.request }}"}
  delegate_to: central
"""

RETURN = r"""
request:
  description: The request, empty where the host has a good certificate.
  type: str
  returned: with O(state=requested)
certificates:
  description: The certificates by the name of the host.
  type: dict
  returned: with O(state=signed)
authority:
  description: The certificate of the authority.
  type: str
  returned: with O(state=signed)
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._model.errors import ItemError
from ..module_utils._ovn import certificates

OPTIONS = {
    "state": {"type": "str", "choices": ["requested", "signed", "installed"], "required": True},
    "name": {"type": "str", "default": ""},
    "requests": {"type": "dict", "default": {}},
    "certificate": {"type": "str", "default": ""},
    "authority": {"type": "str", "default": ""},
    "directory": {"type": "path", "default": "/etc/virtfleet/ovn"},
}


def requested(asked, check_mode):
    """Return whether the host needs a certificate, and the request for it."""
    if certificates.valid(asked["directory"], asked["name"]):
        return {"changed": False, "request": ""}
    made = "" if check_mode else certificates.request(asked["directory"], asked["name"])
    return {"changed": True, "request": made}


def signed(asked, check_mode):
    """Return the certificates for the requests."""
    if check_mode:
        return {"changed": bool(asked["requests"]), "certificates": {}, "authority": ""}
    folder = asked["directory"]
    made = certificates.authority(folder)
    done = {name: certificates.signed(folder, name, text) for name, text in sorted(asked["requests"].items())}
    authority = certificates.read(folder, certificates.AUTHORITY)
    return {"changed": made or bool(done), "certificates": done, "authority": authority}


def installed(asked, check_mode):
    """Return whether the certificates were written."""
    return {"changed": check_mode or certificates.install(asked["directory"], asked["certificate"], asked["authority"])}


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    step = {"requested": requested, "signed": signed, "installed": installed}[module.params["state"]]
    try:
        module.exit_json(**step(module.params, module.check_mode))
    except ItemError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
