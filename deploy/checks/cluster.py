"""What the resources of one overlay are, asked for by name: workloads, their
containers and the programs that these run."""

import math
import re

PREFIX = "app.kubernetes.io/"
WORKLOADS = ("Deployment", "StatefulSet", "Job")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(text):
  """Of a duration as flags have it: 1m30s."""
  parts = DURATION.findall(text)
  if not parts or "".join(n + u for n, u in parts) != text:
    return 0.0 if text == "0" else math.nan
  return sum(float(number) * SECONDS[unit] for number, unit in parts)


def is_loopback(host):
  return host == "localhost" or host.startswith("127.") or host == "[::1]"


class Container:
  """A container, and the command line that its program gets."""

  def __init__(self, spec, workload):
    self.spec = spec
    self.name = spec["name"]
    self.where = f"{workload}, container {self.name}"
    self.problems = []
    variables = {e["name"]: self._value(e) for e in spec.get("env", [])}
    args = [self._expand(a, variables) for a in spec.get("args", [])]
    # The image's entry point runs what it gets.
    self.program = args[0] if args else ""
    self.args = args[1:]
    self.flags = {}
    for arg in self.args:
      name, equals, value = arg.lstrip("-").partition("=")
      if name in self.flags:
        self.problems.append(f"{self.where}: --{name} is given twice")
      self.flags[name] = value if equals else "true"
    self.ports = {p.get("name"): p["containerPort"]
                  for p in spec.get("ports", [])}

  def _value(self, env):
    if "value" in env:
      return env["value"]
    source = env.get("valueFrom", {})
    if "resourceFieldRef" in source:
      list_name, _, resource = source["resourceFieldRef"]["resource"].partition(
          ".")
      amount = self.spec.get("resources", {}).get(list_name, {}).get(resource)
      if amount is not None:
        return str(math.ceil(float(amount)))
      self.problems.append(
          f"{self.where}: {env['name']} is {list_name}.{resource}, which is "
          "not set")
      return "1"
    if "fieldRef" in source:
      return "10.0.0.1"  # what the checks ask is the same for each pod
    self.problems.append(f"{self.where}: {env['name']} has no value")
    return ""

  def _expand(self, text, variables):
    def value(match):
      name = match.group(1)
      if name not in variables:
        self.problems.append(
            f"{self.where}: $({name}) is not in env ({text})")
      return variables.get(name, "")
    return re.sub(r"\$\((\w+)\)", value, text)

  def host_and_ports(self):
    """(flag, host, port) of all that the program listens on."""
    flags = self.flags
    if "listen" in flags:
      host, _, port = flags["listen"].rpartition(":")
      yield "listen", host, port
    elif "port" in flags:
      yield "port", flags.get("host", "127.0.0.1"), flags["port"]
    for name in ("http", "metrics"):
      if f"{name}_port" in flags:
        yield (f"{name}_port", flags.get(f"{name}_host", "127.0.0.1"),
               flags[f"{name}_port"])

  def port_number(self, port):
    """Of a probe's or service's port, by number or by name."""
    if isinstance(port, int):
      return port if port in self.ports.values() else None
    return self.ports.get(port)


class Workload:
  """A Deployment, StatefulSet or Job."""

  def __init__(self, doc):
    self.doc = doc
    self.kind = doc["kind"]
    self.name = doc["metadata"]["name"]
    self.where = f"{self.kind} {self.name}"
    self.spec = doc["spec"]
    self.labels = self.spec["template"].get("metadata", {}).get("labels", {})
    self.pod = self.spec["template"]["spec"]
    self.containers = [Container(c, self.where)
                       for c in self.pod.get("containers", [])]
    self.all_containers = self.containers + [
        Container(c, self.where) for c in self.pod.get("initContainers", [])]

  @property
  def main(self):
    return self.containers[0]

  def matches(self, selector):
    return all(self.labels.get(k) == v for k, v in selector.items())


class Cluster:
  """The resources that an overlay renders to."""

  def __init__(self, documents):
    self.documents = documents
    self.workloads = [Workload(d) for d in documents
                      if d["kind"] in WORKLOADS]

  def of_kind(self, kind):
    return [d for d in self.documents if d["kind"] == kind]

  def find(self, kind, name):
    for doc in self.of_kind(kind):
      if doc["metadata"]["name"] == name:
        return doc
    return None

  def selected(self, selector):
    return [w for w in self.workloads if w.matches(selector)]

  def workload_at(self, address):
    """The workload, its service and the port behind host:port of a flag."""
    host, _, port = address.rpartition(":")
    service = self.find("Service", host)
    if service is None:
      return None, None, port
    found = self.selected(service["spec"].get("selector", {}))
    return (found[0] if found else None), service, port
