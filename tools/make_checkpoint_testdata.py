#!/usr/bin/env python3
"""Writes base/testdata/*.pt: a state dict of every dtype and kind of view that
PyTorch can save, in both containers. What is in it is known to
base/torch_checkpoint_test.cc. Needs PyTorch (Debian: python3-torch); the files
are kept, so that nothing else does.

  tools/make_checkpoint_testdata.py [FOLDER]
"""

import collections
import os
import sys

import torch


def state_dict():
  def numbers(count, dtype):
    return torch.arange(count).to(dtype)

  module = torch.nn.Linear(3, 2)
  with torch.no_grad():
    module.weight.copy_(numbers(6, torch.float32).reshape(2, 3) / 4)
    module.bias.copy_(torch.tensor([-1.5, float("inf")]))
  # Modules' own dicts carry _metadata, which BUILD sets.
  tensors = module.state_dict()
  for name in ("float32", "float16", "bfloat16", "float64", "int64", "int32",
               "int16", "int8", "uint8", "bool"):
    tensors[name] = numbers(4, getattr(torch, name)).reshape(2, 2)
  base = numbers(24, torch.float32)
  tensors["storage"] = base
  tensors["offset"] = base[5:9]
  tensors["transposed"] = base.reshape(4, 6).t()
  tensors["strided"] = base.reshape(2, 3, 4)[:, 1:, ::2]
  tensors["tied"] = base
  tensors["scalar"] = torch.tensor(-1e4)
  tensors["empty"] = torch.zeros(0, 4)
  tensors["parameter"] = torch.nn.Parameter(numbers(2, torch.float32))
  tensors["\uac00\uc911\uce58"] = numbers(1, torch.float32)
  return tensors


def main(folder):
  os.makedirs(folder, exist_ok=True)
  for name, zip_format in (("zip.pt", True), ("stream.pt", False)):
    torch.save(state_dict(), os.path.join(folder, name),
               _use_new_zipfile_serialization=zip_format)
  # Not a state dict: a model as a whole, which is code by its class's name.
  torch.save(torch.nn.Linear(1, 1), os.path.join(folder, "module.pt"))
  torch.save(collections.OrderedDict(), os.path.join(folder, "no_tensors.pt"),
             _use_new_zipfile_serialization=False)


if __name__ == "__main__":
  main(*(sys.argv[1:] or ["base/testdata"]))
