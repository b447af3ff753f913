#!/usr/bin/env python3
"""deploy/compose.yaml: docker-compose takes it, its programs take their command
lines, and what they dial is there. Mistakes that are planted must be found."""

import os
import re
import subprocess
import tempfile
import unittest

import yaml

import checks
import cluster
import programs

COMPOSE = "deploy/compose.yaml"
PROGRAMS = "."  # the runfiles


def resolved(text):
  """What docker-compose makes of it; ValueError with what it says."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "compose.yaml")
    with open(path, "w", encoding="utf-8") as file:
      file.write(text)
    result = subprocess.run(
        ["docker-compose", "--profile", "serving", "-f", path, "config"],
        capture_output=True, text=True, check=False)
  if result.returncode != 0:
    raise ValueError(result.stderr)
  return yaml.safe_load(result.stdout)


def containers(config):
  return {name: cluster.Container({"name": name, "args": service["command"]},
                                  "compose")
          for name, service in config["services"].items()}


def addresses(config, found):
  """What is dialled is listened to, on a network of both."""
  networks = {n: set(s["networks"]) for n, s in config["services"].items()}
  for name, container in found.items():
    for flag in ("logit_store", "coordinator"):
      if flag not in container.flags:
        continue
      host, _, port = container.flags[flag].rpartition(":")
      where = f"{container.where}: --{flag}={container.flags[flag]}"
      if host not in found:
        yield f"{where}: there is no such service"
      elif port not in [p for _, _, p in found[host].host_and_ports()]:
        yield f"{where}: the service listens on another port"
      elif not networks[name] & networks[host]:
        yield f"{where}: they share no network"


def services(config, found):
  for name, service in config["services"].items():
    container = found[name]
    where = container.where
    yield from container.problems
    yield from programs.check(where, PROGRAMS, container.program,
                              container.args)
    if service.get("read_only") is not True or service["cap_drop"] != ["ALL"]:
      yield f"{where}: expected read_only and cap_drop ALL"
    for _, host, port in container.host_and_ports():
      if not cluster.is_loopback(host) and "insecure" not in container.flags:
        yield f"{where}: {host}:{port} needs --insecure"
    limit = cluster.seconds(container.flags.get("drain_limit", "10s"))
    if container.program == "student_trainer":
      limit = checks.WORKER_SECONDS
    grace = cluster.seconds(service.get("stop_grace_period", "10s"))
    if container.program != "train_ngram" and (
        grace < limit + checks.END_SECONDS):
      yield f"{where}: stop_grace_period is {grace:g} s, expected more"
    for port in service.get("ports", []):
      # "127.0.0.1:8080:8080/tcp", or a map in later versions.
      host = (port.get("host_ip", "") if isinstance(port, dict)
              else re.match(r"[\d.]*(?=:\d+:)|", port).group())
      if not cluster.is_loopback(host):
        yield f"{where}: {port} is published beyond this machine"


def check(text):
  config = resolved(text)
  found = containers(config)
  return [*addresses(config, found), *services(config, found)]


class ComposeTest(unittest.TestCase):

  def setUp(self):
    with open(COMPOSE, encoding="utf-8") as file:
      self.text = file.read()

  def planted(self, old, new):
    self.assertIn(old, self.text)
    return "\n".join(check(self.text.replace(old, new, 1)))

  def test_it_is_right(self):
    self.assertEqual(check(self.text), [])

  def test_parts_are_as_many_as_promised(self):
    config = resolved(self.text)
    self.assertEqual(
        {name: service.get("deploy", {}).get("replicas", 1)
         for name, service in config["services"].items()},
        {"coordinator": 1, "logit-store": 1, "serving": 1, "teacher": 2,
         "train-teacher": 1, "worker": 4})

  def test_wrong_key_is_found(self):
    with self.assertRaisesRegex(ValueError, "restarts"):
      self.planted("restart:", "restarts:")

  def test_wrong_port_is_found(self):
    self.assertIn("--coordinator=coordinator:50070: the service listens on "
                  "another port",
                  self.planted("coordinator:50071", "coordinator:50070"))

  def test_unknown_flag_is_found(self):
    self.assertIn("student_trainer says: error: unknown flag --cache_folder",
                  self.planted("--cache_dir", "--cache_folder"))

  def test_unknown_service_is_found(self):
    self.assertIn("there is no such service",
                  self.planted("--logit_store=logit-store:",
                               "--logit_store=store:"))

  def test_service_on_another_network_is_found(self):
    self.assertIn("they share no network",
                  self.planted("    depends_on: [coordinator]\n",
                               "    depends_on: [coordinator]\n"
                               "    networks: [outside]\n"))

  def test_short_grace_is_found(self):
    self.assertIn("stop_grace_period is 5 s",
                  self.planted("stop_grace_period: 60s",
                               "stop_grace_period: 5s"))

  def test_server_that_would_not_start_is_found(self):
    self.assertIn("0.0.0.0:50061 needs --insecure",
                  self.planted("      - --insecure\n", ""))

  def test_port_beyond_this_machine_is_found(self):
    self.assertIn("is published beyond this machine",
                  self.planted('"127.0.0.1:8080:8080"', '"8080:8080"'))


if __name__ == "__main__":
  unittest.main()
