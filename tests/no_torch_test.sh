#!/usr/bin/env bash
# The student server is without LibTorch: nothing that it loads belongs to it.
#   no_torch_test.sh SERVER CONTROL
# CONTROL is a program that does load LibTorch: it shows that the test can fail.
set -euo pipefail

# Bazel's shared libraries are among what ldd follows.
torch_of() { ldd "$1" | grep -E 'lib(torch|torch_cpu|c10)[.]so' || true; }

if [[ -z $(torch_of "$2") ]]; then
  echo "FAILED: $2 loads no LibTorch, so this test shows nothing"
  exit 1
fi
found=$(torch_of "$1")
if [[ -n $found ]]; then
  echo "FAILED: $1 loads $found"
  exit 1
fi
echo "$1 loads $(ldd "$1" | wc -l) libraries, none of them LibTorch's"
