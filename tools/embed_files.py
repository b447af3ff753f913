#!/usr/bin/env python3
"""Writes C++ that holds the contents of files; see third_party/embed.bzl.

  embed_files.py --include NAME --header FILE.h --source FILE.cc
      [--unchecked FILE]... CONSTANT=FILE[,FILE...]...

NAME is how others include the header. A page lives under a strict
content-security policy and shows what strangers wrote, so what would break
either is refused here: code or style inside the HTML, markup made from strings,
anything loaded from elsewhere. A whole <style> or <script> may be {{NAME}}, for
a program that fills it in and names its hash in the policy. Prints one line per
finding, "file:line: what", and exits 1 when there are any.
"""

import argparse
import os
import re
import sys

LITERAL_BYTES = 4096
KINDS = (".html", ".js", ".css", ".svg")

# A name of XML, not an address that is loaded.
SVG_NAMESPACE = "http://www.w3.org/2000/svg"

EVERYWHERE = (
    (r"(?:https?|wss?|ftp)://|[\"'(]//\w", "an address of another place"),
    (r"\b(?:inner|outer)HTML\b|\binsertAdjacentHTML\b|\bdocument\.write"
     r"|\bcreateContextualFragment\b|\bDOMParser\b|\bsetHTML\w*\b|\bsrcdoc\b",
     "markup made from a string; use textContent"),
    (r"\beval\s*\(|\bnew\s+Function\b|\bset(?:Timeout|Interval)\(\s*[\"'`]"
     r"|\bjavascript:", "code made from a string"),
)
MARKUP = (
    (r"<style\b[^>]*>(?!\{\{\w+\}\}</style>)",
     "style inside the markup; it belongs into the .css file"),
    (r"<script\b(?![^>]*\bsrc=)[^>]*>(?!\{\{\w+\}\}</script>)",
     "a script inside the markup; it belongs into the .js file"),
    (r"<[^>]*\sstyle\s*=", "a style attribute; the policy refuses it"),
    (r"<[^>]*\son\w+\s*=", "an event attribute; the policy refuses it"),
    (r"<(?:base|iframe|object|embed|form)\b",
     "an element that the policy refuses"),
)
STYLE = ((r"@import\b|\burl\(", "style loads nothing"),)


def findings_of(path, data):
  """What is wrong with a file of a page."""
  kind = os.path.splitext(path)[1]
  if kind not in KINDS:
    yield (f"{path}:1: unknown kind of file; expected {', '.join(KINDS)}, or "
           "that it is listed as unchecked")
    return
  if not data or b"\0" in data:
    yield (f"{path}:1: found {len(data)} bytes, empty or with a zero byte; "
           "expected text")
    return
  try:
    text = data.decode("utf-8")
  except UnicodeDecodeError as error:
    line = data.count(b"\n", 0, error.start) + 1
    yield f"{path}:{line}: found byte {error.start} that is not UTF-8"
    return
  patterns = EVERYWHERE
  if kind in (".html", ".svg"):
    patterns += MARKUP
  if kind in (".css", ".svg"):
    patterns += STYLE
  text = text.replace(SVG_NAMESPACE, "")
  for pattern, what in patterns:
    for match in re.finditer(pattern, text, re.IGNORECASE):
      line = text.count("\n", 0, match.start()) + 1
      yield f"{path}:{line}: found '{match.group(0)[:40]}', {what}"


def literal(data):
  """An octal escape has three digits: what follows is no part of it."""
  text = "".join(
      chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}"
      for b in data)
  return f'    "{text}"'


def definition(name, data):
  pieces = [data[i:i + LITERAL_BYTES]
            for i in range(0, len(data), LITERAL_BYTES)] or [b""]
  return (f"const absl::string_view {name}(\n" +
          "\n".join(map(literal, pieces)) + f",\n    {len(data)});\n")


def write_sources(options, constants):
  guard = re.sub(r"\W", "_", f"KODISTIL_{options.include.upper()}_")
  declared = "".join(f"extern const absl::string_view {name};\n"
                     for name, _ in constants)
  defined = "\n".join(definition(*constant) for constant in constants)
  with open(options.header, "w", encoding="utf-8") as file:
    file.write(f"#ifndef {guard}\n#define {guard}\n\n"
               '#include "absl/strings/string_view.h"\n\n'
               f"namespace kodistil {{\n\n{declared}\n"
               f"}}  // namespace kodistil\n\n#endif  // {guard}\n")
  with open(options.source, "w", encoding="utf-8") as file:
    file.write(f'#include "{options.include}"\n\nnamespace kodistil {{\n\n'
               f"{defined}\n}}  // namespace kodistil\n")


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  for name in ("include", "header", "source"):
    parser.add_argument("--" + name, required=True)
  parser.add_argument("--unchecked", action="append", default=[])
  parser.add_argument("constants", nargs="+")
  options = parser.parse_args()
  constants, findings = [], []
  for argument in options.constants:
    name, paths = argument.split("=", 1)
    whole = b""
    for path in paths.split(","):
      with open(path, "rb") as file:
        data = file.read()
      if path not in options.unchecked:
        findings += findings_of(path, data)
      whole += data
    constants.append((name, whole))
  for finding in findings:
    print(finding, file=sys.stderr)
  if findings:
    return 1
  write_sources(options, constants)
  return 0


if __name__ == "__main__":
  sys.exit(main())
