"""Renders the kustomizations of deploy/kubernetes as `kubectl kustomize` does.

Debian 12 has no kustomize that knows components and `labelSelector`; this is
the part of it that ours need, and an error for whatever else is asked of it.
deploy/kubernetes/rendered.sha256 holds what the real one made of each overlay.
"""

import copy
import os
import re

import yaml

# The one in C is ten times as fast, and not everywhere.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

KINDS = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
KEYS = {"apiVersion", "kind", "namespace", "resources", "components",
        "patches"}
CLUSTER_KINDS = {"Namespace"}
# Lists that a strategic merge joins by a key; others are replaced.
MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


class KustomizeError(Exception):
  """Says which file is at fault, and why."""


def parse(text):
  return [d for d in yaml.load_all(text, Loader=LOADER) if d is not None]


def read_documents(path):
  try:
    with open(path, encoding="utf-8") as file:
      return parse(file)
  except (OSError, yaml.YAMLError) as error:
    raise KustomizeError(f"{path}: {error}") from error


def identity(doc):
  return doc.get("kind", ""), doc.get("metadata", {}).get("name", "")


def render(folder):
  """The resources of a kustomization, ordered by kind and name."""
  resources = _accumulate(folder, "Kustomization", [])
  return sorted(resources, key=identity)


def _accumulate(folder, kind, resources):
  path = os.path.join(folder, "kustomization.yaml")
  documents = read_documents(path)
  if len(documents) != 1:
    raise KustomizeError(
        f"{path}: found {len(documents)} documents, expected one")
  spec = documents[0]
  unknown = sorted(set(spec) - KEYS)
  if unknown:
    raise KustomizeError(
        f"{path}: found {unknown[0]}, expected one of {sorted(KEYS)}")
  if spec.get("kind") != kind or spec.get("apiVersion") != KINDS[kind]:
    raise KustomizeError(
        f"{path}: found {spec.get('apiVersion')} {spec.get('kind')}, "
        f"expected {KINDS[kind]} {kind}")
  for name in spec.get("resources", []):
    _add(resources, _load(os.path.join(folder, name)), path)
  for name in spec.get("components", []):
    resources = _accumulate(
        os.path.join(folder, name), "Component", resources)
  for patch in spec.get("patches", []):
    resources = _patch(resources, patch, folder, path)
  if "namespace" in spec:
    for doc in resources:
      if doc["kind"] not in CLUSTER_KINDS:
        doc["metadata"]["namespace"] = spec["namespace"]
  return resources


def _load(path):
  if os.path.isdir(path):
    return _accumulate(path, "Kustomization", [])
  documents = read_documents(path)
  for doc in documents:
    if not isinstance(doc, dict) or not all(identity(doc)):
      raise KustomizeError(
          f"{path}: found a document without kind or metadata.name")
  return documents


def _add(resources, documents, path):
  known = {identity(doc) for doc in resources}
  for doc in documents:
    if identity(doc) in known:
      raise KustomizeError(f"{path}: {' '.join(identity(doc))} is there twice")
    known.add(identity(doc))
    resources.append(doc)


def _patch(resources, patch, folder, path):
  unknown = sorted(set(patch) - {"path", "patch", "target"})
  if unknown or ("path" in patch) == ("patch" in patch):
    raise KustomizeError(
        f"{path}: a patch has {sorted(patch)}, expected target and one of "
        "path and patch")
  where = path
  if "path" in patch:
    where = os.path.join(folder, patch["path"])
    contents = read_documents(where)
  else:
    contents = parse(patch["patch"])
  if len(contents) != 1:
    raise KustomizeError(
        f"{where}: found {len(contents)} documents, expected one")
  content = contents[0]
  if isinstance(content, list):
    if "target" not in patch:
      raise KustomizeError(f"{path}: a list of operations needs a target")
    for doc in resources:
      if _matches(doc, patch["target"], path):
        for operation in content:
          _apply(doc, operation, where)
    return resources
  if "target" in patch:
    matching = [d for d in resources if _matches(d, patch["target"], path)]
  else:
    matching = [d for d in resources if identity(d) == identity(content)]
    if not matching:
      raise KustomizeError(
          f"{where}: found no {' '.join(identity(content))} to patch")
  if content.get("$patch") == "delete":
    return [d for d in resources if d not in matching]
  return [_merged_resource(d, content, where) if d in matching else d
          for d in resources]


def _merged_resource(doc, content, where):
  merged = merge(doc, content, where)
  # What names the target does not rename it.
  for key in ("apiVersion", "kind"):
    merged[key] = doc[key]
  merged["metadata"]["name"] = doc["metadata"]["name"]
  return merged


def _matches(doc, target, path):
  unknown = sorted(set(target) - {"kind", "name", "labelSelector"})
  if unknown:
    raise KustomizeError(
        f"{path}: target has {unknown[0]}, expected kind, name or "
        "labelSelector")
  kind, name = identity(doc)
  for key, value in (("kind", kind), ("name", name)):
    if key in target and not re.fullmatch(target[key], value):
      return False
  labels = doc["metadata"].get("labels", {})
  for term in filter(None, target.get("labelSelector", "").split(",")):
    key, equals, value = term.partition("=")
    if not equals:
      raise KustomizeError(
          f"{path}: labelSelector has '{term}', expected key=value")
    if labels.get(key) != value:
      return False
  return True


def merge(base, patch, where):
  """A strategic merge; null removes."""
  if not isinstance(base, dict) or not isinstance(patch, dict):
    return copy.deepcopy(patch)
  merged = dict(base)
  for key, value in patch.items():
    if key.startswith("$"):
      raise KustomizeError(f"{where}: found {key}, which is not known here")
    if value is None:
      merged.pop(key, None)
    elif key in MERGE_KEYS and isinstance(merged.get(key), list):
      merged[key] = _merge_lists(merged[key], value, MERGE_KEYS[key], where)
    elif key in merged:
      merged[key] = merge(merged[key], value, where)
    else:
      merged[key] = copy.deepcopy(value)
  return merged


def _merge_lists(base, patch, key, where):
  """The patch's items come first, as kustomize has it."""
  by_key = {item[key]: item for item in base}
  merged = [merge(by_key.get(item[key], {}), item, where) for item in patch]
  named = {item[key] for item in patch}
  return merged + [item for item in base if item[key] not in named]


def _apply(doc, operation, where):
  """One operation of RFC 6902."""
  name = operation.get("op")
  if name not in ("add", "replace", "remove"):
    raise KustomizeError(
        f"{where}: found op {name}, expected add, replace or remove")
  *parents, last = [
      part.replace("~1", "/").replace("~0", "~")
      for part in operation["path"].lstrip("/").split("/")]
  node = doc
  try:
    for part in parents:
      node = node[int(part)] if isinstance(node, list) else node[part]
    value = copy.deepcopy(operation.get("value"))
    if isinstance(node, list):
      if name == "add":
        node.insert(len(node) if last == "-" else int(last), value)
      elif name == "replace":
        node[int(last)] = value
      else:
        del node[int(last)]
    elif name == "remove":
      del node[last]
    else:
      if name == "replace":
        node[last]  # must be there
      node[last] = value
  except (KeyError, IndexError, ValueError, TypeError) as error:
    raise KustomizeError(
        f"{where}: {' '.join(identity(doc))} has no {operation['path']}"
    ) from error
