#!/usr/bin/env python3
"""The packages of deploy/Dockerfile are those that its programs need."""

import os
import re
import tempfile
import unittest

import image_packages

DOCKERFILE = "deploy/Dockerfile"


class ImageTest(unittest.TestCase):

  def setUp(self):
    self.programs = image_packages.programs(DOCKERFILE)
    with open(DOCKERFILE, encoding="utf-8") as file:
      self.text = file.read()

  def compare(self, text):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "Dockerfile")
      with open(path, "w", encoding="utf-8") as file:
        file.write(text)
      findings = image_packages.compare(path, self.programs)
      return [f.removeprefix(path + ": ") for f in findings]

  def without(self, package):
    changed = re.sub(rf"\n *{re.escape(package)} \\(?=\n)", "", self.text)
    self.assertNotEqual(changed, self.text, package)
    return self.compare(changed)

  def with_also(self, package):
    changed = self.text.replace("      tini \\\n",
                                f"      tini \\\n      {package} \\\n")
    self.assertNotEqual(changed, self.text)
    return self.compare(changed)

  def test_packages_are_what_the_programs_load(self):
    self.assertEqual(self.compare(self.text), [])

  def test_programs_are_built(self):
    for program in self.programs:
      self.assertTrue(os.access(program, os.X_OK), program)

  def test_missing_package_is_found(self):
    self.assertRegex(self.without("librocksdb7.8")[0],
                     "^librocksdb7.8 is missing; .* asks for it")

  def test_missing_package_of_an_opened_library_is_found(self):
    self.assertRegex(self.without("libsentencepiece0")[0],
                     "^libsentencepiece0 is missing")

  def test_missing_alternative_is_found(self):
    self.assertRegex(self.without("libopenblas0-pthread")[0],
                     "^libopenblas0-pthread is missing; .* loads it")

  def test_missing_entry_point_is_found(self):
    self.assertEqual(self.compare(self.text.replace("      tini \\\n", "")),
                     ["tini is missing; it is the entry point"])

  def test_surplus_package_is_found(self):
    self.assertEqual(self.with_also("curl"),
                     ["curl is surplus; nothing loads it"])

  def test_package_that_comes_with_another_is_surplus(self):
    self.assertEqual(self.with_also("libdnnl2"),
                     ["libdnnl2 is surplus; it comes with another"])


if __name__ == "__main__":
  unittest.main()
