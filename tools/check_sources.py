#!/usr/bin/env python3
"""Checks of the house rules that need no compiler; see CONTRIBUTING.md.

Reads the names of files from its arguments, relative to the repository's root
(the working directory), and prints one line per finding: "file:line: what".
A line with NOLINT(kodistil-RULE) is not checked for that rule. Exits 1 when
there are findings.
"""

import bisect
import collections
import fnmatch
import os
import re
import sys

TORCH_LIST = "tools/torch_allowlist.txt"
LINE_CAPS = (  # the first pattern that matches counts
    ("*_main.cc", 120), ("*_test.cc", 700), ("*.cc", 500), ("*.h", 200))
FUNCTION_CAP = 60
COLUMNS = 80

# rule, pattern in code (comments and strings taken out), files it applies to,
# files it does not apply to, message
CODE_RULES = (
    ("flags", r"\bABSL_(DECLARE_|RETIRED_)?FLAG\s*\(", "*",
     ("*_main.cc", "*_flags.h"), "flags are defined in *_main.cc only"),
    ("throw", r"\b(throw|try|catch)\b", "*", ("base/*bridge*",),
     "exceptions stay inside the bridges of base/"),
    ("sleep", r"\b(SleepFor|u?sleep|nanosleep|sleep_(for|until))\s*\(",
     "*_test.cc", (), "tests do not sleep: wait for an event"),
    ("namespace", r"\busing\s+namespace\b", "*", (),
     "name what is used instead of `using namespace`"),
)

# rule, pattern in the whole line of any text file, message
TEXT_RULES = (
    ("marker",
     r"\b(TO" r"DO|FIX" r"ME|\w*PLACE" r"HOLDER)\b|(?i:\bno" r"commit\b)",
     "leftover marker"),
    ("path", r"(?<![\w.~$}/*])/(work/(main|shared)|home/\w+|root/|Users/\w)",
     "path of one machine"),
    ("space", r"[ \t]+$", "space at the end of the line"),
)

# Files that are damaged on purpose.
UNCHECKED = ("tests/fuzz_corpus/",)

findings = []


def report(path, line, what):
  findings.append((path, line, what))


def allowed(line_text, rule):
  return f"NOLINT(kodistil-{rule})" in line_text


def matches_any(path, patterns):
  return any(fnmatch.fnmatch(path, p) for p in patterns)


TOKEN = re.compile(
    r"""//[^\n]*(?:\\\n[^\n]*)*            # line comment
      | /\*.*?\*/                          # block comment
      | \bR"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"   # raw string
      | "(?:[^"\\\n]|\\.)*"                # string
      | (?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+'  # character, not 1'000
    """, re.VERBOSE | re.DOTALL)


def blank(text):
  return re.sub(r"[^\n]", " ", text)


def code_only(text):
  """The text with comments and literals replaced by blanks, and the lines that
  lie inside raw strings."""
  raw_lines = set()

  def replace(match):
    token = match.group(0)
    if token.startswith("R"):
      first = text.count("\n", 0, match.start()) + 1
      raw_lines.update(range(first, first + token.count("\n") + 1))
    if token.startswith("/"):
      return blank(token)
    return '"' + blank(token[1:-1]) + '"'

  return TOKEN.sub(replace, text), raw_lines


class Lines:
  """Line numbers of offsets."""

  def __init__(self, text):
    self.text = text.split("\n")
    self._starts = [0]
    for line in self.text:
      self._starts.append(self._starts[-1] + len(line) + 1)

  def number(self, offset):
    return bisect.bisect_right(self._starts, offset)

  def at(self, offset):
    return self.text[self.number(offset) - 1]


FUNCTION_HEAD = re.compile(
    r"""\)\s*
        (?:(?:const|noexcept|override|final|mutable|&&?
            |ABSL_\w+\s*(?:\([^{}]*\))?)\s*)*
        (?:->[^;{}]+)?$""", re.VERBOSE | re.DOTALL)
NOT_FUNCTION = re.compile(
    r"^\s*(?:(?:inline\s+)?namespace|if|for|while|switch|else|do|enum)\b")


def functions(code):
  """(begin, end) offsets of the outermost function definitions."""
  stack = []  # the beginning of a function's text, or None
  begin = 0  # of the text that leads up to the next brace
  found = []
  head_kept = None  # of a constructor with a braced member initialiser
  for match in re.finditer(r"[{};]", code):
    offset, token = match.start(), match.group(0)
    head = code[begin:offset]
    if token == "{":
      inside = any(b is not None for b in stack)
      start = None
      is_initialiser = re.search(
          r"\)\s*(?:noexcept\s*)?:(?!:)[^;]*\w\s*$", head)
      if not inside and not NOT_FUNCTION.match(head):
        if FUNCTION_HEAD.search(head) or re.search(
            r"\)\s*(?:noexcept\s*)?:(?!:)[^;]*\)\s*$", head):
          start = begin + len(head) - len(head.lstrip())
        elif head_kept is not None and not head.strip():
          start = head_kept
      stack.append(start)
      if not inside and start is None and is_initialiser:
        head_kept = begin + len(head) - len(head.lstrip())
      elif start is not None or head.strip(" \n,"):
        head_kept = head_kept if re.match(r"^\s*,", head) else None
    elif token == "}" and stack:
      start = stack.pop()
      if start is not None:
        found.append((start, offset))
    else:
      head_kept = None
    begin = offset + 1
  return found


def preprocessor_blanked(code):
  """Macro definitions are not functions and may not balance their braces."""
  return re.sub(r"^[ \t]*#[^\n]*(?:\\\n[^\n]*)*",
                lambda m: blank(m.group(0)), code, flags=re.MULTILINE)


def check_cpp(path, text, torch_files):
  code, raw_lines = code_only(text)
  lines = Lines(text)
  for rule, pattern, where, exempt, message in CODE_RULES:
    if not fnmatch.fnmatch(path, where) or matches_any(path, exempt):
      continue
    for match in re.finditer(pattern, code):
      if not allowed(lines.at(match.start()), rule):
        report(path, lines.number(match.start()), message)
  includes_torch = None
  for number, line in enumerate(lines.text, 1):
    if re.match(r'\s*#\s*include\s*[<"](torch|ATen|c10)/', line):
      includes_torch = includes_torch or number
  if includes_torch and path not in torch_files:
    report(path, includes_torch,
           f"LibTorch's headers only in the .cc files of {TORCH_LIST}")
  for pattern, cap in LINE_CAPS:
    if fnmatch.fnmatch(path, pattern):
      if len(lines.text) - 1 > cap:
        report(path, cap + 1, f"{len(lines.text) - 1} lines; at most {cap}")
      break
  structure = preprocessor_blanked(code)
  for begin, end in functions(structure):
    first, last = lines.number(begin), lines.number(end)
    if last - first + 1 > FUNCTION_CAP:
      report(path, first,
             f"function of {last - first + 1} lines; at most {FUNCTION_CAP}")
  if path.endswith(".h"):
    check_header(path, lines)
  check_columns(path, lines.text, raw_lines)
  return bool(includes_torch)


def check_header(path, lines):
  if not lines.text[0].startswith("// "):
    report(path, 1, "the first line says in a comment what the header is")
  guard = "KODISTIL_" + re.sub(r"\W", "_", path).upper() + "_"
  if f"#ifndef {guard}" not in lines.text:
    report(path, 1, f"expected the include guard {guard}")


def check_columns(path, lines, skip=()):
  for number, line in enumerate(lines, 1):
    if len(line) <= COLUMNS or number in skip or "://" in line:
      continue
    if re.match(r"\s*#\s*include\b", line) or allowed(line, "columns"):
      continue
    # A single word cannot be broken.
    if len(re.sub(r"^\s*(//|#|\*)?\s*", "", line).split()) <= 1:
      continue
    report(path, number, f"{len(line)} columns; at most {COLUMNS}")


PROTO_RPC = re.compile(
    r"\brpc\s+(\w+)\s*\(\s*(?:stream\s+)?([\w.]+)\s*\)"
    r"\s*returns\s*\(\s*(?:stream\s+)?([\w.]+)\s*\)")
PROTO_FIELD = re.compile(
    r"^\s*(?:(?:optional|repeated)\s+)?(?:map\s*<[^>]*>|[\w.]+)\s+(\w+)\s*=\s*"
    r"\d+")
PROTO_VALUE = re.compile(r"^\s*(\w+)\s*=\s*(-?\d+)\s*[;\[]")


def has_comment(lines, number):
  """Whether line `number` (from 1) has a comment above it or at its end."""
  return "//" in lines[number - 1] or (
      number > 1 and lines[number - 2].strip().startswith("//"))


def check_proto(path, text, rpc_types, explained, unexplained):
  """`explained` and `unexplained` collect where each field name stands with and
  without a comment."""
  lines = text.split("\n")
  if not re.search(r"^package kodistil\.v1;$", text, re.MULTILINE):
    report(path, 1, "expected `package kodistil.v1;`")
  blocks = []  # (kind, name) of the open braces
  for number, line in enumerate(lines, 1):
    code = line.split("//")[0]
    opened = re.match(r"^\s*(message|enum|service|oneof)\s+(\w+)\s*{", code)
    if opened:
      check_proto_block(path, lines, number, *opened.groups())
      if "}" not in code:
        blocks.append(opened.groups())
      continue
    kind, name = blocks[-1] if blocks else ("", "")
    if kind == "enum":
      check_proto_value(path, lines, number, name, PROTO_VALUE.match(code))
    elif kind in ("message", "oneof") and PROTO_FIELD.match(code):
      field = PROTO_FIELD.match(code).group(1)
      if not re.fullmatch(r"[a-z][a-z0-9_]*", field):
        report(path, number, f"the field {field} is not lower_snake_case")
      (explained if has_comment(lines, number) else unexplained)[field].append(
          (path, number))
    if re.match(r"^\s*rpc\s", code) and not has_comment(lines, number):
      report(path, number, "the rpc has no comment")
    for brace in re.findall(r"[{}]", code):
      if brace == "{":
        blocks.append(("", ""))
      elif blocks:
        blocks.pop()
  check_proto_rpcs(path, text, rpc_types)
  check_columns(path, lines)


def check_proto_block(path, lines, number, kind, name):
  # A request and a response are described by their rpc.
  described = kind == "message" and re.search(r"(Request|Response)$", name)
  if not described and kind != "oneof" and not has_comment(lines, number):
    # A nested enum is described by the field that has its type.
    if not lines[number - 1].startswith(" "):
      report(path, number, f"the {kind} {name} has no comment")
  if kind == "service" and not name.endswith("Service"):
    report(path, number, f"the name of the service {name} must end in Service")


def check_proto_value(path, lines, number, enum, match):
  if not match:
    return
  name, value = match.groups()
  prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum).upper() + "_"
  if not name.startswith(prefix):
    report(path, number, f"the value {name} of {enum} must begin with {prefix}")
  if value == "0" and not name.endswith("_UNSPECIFIED"):
    report(path, number, f"the zero of {enum} must end in _UNSPECIFIED")


def check_proto_rpcs(path, text, rpc_types):
  lines = Lines(text)
  for match in PROTO_RPC.finditer(text):
    number = lines.number(match.start())
    for type_name, suffix in zip(match.groups()[1:], ("Request", "Response")):
      if not type_name.endswith(suffix):
        report(path, number, f"{type_name} must end in {suffix}")
      rpc_types[type_name].append((path, number, match.group(1)))


CC_RULE = re.compile(r"^(cc_library|cc_binary|cc_test)\((.*?)^\)",
                     re.MULTILINE | re.DOTALL)


def check_build(path, text):
  lines = Lines(text)
  for match in CC_RULE.finditer(text):
    kind, body = match.groups()
    number = lines.number(match.start())
    if 'srcs = [' in body and "copts =" not in body:
      report(path, number, f"{kind} without copts = KODISTIL_COPTS")
    if kind == "cc_test" and "size =" not in body:
      report(path, number, "cc_test without a size")
  for match in re.finditer(r'visibility = \["//visibility:public"\]', text):
    if not path.startswith("third_party/"):
      report(path, lines.number(match.start()),
             "name the clients instead of public visibility")


def check_files_are_built(paths, texts):
  for path in paths:
    if not path.endswith((".cc", ".h")):
      continue
    folder, name = os.path.split(path)
    build = os.path.join(folder, "BUILD")
    if build not in texts:
      report(path, 1, f"there is no {build}")
    elif f'"{name}"' not in texts[build] and "glob(" not in texts[build]:
      report(path, 1, f"{build} does not name it")


def check_text(path, text):
  for number, line in enumerate(text.split("\n"), 1):
    for rule, pattern, message in TEXT_RULES:
      if rule == "space" and path.endswith((".md", "LICENSE")):
        continue
      if re.search(pattern, line) and not allowed(line, rule):
        report(path, number, message)
  if text and not text.endswith("\n"):
    report(path, text.count("\n") + 1, "no line end at the end of the file")


def check_links(path, text):
  """Links of a document to files of the repository."""
  lines = Lines(text)
  for match in re.finditer(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)", text):
    target = os.path.join(os.path.dirname(path), match.group(1))
    if not os.path.exists(target):
      report(path, lines.number(match.start()), f"there is no {target}")


def source_of(target, texts):
  """The text of a test's source, "" where there is none."""
  folder, name = target[2:].split(":")
  for path in (f"{folder}/{name}.cc", f"{folder}/{name}.sh"):
    if path in texts:
      return texts[path]
  return ""


def check_tried(path, text, texts):
  """Rows of a table with the column "tried by" name tests that are there."""
  tried = False
  for number, line in enumerate(text.split("\n"), 1):
    if not line.startswith("|") or line.endswith("| tried by |"):
      tried = line.endswith("| tried by |")
      continue
    if not tried or line.startswith("|---"):
      continue
    cell = line.rstrip("| ").rsplit("| ", 1)[1]
    target = ""
    for name in re.findall(r"`([^`]+)`", cell):
      if name.startswith("//"):
        target = name
        if not source_of(target, texts):
          report(path, number, f"there is no test {target}")
      elif re.fullmatch(r"\w+", name) and not re.search(
          rf"^TEST.*[ (]{name}\)|^ *{name}\) {{$|^{name}\(\)",
          source_of(target, texts) if target else "", re.MULTILINE):
        report(path, number, f"there is no case {name} in {target}")
    if not target:
      report(path, number, f"nothing tries it: found '{cell}', expected a test")


def check_decisions(texts):
  index = texts.get("docs/adr/README.md", "")
  numbers = {}
  for path in texts:
    match = re.fullmatch(r"docs/adr/(\d{4})-[\w-]+\.md", path)
    if not match:
      continue
    if f"({os.path.basename(path)})" not in index:
      report(path, 1, "docs/adr/README.md does not list it")
    other = numbers.setdefault(match.group(1), path)
    if other != path:
      report(path, 1, f"has the number of {other}")


def read_texts(paths):
  texts = {}
  for path in paths:
    with open(path, "rb") as file:
      data = file.read()
    if b"\0" in data:
      continue
    try:
      texts[path] = data.decode("utf-8")
    except UnicodeDecodeError as error:
      report(path, data[:error.start].count(b"\n") + 1, "not UTF-8")
  return texts


def read_torch_list(texts):
  entries = {}
  for number, line in enumerate(texts.get(TORCH_LIST, "").split("\n"), 1):
    name = line.split("#")[0].strip()
    if name:
      entries[name] = number
      if not name.endswith(".cc"):
        report(TORCH_LIST, number, f"{name}: only .cc files may include it")
  return entries


def main(paths):
  paths = [p for p in paths if os.path.isfile(p) and not os.path.islink(p)
           and not p.startswith(UNCHECKED)]
  texts = read_texts(paths)
  torch_files = read_torch_list(texts)
  torch_users = set()
  rpc_types = collections.defaultdict(list)
  explained = collections.defaultdict(list)
  unexplained = collections.defaultdict(list)
  for path, text in texts.items():
    check_text(path, text)
    if path.endswith((".cc", ".h")):
      if check_cpp(path, text, torch_files):
        torch_users.add(path)
    elif path.endswith(".proto"):
      check_proto(path, text, rpc_types, explained, unexplained)
    elif os.path.basename(path) == "BUILD":
      check_build(path, text)
    elif path.endswith(".md"):
      check_links(path, text)
      check_tried(path, text, texts)
    elif path.endswith((".py", ".sh")) or path == ".ci/run":
      check_columns(path, text.split("\n"))
  check_files_are_built(paths, texts)
  check_decisions(texts)
  for name, number in torch_files.items():
    if name not in torch_users:
      report(TORCH_LIST, number, f"{name} does not include LibTorch")
  # A name means the same everywhere in the package: explained once is enough.
  for field, places in unexplained.items():
    for path, number in places if field not in explained else ():
      report(path, number, f"the field {field} has no comment")
  for type_name, uses in rpc_types.items():
    for path, number, rpc in uses[1:]:
      report(path, number,
             f"{rpc} shares {type_name} with {uses[0][2]}: each rpc its own")
  for path, line, what in sorted(set(findings)):
    print(f"{path}:{line}: {what}")
  return 1 if findings else 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
