"""Holds Kubernetes resources against the TypeScript declarations of the npm
package kubernetes-models: which keys there are, which must be there, and what
their values are. (Its validators let unknown keys pass.)

The part of TypeScript is that of generated declarations: interfaces, arrays,
maps, unions of literals and names; whatever else is an error.
"""

import functools
import os
import re

TOKEN = re.compile(r'\s*("[^"]*"|[\w$]+|[<>{}\[\]|;:?])')
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
PRIMITIVES = {"string": (str,), "number": (int, float), "boolean": (bool,),
              "any": (object,), "object": (dict,)}


class DeclarationError(Exception):
  """A declaration of a shape that is not known here."""


class _Parser:
  """Types become tuples whose first item says what they are."""

  def __init__(self, text, path):
    self._tokens = TOKEN.findall(text)
    self._at = 0
    self._path = path

  def _next(self, expected=None):
    if self._at >= len(self._tokens):
      raise DeclarationError(f"{self._path}: ends too early")
    token = self._tokens[self._at]
    if expected is not None and token != expected:
      raise DeclarationError(
          f"{self._path}: found {token}, expected {expected}")
    self._at += 1
    return token

  def _peek(self):
    return self._tokens[self._at] if self._at < len(self._tokens) else ""

  def fields(self):
    """name -> (type, whether it must be there), of an interface's inside."""
    found = {}
    while self._peek() not in ("", "}"):
      name = self._next().strip('"')
      optional = self._peek() == "?"
      if optional:
        self._next()
      self._next(":")
      found[name] = (self.type(), not optional)
      self._next(";")
    return found

  def type(self):
    members = [self._single()]
    while self._peek() == "|":
      self._next()
      members.append(self._single())
    return members[0] if len(members) == 1 else ("union", members)

  def _single(self):
    token = self._next()
    if token.startswith('"'):
      return "literal", token.strip('"')
    if token == "Array":
      self._next("<")
      inner = self.type()
      self._next(">")
      return "array", inner
    if token == "{":
      return self._braces()
    if token in PRIMITIVES:
      return "primitive", token
    return "name", token, self._path

  def _braces(self):
    if self._peek() != "[":
      fields = self.fields()
      self._next("}")
      return "object", fields
    self._next("[")
    self._next()
    self._next(":")
    self._next("string")
    self._next("]")
    self._next(":")
    inner = self.type()
    self._next(";")
    self._next("}")
    return "map", inner


class Declarations:
  """The declarations below a folder node_modules."""

  def __init__(self, modules):
    self._modules = modules

  def check(self, document):
    """Lines about a resource; each names the path of keys."""
    group = document.get("apiVersion", "")
    where = f"{document.get('kind')} {document['metadata'].get('name')}"
    path = os.path.join(self._modules, "kubernetes-models", group,
                        f"{document.get('kind')}.d.ts")
    if not os.path.exists(path):
      return [f"{where}: there is no {document.get('kind')} in {group}"]
    declared = self._declaration(path, "I" + document["kind"])
    return list(self._check(document, declared, where, ""))

  @functools.lru_cache(maxsize=None)
  def _text(self, path):
    with open(path, encoding="utf-8") as file:
      return COMMENT.sub("", file.read())

  @functools.lru_cache(maxsize=None)
  def _declaration(self, path, name):
    """The type called `name` in the file, by whatever name it leaves it."""
    text = self._text(path)
    alias = re.search(rf"export \{{.*\b(\w+) as {name}\b.*\}}", text)
    if alias:
      name = alias.group(1)
    found = re.search(rf"interface {name}\b[^{{]*\{{(.*?)\n\}}", text,
                      re.DOTALL)
    if found:
      return "object", _Parser(found.group(1), path).fields()
    found = re.search(rf"type {name} = (.*?);\n", text, re.DOTALL)
    if found:
      return _Parser(found.group(1), path).type()
    raise DeclarationError(f"{path}: declares no {name}")

  def _resolve(self, declared):
    while declared[0] == "name":
      _, name, path = declared
      source = re.search(
          rf'import \{{[^}}]*\b{name}\b[^}}]*\}} from "([^"]+)"',
          self._text(path))
      if source is None:
        declared = self._declaration(path, name)
        continue
      target = source.group(1)
      base = (os.path.dirname(path) if target.startswith(".")
              else self._modules)
      declared = self._declaration(
          os.path.normpath(os.path.join(base, target + ".d.ts")), name)
    return declared

  def _check(self, value, declared, where, at):
    declared = self._resolve(declared)
    kind = declared[0]
    if kind == "object":
      yield from self._check_object(value, declared[1], where, at)
    elif kind == "map":
      if not isinstance(value, dict):
        yield f"{where}: {at} is {value!r}, expected a map"
        return
      for key, item in value.items():
        yield from self._check(item, declared[1], where, f"{at}.{key}")
    elif kind == "array":
      if not isinstance(value, list):
        yield f"{where}: {at} is {value!r}, expected a list"
        return
      for i, item in enumerate(value):
        yield from self._check(item, declared[1], where, f"{at}[{i}]")
    elif not self._is_one_of(value, declared):
      yield f"{where}: {at} is {value!r}, expected {_describe(declared)}"

  def _check_object(self, value, fields, where, at):
    if not isinstance(value, dict):
      yield f"{where}: {at or 'it'} is {value!r}, expected an object"
      return
    for key, item in value.items():
      path = f"{at}.{key}".lstrip(".")
      if key not in fields:
        yield f"{where}: {path} is no key of its kind"
      else:
        yield from self._check(item, fields[key][0], where, path)
    for key, (_, required) in fields.items():
      if required and key not in value:
        yield f"{where}: {at or 'it'} has no {key}"

  def _is_one_of(self, value, declared):
    if declared[0] == "union":
      return any(self._is_one_of(value, self._resolve(member))
                 for member in declared[1])
    if declared[0] == "literal":
      return value == declared[1]
    if declared[0] == "primitive":
      if isinstance(value, bool):
        return declared[1] in ("boolean", "any")
      return isinstance(value, PRIMITIVES[declared[1]])
    raise DeclarationError(f"a union of {declared[0]} is not known here")


def _describe(declared):
  if declared[0] == "union":
    return " or ".join(_describe(member) for member in declared[1])
  return repr(declared[1]) if declared[0] == "literal" else str(declared[1])
