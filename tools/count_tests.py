#!/usr/bin/env python3
"""Prints "PASSED FAILED", the test targets in a build event file of Bazel.

The file is what --build_event_json_file wrote. A test target that Bazel meant
to run and that has no summary (it did not build) counts as failed. Exits 1 when
the file names no test.
"""

import json
import sys


def read_events(path):
  try:
    with open(path, encoding="utf-8") as file:
      for line in file:
        try:
          yield json.loads(line)
        except json.JSONDecodeError:
          # The last line is cut when Bazel was killed.
          return
  except FileNotFoundError:
    return


def count(events):
  wanted = set()
  passed = set()
  for event in events:
    if "targetConfigured" in event["id"] and "_test rule" in event.get(
        "configured", {}).get("targetKind", ""):
      wanted.add(event["id"]["targetConfigured"]["label"])
    if "testSummary" in event["id"]:
      label = event["id"]["testSummary"]["label"]
      wanted.add(label)
      # FLAKY passed in the end, but not at once.
      if event.get("testSummary", {}).get("overallStatus") == "PASSED":
        passed.add(label)
  return len(passed), len(wanted - passed), sorted(wanted - passed)


def main():
  passed, failed, names = count(read_events(sys.argv[1]))
  for name in names:
    print(f"FAILED: {name}", file=sys.stderr)
  print(passed, failed)
  return 0 if passed + failed > 0 else 1


if __name__ == "__main__":
  sys.exit(main())
