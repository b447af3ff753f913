#!/usr/bin/env python3
"""Writes the files of the web page as C++: a function that gives them all.

  embed_assets.py --function NAME --output FILE.cc FILE...

The page lives under a strict content-security policy and shows what strangers
wrote, so what would break either is refused here: code or style inside the
HTML, markup made from strings, anything loaded from elsewhere. Prints one line
per finding, "file:line: what", and exits 1 when there are any.
"""

import argparse
import os
import re
import sys

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

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
    (r"<style\b", "style inside the markup; it belongs into the .css file"),
    (r"<script\b(?![^>]*\bsrc=)[^>]*>",
     "a script inside the markup; it belongs into the .js file"),
    (r"<[^>]*\sstyle\s*=", "a style attribute; the policy refuses it"),
    (r"<[^>]*\son\w+\s*=", "an event attribute; the policy refuses it"),
    (r"<(?:base|iframe|object|embed|form)\b",
     "an element that the policy refuses"),
)
STYLE = ((r"@import\b|\burl\(", "style loads nothing"),)


def findings_of(path, text):
  kind = os.path.splitext(path)[1]
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


def read(path):
  """The text of an asset and what is wrong with it."""
  if os.path.splitext(path)[1] not in CONTENT_TYPES:
    return "", [f"{path}:1: unknown kind of file; expected "
                f"{', '.join(CONTENT_TYPES)}"]
  with open(path, "rb") as file:
    data = file.read()
  if not data or b"\0" in data:
    return "", [f"{path}:1: found {len(data)} bytes, empty or with a zero "
                "byte; expected text"]
  try:
    text = data.decode("utf-8")
  except UnicodeDecodeError as error:
    line = data.count(b"\n", 0, error.start) + 1
    return "", [f"{path}:{line}: found byte {error.start} that is not UTF-8"]
  return text, list(findings_of(path, text))


def literal(text):
  """The bytes as C++ string literals, one for each line of the text."""
  lines = []
  for line in text.encode("utf-8").split(b"\n"):
    # Three octal digits always: a digit that follows is not taken for one.
    lines.append("".join(
        chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}"
        for b in line))
  return "\n".join(f'    "{line}\\n"' for line in lines[:-1]) + (
      f'\n    "{lines[-1]}"')


def served_path(path):
  name = os.path.basename(path)
  return "/" if name == "index.html" else "/" + name


def source(function, assets):
  parts = ["// Made by serving/embed_assets.py.",
           '#include "serving/web_assets.h"', "", "namespace kodistil {",
           "namespace {", ""]
  for i, (_, text) in enumerate(assets):
    parts.append(f"constexpr char kBytes{i}[] =\n{literal(text)};\n")
  parts.append("constexpr WebAsset kAssets[] = {")
  for i, (path, _) in enumerate(assets):
    kind = CONTENT_TYPES[os.path.splitext(path)[1]]
    parts.append(f'    {{"{served_path(path)}", "{kind}", '
                 f"{{kBytes{i}, sizeof(kBytes{i}) - 1}}}},")
  parts += ["};", "", "}  // namespace", "",
            f"absl::Span<const WebAsset> {function}() {{ return kAssets; }}",
            "", "}  // namespace kodistil", ""]
  return "\n".join(parts)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--function", required=True)
  parser.add_argument("--output", required=True)
  parser.add_argument("files", nargs="+")
  options = parser.parse_args()
  assets, findings = [], []
  for path in options.files:
    text, found = read(path)
    assets.append((path, text))
    findings += found
  names = [served_path(path) for path in options.files]
  findings += [f"{path}:1: another file has the name {served_path(path)}"
               for path in options.files
               if names.count(served_path(path)) > 1]
  if "/" not in names:
    findings.append("there is no index.html among the files")
  for finding in findings:
    print(finding, file=sys.stderr)
  if findings:
    return 1
  with open(options.output, "w", encoding="utf-8") as file:
    file.write(source(options.function, assets))
  return 0


if __name__ == "__main__":
  sys.exit(main())
