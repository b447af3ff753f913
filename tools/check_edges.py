#!/usr/bin/env python3
"""Which folder may use which; see the table of rooms in the design.

Reads what `bazel query --output=xml` printed from its standard input and prints
one line per forbidden edge: "file:line: what". Programs started at run time
(data) or while building (tools) are not edges. Exits 1 when there are any.
"""

import collections
import sys
import xml.etree.ElementTree

# Code that a folder's targets may depend on, besides its own and @system.
ALLOWED = {
    "proto": set(),
    "third_party": set(),
    "base": {"proto"},
    "artifacts": {"base", "proto"},
    "corpus": {"artifacts", "base", "proto"},
    "logit_store": {"artifacts", "base", "corpus", "proto"},
    "teacher_service": {"artifacts", "base", "corpus", "logit_store", "proto"},
    "student_trainer": {"artifacts", "base", "corpus", "logit_store", "proto"},
    # Of the store its client alone: see FORBIDDEN_TARGETS.
    # Of deploy the shell of a Slurm task.
    "coordinator": {"artifacts", "base", "corpus", "deploy", "logit_store",
                    "proto"},
    "serving": {"artifacts", "base", "corpus", "proto", "student_trainer"},
    "deploy": set(),
    "docs": set(),
    "tools": set(),
}

# folder -> (prefix of a target that it must not reach, why)
FORBIDDEN_TARGETS = {
    "coordinator": [
        ("//logit_store:rocksdb", "the coordinator speaks to the store as a "
                                  "client"),
    ],
    "student_trainer": [
        ("//logit_store:rocksdb", "trainers speak to the store as clients"),
    ],
    "teacher_service": [
        ("//logit_store:rocksdb", "teachers speak to the store as clients"),
    ],
}

NO_EDGES = {"args", "data", "env", "exec_tools", "licenses", "tags", "tools",
            "visibility"}
BUILT_IN = ("@", "//third_party", "//external", "//tools/", "//:")


def folder_of(label):
  return label[2:].split(":")[0].split("/")[0]


def read_rules(stream):
  """label -> (place, class, labels it is built from)."""
  rules = {}
  for rule in xml.etree.ElementTree.parse(stream).getroot().iter("rule"):
    used = set()
    for attribute in rule:
      if attribute.get("name") in NO_EDGES:
        continue
      if attribute.tag == "label":
        used.add(attribute.get("value"))
      elif attribute.tag in ("list", "dict"):
        used.update(e.get("value") for e in attribute.iter("label"))
    rules[rule.get("name")] = (rule.get("location"), rule.get("class"), used)
  return rules


def is_test(rules, label):
  return rules[label][1].endswith("_test")


def path_to(rules, start, prefix):
  """The labels from `start` to the nearest one with the prefix, or []."""
  queue = collections.deque([(start,)])
  seen = {start}
  while queue:
    path = queue.popleft()
    for used in sorted(rules.get(path[-1], ("", "", ()))[2]):
      if used.startswith(prefix) and used in rules:
        return list(path) + [used]
      if used in rules and used not in seen:
        seen.add(used)
        queue.append(path + (used,))
  return []


def find_forbidden(rules):
  for label, (location, _, used) in sorted(rules.items()):
    folder = folder_of(label)
    line = location.split(":")[1]
    place = f"{label[2:].split(':')[0]}/BUILD:{line}"
    if folder in ALLOWED:
      for other in sorted(used):
        if not other or other.startswith(BUILT_IN):
          continue
        other_folder = folder_of(other)
        if other_folder != folder and other_folder not in ALLOWED[folder]:
          yield f"{place}: {label} must not use {other}"
    elif folder != "tests":
      yield f"{place}: tools/check_edges.py does not know the folder {folder}"
    # Tests may run the real store.
    if is_test(rules, label):
      continue
    for prefix, why in FORBIDDEN_TARGETS.get(folder, ()):
      path = path_to(rules, label, prefix)
      if path:
        yield f"{place}: {' -> '.join(path)}: {why}"


def main():
  try:
    rules = read_rules(sys.stdin)
  except xml.etree.ElementTree.ParseError as error:
    print(f"bazel query gave no XML: {error}")
    return 1
  findings = list(find_forbidden(rules))
  for finding in findings:
    print(finding)
  return 1 if findings else 0


if __name__ == "__main__":
  sys.exit(main())
