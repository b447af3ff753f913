"""Compares the packages of an image's last stage with what its programs load.

A program loads what it links to (DT_NEEDED), what that links to (ldd), and what
it opens by name (a libX.so.N among its bytes). Packages come from dpkg, so the
programs must have been built on the image's release of Debian.
"""

import functools
import os
import re
import subprocess

# In the text of a program: what it may dlopen.
SONAME = re.compile(rb"(?<=\0)lib[\w+-]+\.so(?:\.\d+)+(?=\0)")


class ImageError(Exception):
  """Says what is wrong with the Dockerfile or the machine."""


def _run(*command):
  return subprocess.run(command, check=True, capture_output=True,
                        text=True).stdout


def instructions(path):
  """(keyword, rest) of each instruction, joined, without comments."""
  with open(path, encoding="utf-8") as file:
    lines = [l for l in file.read().split("\n")
             if not l.lstrip().startswith("#")]
  text = "\n".join(lines).replace("\\\n", " ")
  for line in text.split("\n"):
    keyword, _, rest = line.strip().partition(" ")
    if keyword:
      yield keyword.upper(), rest.strip()


def installed(path):
  """The packages that the last stage installs."""
  packages = []
  for keyword, rest in instructions(path):
    if keyword == "FROM":
      packages = []
    elif keyword == "RUN":
      for command in re.split(r"&&|;", rest):
        words = command.split()
        if "apt-get" in words and "install" in words:
          packages += [w for w in words[words.index("install") + 1:]
                       if not w.startswith("-")]
  if not packages:
    raise ImageError(f"{path}: the last stage installs nothing")
  return packages


def programs(path):
  """PACKAGE/TARGET of what the image holds."""
  for keyword, rest in instructions(path):
    if keyword == "ARG" and rest.startswith("PROGRAMS="):
      return rest.partition("=")[2].strip('"').split()
  raise ImageError(f"{path}: found no ARG PROGRAMS")


def entry_point(path):
  """The name of the program that runs the others."""
  found = [rest for keyword, rest in instructions(path)
           if keyword == "ENTRYPOINT"]
  if not found:
    raise ImageError(f"{path}: found no ENTRYPOINT")
  return os.path.basename(found[-1].strip("[] ").split(",")[0].strip('" '))


def packages_of(libraries):
  """The packages that these files of this machine are from."""
  real = {os.path.realpath(library) for library in libraries}
  # /lib is a link to /usr/lib, and dpkg knows each file by one of the names.
  names = {path: {path, path.removeprefix("/usr")} for path in real}
  found = {}
  output = subprocess.run(
      ["dpkg", "-S", *sorted(set().union(*names.values()))],
      capture_output=True, text=True, check=False).stdout
  for line in output.splitlines():
    owner, _, path = line.partition(": ")
    found[path] = owner.split(":")[0]
  packages = set()
  for path in real:
    owners = {found[name] for name in names[path] if name in found}
    if not owners:
      raise ImageError(f"{path} is from no package")
    packages |= owners
  return packages


@functools.lru_cache(maxsize=None)
def _loader_paths():
  """soname -> path, of what the loader would find."""
  paths = {}
  for line in _run("/sbin/ldconfig", "-p").split("\n"):
    match = re.match(r"\s+(\S+) \(libc6,x86-64.*\) => (\S+)", line)
    if match:
      paths.setdefault(match.group(1), match.group(2))
  return paths


def _linked(file):
  """soname -> path of all that is loaded with a program or library."""
  loaded = {}
  for line in _run("ldd", file).split("\n"):
    match = re.match(r"\s+(\S+) => (\S+) \(0x", line)
    if match:
      loaded[match.group(1)] = match.group(2)
    elif "not found" in line:
      raise ImageError(f"{file}: {line.strip()}")
  return loaded


@functools.lru_cache(maxsize=None)
def libraries_of(program):
  """Two sets of packages: what it asks for, and that with what those load."""
  needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]",
                          _run("readelf", "-d", program)))
  loaded = _linked(program)
  with open(program, "rb") as file:
    named = {n.decode() for n in SONAME.findall(file.read())}
  asked = {loaded[soname] for soname in needed if soname in loaded}
  for soname in named - set(loaded):
    path = _loader_paths().get(soname)
    if path is None:
      raise ImageError(f"{program}: opens {soname}, which is not here")
    asked.add(path)
    loaded.update(_linked(path))
  return packages_of(asked), packages_of(asked | set(loaded.values()))


class Debian:
  """The installed packages of this machine and what they depend on."""

  def __init__(self):
    self._depends = {}
    self._provides = {}
    output = _run("dpkg-query", "-W", "-f",
                  "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n")
    for line in output.split("\n"):
      if not line:
        continue
      name, depends, provides = line.split("\t")
      self._depends[name] = [
          [re.split(r"[ (:]", alternative.strip())[0]
           for alternative in group.split("|")]
          for group in depends.split(",") if group.strip()]
      self._provides[name] = {re.split(r"[ (]", p.strip())[0]
                              for p in provides.split(",") if p.strip()}

  def closure(self, packages):
    """They and what apt would bring along, without recommendations."""
    found = set()
    provided = set()
    for package in packages:
      provided |= self._provides.get(package, set())
    waiting = list(packages)
    while waiting:
      package = waiting.pop()
      if package in found:
        continue
      found.add(package)
      for alternatives in self._depends.get(package, []):
        if not any(a in packages or a in provided for a in alternatives):
          waiting.append(alternatives[0])
    return found


def compare(dockerfile, binaries):
  """Lines that say which packages are missing, and which are too many.

  `binaries` are paths of programs.
  """
  listed = installed(dockerfile)
  findings = [f"{dockerfile}: {p} is listed twice"
              for p in sorted(set(listed)) if listed.count(p) > 1]
  asked, loaded = {}, {}
  for binary in binaries:
    direct, all_of_it = libraries_of(binary)
    for package in direct:
      asked.setdefault(package, os.path.basename(binary))
    for package in all_of_it:
      loaded.setdefault(package, os.path.basename(binary))
  debian = Debian()
  brought = debian.closure(set(listed))
  for package in sorted(set(asked) - set(listed)):
    findings.append(f"{dockerfile}: {package} is missing; {asked[package]} "
                    "asks for it")
  for package in sorted(set(loaded) - brought - set(asked)):
    findings.append(f"{dockerfile}: {package} is missing; {loaded[package]} "
                    "loads it, and nothing listed depends on it")
  for package in sorted(set(listed) - set(asked) - {entry_point(dockerfile)}):
    if package not in loaded:
      findings.append(f"{dockerfile}: {package} is surplus; nothing loads it")
    elif package in debian.closure(set(listed) - {package}):
      findings.append(f"{dockerfile}: {package} is surplus; it comes with "
                      "another")
  if entry_point(dockerfile) not in listed:
    findings.append(f"{dockerfile}: {entry_point(dockerfile)} is missing; it "
                    "is the entry point")
  return findings
