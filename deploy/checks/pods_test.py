#!/usr/bin/env python3
"""The command lines of the overlays tls and serving, run: a sweep of pods that
are processes, over mutual TLS, with the certificates of deploy/certs.sh."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
import urllib.request

import cluster
import kustomize
import pods

FOLDER = "deploy/kubernetes"
# The later of two flags counts.
SMALL = ["--sample_rows=2000"]
SMALL_SWEEP = [*SMALL, "--student=tiny", "--temperature=2", "--train_epoch=2",
               "--vocab_size=500", "--no_twins"]
CERTIFICATES = {"logit-store": "store"}  # the others are called as their part


def workloads(overlay):
  found = cluster.Cluster(
      kustomize.render(os.path.join(FOLDER, "overlays", overlay)))
  return {workload.name: workload for workload in found.workloads}


class PodsTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
    cls.certificates = os.path.join(cls.folder, "certs")
    subprocess.run(["deploy/certs.sh", cls.certificates, "logit-store",
                    "coordinator", "teacher", "serving"], check=True,
                   stdout=subprocess.DEVNULL)
    # Where no coordinator is any more.
    cls.network = pods.Network(
        cls.folder, {"logit-store": 10, "coordinator": 250})

  @classmethod
  def tearDownClass(cls):
    shutil.rmtree(cls.folder)

  def setUp(self):
    self.pods = []

  def tearDown(self):
    for pod in self.pods:
      pod.kill()

  def pod(self, workload, number, certificate=None):
    pod = pods.Pod(workload, number, self.network, self.folder)
    self.pods.append(pod)
    try:
      secret = pod.volume("/tls")
    except KeyError:
      return pod
    part = certificate or CERTIFICATES.get(workload.name, workload.name)
    for name, source in (("tls.crt", part + ".crt"), ("tls.key", part + ".key"),
                         ("ca.crt", "ca.crt")):
      shutil.copyfile(os.path.join(self.certificates, source),
                      os.path.join(secret, name))
    return pod

  def test_sweep_over_mutual_tls_and_its_student_served(self):
    try:
      self.run_sweep()
    except BaseException:
      for pod in self.pods:
        print(pod.log())
      raise

  def run_sweep(self):
    parts = workloads("tls")
    # It waits for the others, and is alive meanwhile.
    worker = self.pod(parts["worker"], 20)
    worker.start()
    worker.wait_for("livenessProbe")
    pods.wait_until("the worker has found nobody",
                    lambda: "cannot reach the coordinator" in worker.log())
    store = self.pod(parts["logit-store"], 10)
    coordinator = self.pod(parts["coordinator"], 11)
    teacher = self.pod(parts["teacher"], 12)
    teacher.initialise(*SMALL)
    for pod in (store, teacher):
      pod.start()
    coordinator.start(*SMALL_SWEEP)
    self.network.point({"logit-store": 10, "coordinator": 11})
    # Half of the lease that it would lose.
    pods.wait_until("the worker has found the coordinator",
                    lambda: "the coordinator answers again" in worker.log(), 15)
    for pod in (store, coordinator, teacher):
      pod.wait_for("livenessProbe")
      pod.wait_for("readinessProbe")
    teacher.wait_for("startupProbe")

    # Its certificate has no role that the coordinator takes.
    reader = self.pod(parts["worker"], 21, certificate="reader")
    reader.start()
    self.assertEqual(reader.wait(), 42, reader.log())
    self.assertEqual(worker.wait(), 0, worker.log())
    late = self.pod(parts["worker"], 22)
    late.start()
    self.assertEqual(late.wait(), 0, late.log())
    self.assertIn("teacher@10.77.0.12:50051: 2,000 rows", coordinator.log())

    pods.wait_until("the coordinator stays",
                    lambda: "(--stay)" in coordinator.log())
    self.assertTrue(coordinator.probe("readinessProbe"))
    trials = pods.table_of(coordinator.log())
    self.assertEqual(len(trials), 1, coordinator.log())
    serving = self.serve(coordinator.volume("/data/work/students/" + trials[0]))
    for pod in (teacher, coordinator, store, serving):
      pod.terminate()
    # For --drain_grace its service still leads to it.
    pods.wait_until("the coordinator is not ready",
                    lambda: not coordinator.probe("readinessProbe"))
    self.assertTrue(coordinator.runs())
    for pod in (teacher, coordinator, store, serving):
      self.assertEqual(pod.wait_for_the_end(), 0, pod.log())

  def serve(self, student):
    """A pod that has answered."""
    serving = self.pod(workloads("serving")["serving"], 30)
    serving.mount("/models/student", student)
    serving.start()
    serving.wait_for("livenessProbe")
    serving.wait_for("readinessProbe")
    request = urllib.request.Request(
        serving.url("http", "/v1/classify"),
        json.dumps({"texts": ["정말 재미있다"]}).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
      answers = json.load(answer)["answers"]
    self.assertIn(answers[0]["name"], ("positive", "negative"))
    return serving


if __name__ == "__main__":
  pods.enter()
  unittest.main()
