#!/usr/bin/env python3
"""Writes C++ that holds the contents of files; see third_party/embed.bzl.

Arguments: the header as others include it, the header's path, the source's
path, then NAME=FILE[,FILE...] for each constant.
"""

import re
import sys

LITERAL_BYTES = 4096


def literal(data):
  """An octal escape has three digits: what follows is no part of it."""
  text = "".join(
      chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}"
      for b in data)
  return f'    "{text}"'


def main():
  include, header, source = sys.argv[1:4]
  guard = re.sub(r"\W", "_", f"KODISTIL_{include.upper()}_")
  declared, defined = [], []
  for argument in sys.argv[4:]:
    name, files = argument.split("=", 1)
    data = b""
    for path in files.split(","):
      with open(path, "rb") as file:
        data += file.read()
    declared.append(f"extern const absl::string_view {name};\n")
    pieces = [data[i:i + LITERAL_BYTES]
              for i in range(0, len(data), LITERAL_BYTES)] or [b""]
    defined.append(f"const absl::string_view {name}(\n" +
                   "\n".join(map(literal, pieces)) + f",\n    {len(data)});\n")
  with open(header, "w") as file:
    file.write(f"#ifndef {guard}\n#define {guard}\n\n"
               '#include "absl/strings/string_view.h"\n\n'
               "namespace kodistil {\n\n" + "".join(declared) +
               f"\n}}  // namespace kodistil\n\n#endif  // {guard}\n")
  with open(source, "w") as file:
    file.write(f'#include "{include}"\n\nnamespace kodistil {{\n\n' +
               "\n".join(defined) + "\n}  // namespace kodistil\n")


if __name__ == "__main__":
  main()
