#!/usr/bin/env python3
"""The resources of deploy/kubernetes against Kubernetes' schemas, as the npm
package kubernetes-models has them: its validators, and its declarations for
the keys. Mistakes that are planted must be found.

Needs `deploy/install.sh --with=kubernetes`.
"""

import copy
import json
import os
import subprocess
import unittest

import declarations
import kustomize
import rendered

FOLDER = "deploy/kubernetes"
MODULES = "/usr/local/lib/kodistil/node_modules"
VALIDATE = "deploy/checks/validate.mjs"


def validate(documents):
  """What the validators say, a line for each resource that they refuse."""
  output = subprocess.run(
      ["node", VALIDATE, MODULES], input=json.dumps(documents), check=True,
      capture_output=True, text=True).stdout
  return [f"{d['kind']} {d['metadata']['name']}: {message}"
          for d, message in zip(documents, json.loads(output))
          if message is not None]


class SchemaTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    if not os.path.isdir(os.path.join(MODULES, "kubernetes-models")):
      raise FileNotFoundError(f"found no kubernetes-models in {MODULES}; "
                              "sudo deploy/install.sh --with=kubernetes")
    cls.declarations = declarations.Declarations(MODULES)
    cls.overlays = {
        name: kustomize.render(os.path.join(FOLDER, "overlays", name))
        for name in rendered.overlays(FOLDER)}

  def check(self, documents):
    findings = []
    for document in documents:
      findings += self.declarations.check(document)
    return findings

  def test_keys_and_types_are_kubernetes(self):
    for name, documents in self.overlays.items():
      self.assertEqual(self.check(documents), [], name)

  def test_validators_like_every_resource(self):
    for name, documents in self.overlays.items():
      self.assertEqual(validate(documents), [], name)

  def planted(self, kind, name, change):
    """The resource of the overlay tls, changed."""
    document = copy.deepcopy(next(
        d for d in self.overlays["tls"]
        if kustomize.identity(d) == (kind, name)))
    change(document)
    return [document]

  def test_wrong_key_is_found(self):
    def change(document):
      pod = document["spec"]["template"]["spec"]
      pod["terminationGracePeriod"] = pod.pop("terminationGracePeriodSeconds")
    self.assertEqual(
        self.check(self.planted("StatefulSet", "logit-store", change)),
        ["StatefulSet logit-store: spec.template.spec.terminationGracePeriod "
         "is no key of its kind"])

  def test_wrong_key_in_a_list_is_found(self):
    def change(document):
      document["spec"]["template"]["spec"]["containers"][0]["cmd"] = ["x"]
    self.assertEqual(
        self.check(self.planted("Job", "worker", change)),
        ["Job worker: spec.template.spec.containers[0].cmd is no key of its "
         "kind"])

  def test_wrong_key_of_metadata_is_found(self):
    def change(document):
      document["metadata"]["label"] = {}
    self.assertEqual(
        self.check(self.planted("Service", "teacher", change)),
        ["Service teacher: metadata.label is no key of its kind"])

  def test_missing_key_is_found(self):
    def change(document):
      del document["spec"]["podFailurePolicy"]["rules"][1]["action"]
    self.assertEqual(
        self.check(self.planted("Job", "worker", change)),
        ["Job worker: spec.podFailurePolicy.rules[1] has no action"])

  def test_wrong_type_is_found(self):
    def change(document):
      document["spec"]["parallelism"] = "4"
    documents = self.planted("Job", "worker", change)
    self.assertEqual(self.check(documents),
                     ["Job worker: spec.parallelism is '4', expected number"])
    self.assertRegex(validate(documents)[0], "/spec/parallelism")

  def test_number_for_text_is_found(self):
    def change(document):
      document["spec"]["template"]["spec"]["containers"][0]["args"][0] = 5
    self.assertRegex(
        self.check(self.planted("Job", "worker", change))[0],
        r"containers\[0\].args\[0\] is 5, expected string")

  def test_wrong_word_is_found(self):
    def change(document):
      document["spec"]["template"]["spec"]["restartPolicy"] = "Newer"
    documents = self.planted("Job", "worker", change)
    self.assertRegex(self.check(documents)[0],
                     "restartPolicy is 'Newer', expected 'Always' or")
    self.assertRegex(validate(documents)[0], "restartPolicy must be equal")

  def test_fraction_is_found_by_the_validators(self):
    def change(document):
      document["spec"]["parallelism"] = 4.5
    self.assertRegex(validate(self.planted("Job", "worker", change))[0],
                     "/spec/parallelism")

  def test_kind_of_another_group_is_found(self):
    def change(document):
      document["apiVersion"] = "batch/v1"
    self.assertEqual(
        self.check(self.planted("Deployment", "teacher", change)),
        ["Deployment teacher: there is no Deployment in batch/v1"])


if __name__ == "__main__":
  unittest.main()
