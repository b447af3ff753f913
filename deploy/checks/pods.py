"""Runs the pods of an overlay as processes: each in a network namespace with an
address of its own on one bridge, names of services in /etc/hosts, volumes as
folders. No cluster, no image, no policies; programs, command lines, ports,
probes and certificates are those of the manifests.

To be imported after enter(), which needs no privileges.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import programs

INSIDE = "KODISTIL_PODS_INSIDE"
PATIENCE_SECONDS = 120


def enter():
  """Starts the program again in user, network and mount namespaces where it
  may do as it likes."""
  if os.environ.get(INSIDE):
    return
  os.environ[INSIDE] = "1"
  os.execvp("unshare", ["unshare", "--map-root-user", "--net", "--mount",
                        sys.executable, *sys.argv])


def wait_until(what, condition, seconds=PATIENCE_SECONDS):
  end = time.monotonic() + seconds
  while not condition():
    if time.monotonic() > end:
      raise TimeoutError(f"waited {seconds} s until {what}")
    time.sleep(0.02)


def _run(*command):
  subprocess.run(command, check=True, capture_output=True)


class Network:
  """A bridge, and what each pod's namespace is called."""

  def __init__(self, folder, services):
    """`services`: name -> number of the pod that it leads to."""
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.mkdir("/run/netns")
    self._hosts = os.path.join(folder, "hosts")
    self.point(services)
    _run("mount", "--bind", self._hosts, "/etc/hosts")
    _run("ip", "link", "add", "bridge", "type", "bridge")
    _run("ip", "address", "add", "10.77.0.1/24", "dev", "bridge")
    _run("ip", "link", "set", "bridge", "up")

  def point(self, services):
    """Where names lead from now on."""
    with open(self._hosts, "w", encoding="utf-8") as file:
      file.write("127.0.0.1 localhost\n")
      for name, number in services.items():
        file.write(f"{self.address(number)} {name}\n")

  @staticmethod
  def address(number):
    return f"10.77.0.{number}"

  def add(self, number):
    name = f"pod{number}"
    _run("ip", "netns", "add", name)
    _run("ip", "link", "add", f"v{number}", "type", "veth", "peer", "name",
         "eth0", "netns", name)
    _run("ip", "link", "set", f"v{number}", "master", "bridge", "up")
    _run("ip", "-n", name, "address", "add", self.address(number) + "/24",
         "dev", "eth0")
    for device in ("eth0", "lo"):
      _run("ip", "-n", name, "link", "set", device, "up")
    return name


class Pod:
  """One pod of a workload. Its volumes are folders below `folder`."""

  def __init__(self, workload, number, network, folder):
    self.workload = workload
    self.address = network.address(number)
    self._namespace = network.add(number)
    self._folder = folder
    self._log = os.path.join(folder, f"{workload.name}-{number}.log")
    self._process = None
    self._mounts = {}
    for mount in workload.pod["containers"][0]["volumeMounts"]:
      self._mounts[mount["mountPath"]] = os.path.join(
          folder, f"{workload.name}-{number}", mount["name"])
      os.makedirs(self._mounts[mount["mountPath"]])

  def volume(self, path):
    """The folder behind a path of the container."""
    for mount, folder in self._mounts.items():
      if (path + "/").startswith(mount + "/"):
        return folder + path[len(mount):]
    raise KeyError(path)

  def put(self, path, source):
    shutil.copytree(source, self.volume(path), dirs_exist_ok=True)

  def mount(self, path, folder):
    """A folder that is in the image, where no volume is."""
    self._mounts[path] = folder

  def _command(self, container, more):
    args = []
    for arg in [*container.args, *more]:
      arg = arg.replace("10.0.0.1", self.address)  # cluster.Container's
      name, equals, value = arg.partition("=")
      if value.startswith("/"):
        value = self.volume(value)
      args.append(name + equals + value)
    return ["nsenter", f"--net=/run/netns/{self._namespace}",
            os.path.abspath(programs.PATHS[container.program]), *args]

  def initialise(self, *more):
    """Runs the init containers to their end."""
    for container in self.workload.all_containers[
        len(self.workload.containers):]:
      with open(self._log, "a", encoding="utf-8") as log:
        subprocess.run(self._command(container, more), check=True, stdout=log,
                       stderr=log)

  def start(self, *more):
    with open(self._log, "a", encoding="utf-8") as log:
      self._process = subprocess.Popen(
          self._command(self.workload.main, more), stdout=log, stderr=log)

  def log(self):
    with open(self._log, encoding="utf-8") as file:
      return file.read()

  def runs(self):
    return self._process is not None and self._process.poll() is None

  def wait(self):
    """The exit code."""
    wait_until(f"{self.workload.where} ends", lambda: not self.runs())
    return self._process.returncode

  def terminate(self):
    self._process.terminate()

  def wait_for_the_end(self):
    """The exit code, within the grace period of terminate()."""
    wait_until(f"{self.workload.where} ends", lambda: not self.runs(),
               self.workload.pod["terminationGracePeriodSeconds"])
    return self._process.returncode

  def kill(self):
    if self.runs():
      self._process.kill()
      self._process.wait()

  def url(self, port, path):
    number = self.workload.main.port_number(port)
    return f"http://{self.address}:{number}{path}"

  def probe(self, name):
    """Whether the probe of this name of the manifest succeeds."""
    action = self.workload.main.spec[name]["httpGet"]
    try:
      with urllib.request.urlopen(self.url(action["port"], action["path"]),
                                  timeout=5) as answer:
        return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
      return False

  def wait_for(self, name):
    def succeeds():
      if not self.runs():
        raise ChildProcessError(f"{self.workload.where} ended: {self.log()}")
      return self.probe(name)
    wait_until(f"{name} of {self.workload.where} succeeds", succeeds)


def table_of(log):
  """The lines of a results table that name a trial."""
  return re.findall(r"^Tiny .*?([0-9a-f]{12})", log, re.MULTILINE)
