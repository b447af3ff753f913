#!/usr/bin/env python3
"""The overlays of deploy/kubernetes: what kustomize makes of them, and whether
their resources fit together and their programs take their command lines.

Each kind of mistake is planted in a copy, and must be found.
"""

import os
import shutil
import tempfile
import unittest

import checks
import cluster
import kustomize
import programs
import rendered

FOLDER = "deploy/kubernetes"
PROGRAMS = "."  # the runfiles
STORE = "base/logit-store/stateful-set.yaml"
TEACHER = "base/teacher/deployment.yaml"
WORKER = "base/worker/job.yaml"
SERVING = "base/serving/deployment.yaml"


def load(folder, overlay):
  return cluster.Cluster(
      kustomize.render(os.path.join(folder, "overlays", overlay)))


def program_findings(found):
  findings = []
  for workload in found.workloads:
    for container in workload.all_containers:
      findings += programs.check(container.where, PROGRAMS, container.program,
                                 container.args)
  return findings


class OverlaysTest(unittest.TestCase):

  def setUp(self):
    self.clusters = {name: load(FOLDER, name)
                     for name in rendered.overlays(FOLDER)}

  def test_there_are_those_of_the_guide(self):
    self.assertEqual(list(self.clusters),
                     ["cpu", "gpu", "serving", "serving-tls", "tls"])

  def test_ours_render_as_kustomize_recorded(self):
    self.assertEqual(
        {n: rendered.digest(c.documents) for n, c in self.clusters.items()},
        rendered.recorded(FOLDER),
        "give deploy/checks/rendered.py --record after a change, on a machine "
        "with kubectl")

  @unittest.skipIf(rendered.kustomize_version() is None,
                   "no kubectl here; its recorded digests are checked")
  def test_ours_render_as_kubectl_does_here(self):
    with tempfile.TemporaryDirectory() as folder:
      # It follows no link out of a kustomization, as all of runfiles are.
      copy = shutil.copytree(FOLDER, os.path.join(folder, "kubernetes"),
                             copy_function=shutil.copyfile)
      for name, found in self.clusters.items():
        real = rendered.real_render(os.path.join(copy, "overlays", name))
        self.assertMultiLineEqual(rendered.canonical(found.documents),
                                  rendered.canonical(real), name)

  def test_resources_fit_together(self):
    for name, found in self.clusters.items():
      self.assertEqual(checks.check(found), [], name)

  def test_programs_take_their_command_lines(self):
    for name, found in self.clusters.items():
      self.assertEqual(program_findings(found), [], name)

  def test_images_are_of_this_version(self):
    for name, found in self.clusters.items():
      for workload in found.workloads:
        for container in workload.all_containers:
          version = programs.version(PROGRAMS, container.program)
          self.assertTrue(container.spec["image"].endswith(":" + version),
                          f"{name}: {container.where}")

  def test_overlays_have_their_parts(self):
    sweep = ["coordinator", "logit-store", "teacher", "worker"]
    for name, found in self.clusters.items():
      wanted = ["serving"] if name.startswith("serving") else sweep
      self.assertEqual(sorted(w.name for w in found.workloads), wanted, name)

  def test_teachers_have_a_gpu_each_in_its_overlay(self):
    container = next(w for w in self.clusters["gpu"].workloads
                     if w.name == "teacher").main
    self.assertEqual(container.flags["device"], "cuda:0")
    self.assertEqual(container.spec["resources"]["limits"]["nvidia.com/gpu"],
                     "1")


class PlantedTest(unittest.TestCase):
  """One mistake each; what is found must name it."""

  def setUp(self):
    self._folder = tempfile.TemporaryDirectory()
    self.folder = os.path.join(self._folder.name, "kubernetes")
    shutil.copytree(FOLDER, self.folder, copy_function=shutil.copyfile)

  def tearDown(self):
    self._folder.cleanup()

  def plant(self, path, old, new):
    path = os.path.join(self.folder, path)
    with open(path, encoding="utf-8") as file:
      text = file.read()
    self.assertIn(old, text)
    with open(path, "w", encoding="utf-8") as file:
      file.write(text.replace(old, new, 1))

  def expect(self, pattern, path, old, new, overlay="cpu"):
    self.plant(path, old, new)
    findings = checks.check(load(self.folder, overlay))
    self.assertRegex("\n".join(findings), pattern)

  def test_untouched_copy_has_no_findings(self):
    self.assertEqual(checks.check(load(self.folder, "cpu")), [])

  def test_wrong_port(self):
    self.expect("port grpc is 50051, its program listens on .*50052", TEACHER,
                "--port=50051", "--port=50052")

  def test_port_that_nothing_listens_on(self):
    self.expect("targetPort rpc is no port of Deployment teacher",
                "base/teacher/service.yaml", "targetPort: grpc",
                "targetPort: rpc")

  def test_headless_service_translates_nothing(self):
    self.expect("port 50060 leads to 50061", "base/logit-store/service.yaml",
                "port: 50061", "port: 50060")

  def test_address_of_no_service(self):
    self.expect("--coordinator=coordinater:50071: there is no such Service",
                WORKER, "coordinator:50071", "coordinater:50071")

  def test_address_with_another_port(self):
    self.expect("Service logit-store has no such port", TEACHER,
                "logit-store:50061", "logit-store:50062")

  def test_probe_of_a_port_that_is_not_there(self):
    self.expect("livenessProbe: found port metric,", STORE, "port: metrics",
                "port: metric")

  def test_probe_over_http_of_grpc(self):
    self.expect("does not speak HTTP", STORE, "port: metrics", "port: grpc")

  def test_liveness_that_depends_on_others(self):
    self.expect("livenessProbe: found path /readyz, expected /healthz", STORE,
                "path: /healthz", "path: /readyz")

  def test_probe_that_reaches_nobody(self):
    self.expect("listens on 127.0.0.1, which no probe reaches", STORE,
                "--metrics_host=0.0.0.0", "--metrics_host=127.0.0.1")

  def test_missing_probe(self):
    self.expect("has no readinessProbe", STORE, "readinessProbe:",
                "startupProbe:")

  def test_drain_that_is_longer_than_the_grace(self):
    self.expect("terminationGracePeriodSeconds is 30, expected at least 48",
                TEACHER, "--drain_limit=10s", "--drain_limit=35s")

  def test_pre_stop_is_part_of_the_drain(self):
    self.expect("terminationGracePeriodSeconds is 30, expected at least 40",
                SERVING, "          resources:",
                "          lifecycle:\n            preStop:\n"
                "              sleep:\n                seconds: 20\n"
                "          resources:", "serving")

  def test_drain_in_no_unit(self):
    self.expect("terminationGracePeriodSeconds is 60, expected at least nan",
                STORE, "--drain_limit=10s", "--drain_limit=10")

  def test_drain_that_nobody_notices(self):
    self.expect("calls are taken for 1 s after SIGTERM", SERVING,
                "--drain_grace=5s", "--drain_grace=1s", "serving")

  def test_worker_without_time_for_its_checkpoint(self):
    self.expect("Job worker: terminationGracePeriodSeconds is 6", WORKER,
                "terminationGracePeriodSeconds: 60",
                "terminationGracePeriodSeconds: 6")

  def test_selector_that_matches_nothing(self):
    self.expect("Deployment teacher: selector .* does not match", TEACHER,
                "component: teacher\n  strategy",
                "component: teachers\n  strategy")

  def test_service_without_pods(self):
    self.expect("Service teacher: selector .* matches 0 workloads",
                "base/teacher/service.yaml", "component: teacher\n  ports",
                "component: master\n  ports")

  def test_budget_with_neither_field(self):
    self.expect(r"PodDisruptionBudget teacher: found \[\]",
                "base/teacher/disruption-budget.yaml", "  maxUnavailable: 1\n",
                "")

  def test_part_without_budget(self):
    self.expect("Deployment teacher: found 0 disruption budgets",
                "base/teacher/kustomization.yaml",
                "  - disruption-budget.yaml\n", "")

  def test_autoscaler_of_nothing(self):
    self.expect("there is no Deployment teachers",
                "base/teacher/autoscaler.yaml", "name: teacher\n  min",
                "name: teachers\n  min")

  def test_autoscaler_against_replicas(self):
    self.expect("has replicas, which each apply would set back", TEACHER,
                "spec:\n", "spec:\n  replicas: 3\n")

  def test_autoscaler_without_requests(self):
    self.expect("HorizontalPodAutoscaler teacher: .* has no request of cpu",
                TEACHER, '              cpu: "2"\n', "")

  def test_volume_that_is_not_there(self):
    self.expect("mounts cash, which is no volume", WORKER, "- name: cache\n",
                "- name: cash\n")

  def test_path_that_is_not_mounted(self):
    self.expect("--cache_dir=/var/cache is in no mount", WORKER,
                "--cache_dir=/cache", "--cache_dir=/var/cache")

  def test_path_that_cannot_be_written_to(self):
    self.expect("--output=/models/teacher cannot be written to",
                "components/sample-teacher/teacher.yaml",
                "mountPath: /models\n",
                "mountPath: /models\n              readOnly: true\n")

  def test_writable_root(self):
    self.expect("container worker: expected readOnlyRootFilesystem", WORKER,
                "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")

  def test_root(self):
    self.expect("Job worker: expected runAsNonRoot", WORKER,
                "runAsNonRoot: true", "runAsNonRoot: false")

  def test_no_limit_of_memory(self):
    self.expect("container worker: has no limit of memory", WORKER,
                "              memory: 2Gi\n", "")

  def test_gpu_without_a_limit(self):
    self.expect("--device=cuda:0 with a limit of no nvidia.com/gpu",
                "components/gpu/teacher.yaml",
                '              nvidia.com/gpu: "1"\n', "", "gpu")

  def test_server_that_would_not_start(self):
    self.expect("0.0.0.0:50061 needs the --tls_ flags or --insecure",
                "overlays/cpu/kustomization.yaml",
                "  - ../../components/insecure\n", "")

  def test_both_tls_and_plain_text(self):
    self.expect("expected all three --tls_ flags and no --insecure",
                "overlays/tls/kustomization.yaml",
                "  - ../../components/tls\n",
                "  - ../../components/tls\n  - ../../components/insecure\n",
                "tls")

  def test_http_beyond_the_pod_with_tls(self):
    self.expect("HTTP on 0.0.0.0:8080 needs --insecure",
                "components/tls/serving.yaml", "value: 127.0.0.1",
                "value: 0.0.0.0", "serving-tls")

  def test_certificates_that_are_not_mounted(self):
    self.expect("--tls_ca=/tsl/ca.crt is in no mount",
                "components/tls/flags.yaml", "/tls/ca.crt", "/tsl/ca.crt",
                "tls")

  def test_call_that_no_policy_lets_out(self):
    self.expect("Job worker to StatefulSet coordinator, port 50071: no policy "
                "allows the egress", "base/worker/network-policy.yaml",
                "port: 50071", "port: 50070")

  def test_call_that_no_policy_lets_in(self):
    self.expect("StatefulSet coordinator to Deployment teacher, port 50051: no "
                "policy allows the ingress", "base/teacher/network-policy.yaml",
                "component: coordinator\n      ports:\n        - port: grpc",
                "component: worker\n      ports:\n        - port: grpc")

  def test_part_without_a_policy(self):
    self.plant("base/network/kustomization.yaml", "  - policies.yaml\n", "")
    self.expect("StatefulSet logit-store: no policy rules its ingress",
                "base/logit-store/kustomization.yaml",
                "  - network-policy.yaml\n", "")

  def test_exit_code_that_fails_no_index(self):
    self.expect("exit code 42 does not fail its index", WORKER,
                "values: [2, 42]", "values: [2]")

  def test_disruption_that_counts(self):
    self.expect("the first rule does not ignore DisruptionTarget", WORKER,
                "type: DisruptionTarget", "type: Ready")

  def test_policy_of_another_container(self):
    self.expect("names the container trainer", WORKER, "containerName: worker",
                "containerName: trainer")

  def test_workers_that_wait_for_others(self):
    self.expect("completions 4 and parallelism 2 differ", WORKER,
                "parallelism: 4", "parallelism: 2")

  def test_variable_that_is_not_there(self):
    self.expect(r"\$\(THREAD\) is not in env", WORKER, "$(THREADS)",
                "$(THREAD)")

  def test_flag_given_twice(self):
    self.expect("--cache_dir is given twice", WORKER,
                "            - --threads", "            - --cache_dir=/tmp\n"
                "            - --threads")

  def test_other_namespace(self):
    self.expect("is in namespace default, expected one of",
                "overlays/cpu/kustomization.yaml", "namespace: kodistil",
                "namespace: default")

  def expect_program(self, pattern, path, old, new):
    self.plant(path, old, new)
    findings = program_findings(load(self.folder, "cpu"))
    self.assertEqual(len(findings), 1)
    self.assertRegex(findings[0], pattern)

  def test_unknown_flag(self):
    self.expect_program("container worker: student_trainer says: error: "
                        "unknown flag --cache_directory", WORKER,
                        "--cache_dir=", "--cache_directory=")

  def test_value_of_another_type(self):
    self.expect_program("teacher_service says: error: bad value 'fivesec' for "
                        "--drain_grace", TEACHER, "--drain_grace=5s",
                        "--drain_grace=fivesec")

  def test_unknown_program(self):
    self.expect_program("found program trainer, expected one of", WORKER,
                        "- student_trainer", "- trainer")

  def test_key_that_our_renderer_does_not_know(self):
    self.plant("overlays/cpu/kustomization.yaml", "namespace: kodistil",
               "namePrefix: my-")
    with self.assertRaisesRegex(kustomize.KustomizeError, "found namePrefix"):
      load(self.folder, "cpu")

  def test_patch_of_nothing(self):
    self.plant("components/gpu/teacher.yaml", "name: teacher\n",
               "name: teachers\n")
    with self.assertRaisesRegex(kustomize.KustomizeError,
                                "found no Deployment teachers to patch"):
      load(self.folder, "gpu")


if __name__ == "__main__":
  unittest.main()
