#!/usr/bin/env python3
"""What the real kustomize makes of the overlays of deploy/kubernetes.

  deploy/checks/rendered.py --record

writes deploy/kubernetes/rendered.sha256: the digest of each overlay as kubectl
of this machine renders it. The tests hold the renderer of kustomize.py against
it, so that machines without kubectl check the same resources. Give it after
each change of a manifest.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import kustomize

FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)),
                      "..", "kubernetes")
# Components and labelSelector of patches.
LEAST_VERSION = (4, 5)


def overlays(folder):
  return sorted(os.listdir(os.path.join(folder, "overlays")))


def canonical(documents):
  ordered = sorted(documents, key=kustomize.identity)
  return "".join(json.dumps(d, sort_keys=True) + "\n" for d in ordered)


def digest(documents):
  return hashlib.sha256(canonical(documents).encode()).hexdigest()


def kustomize_version():
  """That of kubectl, (5, 5); None where there is none, or none that will do."""
  if shutil.which("kubectl") is None:
    return None
  result = subprocess.run(["kubectl", "version", "--client"],
                          capture_output=True, text=True, check=False)
  match = re.search(r"Kustomize Version: v(\d+)\.(\d+)", result.stdout)
  version = tuple(map(int, match.groups())) if match else (0, 0)
  return version if version >= LEAST_VERSION else None


def real_render(folder):
  output = subprocess.run(["kubectl", "kustomize", folder], check=True,
                          capture_output=True, text=True).stdout
  return kustomize.parse(output)


def recorded(folder):
  """overlay -> digest."""
  path = os.path.join(folder, "rendered.sha256")
  with open(path, encoding="utf-8") as file:
    lines = [l.split() for l in file if not l.startswith("#")]
  return {name: value for value, name in lines}


def main(args):
  if args != ["--record"]:
    print(__doc__, file=sys.stderr)
    return 2
  version = kustomize_version()
  if version is None:
    print("error: found no kubectl with kustomize "
          f"{'.'.join(map(str, LEAST_VERSION))} or later", file=sys.stderr)
    return 1
  path = os.path.join(FOLDER, "rendered.sha256")
  with open(path, "w", encoding="utf-8") as file:
    file.write("# Written by deploy/checks/rendered.py --record, with "
               f"kustomize {'.'.join(map(str, version))}.\n")
    for name in overlays(FOLDER):
      documents = real_render(os.path.join(FOLDER, "overlays", name))
      file.write(f"{digest(documents)}  {name}\n")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
