#!/usr/bin/env python3
"""Writes tests/fuzz_corpus/*/seed_*: small files of each format, good and bad,
that fuzzing starts from. (The found_* beside them are what tools/fuzz.sh found
to reach more code.) Needs base/testdata.

  tools/make_fuzz_corpus.py [FOLDER]
"""

import json
import os
import struct
import sys
import zipfile

TESTDATA = "base/testdata"


def safetensors():
  def file(header, data=b""):
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data

  def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

  yield "empty", file({})
  yield "metadata", file({"__metadata__": {"format": "pt"}})
  yield "two", file({"__metadata__": {"format": "pt"},
                     "a.weight": tensor("F32", [2, 1], 0, 8),
                     "b": tensor("BF16", [], 8, 10)}, b"0123456789")
  yield "kinds", file({"h": tensor("F16", [2], 0, 4),
                       "d": tensor("F64", [1], 4, 12),
                       "e": tensor("I64", [0, 3], 12, 12),
                       "f4": tensor("F4", [2], 12, 13),
                       "b": tensor("BOOL", [1, 1, 1], 13, 14)},
                      b"0123456789abcd")
  yield "hole", file({"a": tensor("U8", [2], 1, 3)}, b"123")
  yield "twice", b'\x1c\0\0\0\0\0\0\0{"a":{"dtype":"F32"},"a":{}}'


def text(string):
  data = string.encode()
  return b"X" + struct.pack("<I", len(data)) + data


def numbers(values):
  return b"(" + b"".join(b"K" + bytes([v]) for v in values) + b"t"


def pickled_tensor(last_fields, offset, shape, strides):
  """A tensor over storage "0" of six floats; `shape` and `strides` pickled."""
  storage = (b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") +
             text("cpu") + b"K\x06" + last_fields + b"tQ")
  return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K" +
          bytes([offset]) + shape + strides +
          b"\x89ccollections\nOrderedDict\n)RtR")


SYSTEM = b"\x80\x02cos\nsystem\n(" + text("true") + b"tR."


def torch_zip():
  for name in ("zip", "module"):
    path = os.path.join(TESTDATA, name + ".pt")
    with open(path, "rb") as file:
      yield name, file.read()
    yield name + "_pickle", zipfile.ZipFile(path).read(name + "/data.pkl")

  def pickle(tensor):
    return b"\x80\x02}(" + text("a") + tensor + b"u."

  yield "small_pickle", pickle(
      pickled_tensor(b"", 0, numbers([2, 3]), numbers([1, 2])))
  huge = b"\x8a\x08" + b"\xff" * 7 + b"\x7f"
  yield "stride_of_one", pickle(
      pickled_tensor(b"", 1, numbers([1, 2, 2]), b"(" + huge + b"K\1K\2t"))
  yield "system", SYSTEM
  yield "loop", b"\x80\x02}q\0" + text("k") + b"h\0s."


def torch_stream():
  for name in ("stream", "no_tensors"):
    with open(os.path.join(TESTDATA, name + ".pt"), "rb") as file:
      yield name, file.read()
  head = (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
          b"\x80\x02M\xe9\x03.\x80\x02}" + text("little_endian") + b"\x88s.")
  tail = (b"\x80\x02]" + text("0") + b"a." + struct.pack("<q", 6) +
          b"012345678901234567890123")

  def stream(shape, strides):
    return (head + b"\x80\x02}" + text("a") +
            pickled_tensor(b"N", 0, numbers(shape), numbers(strides)) + b"s." +
            tail)

  yield "small", stream([2, 3], [1, 2])
  yield "bomb", stream([200, 200], [0, 0])
  yield "system", head + SYSTEM
  yield "rest", head + b"\x80\x02}.\x80\x02].x"


def dataset():
  yield "nsmc", "id\tdocument\tlabel\n1\t재미있다\t1\n2\t\"별로\t0\n3\t\t1\n".encode()
  yield "naver", "5\t좋아요\n1\t나빠요\n3\t그저\n".encode()
  yield "steam", "1\t재밌음\n0\t환불\n".encode()
  yield "csv", '\ufeffdocument,label\r\n"a, ""b""",1\r\nc,0\r\n'.encode()
  yield "lines", "한 줄\n두 줄\n\u00ff\n".encode()
  yield "nul", b"1\ta\0b\n0\t\xff\xfe\n"

  # Checksums are put right by the fuzz target.
  def kds(rows):
    block = b"".join(
        struct.pack("<BBHII", split, 0, label & 0xffff, len(first),
                    len(second)) + first + second
        for split, label, first, second in rows)
    header = struct.pack("<IIQIIII", 1, 2, len(rows), 4096, 3, 0, 0)
    return (b"KODISTDS" + header + b"toy" +
            struct.pack("<II", len(block), 0) + block)

  yield "kds", kds([(1, 0, "가나".encode(), b""), (2, 1, b"b", b"second"),
                    (3, -1, b"c", b"")])
  yield "kds_split", kds([(9, 0, b"a", b"")])
  yield "kds_short", kds([(1, 0, b"a", b"")])[:-3]


def logit_record():
  yield "two", b"h" * 16 + struct.pack("<2f", 1.5, -2)
  yield "three", b"h" * 16 + struct.pack("<3f", 1.5, -2, float("nan"))
  yield "none", b"h" * 16
  yield "empty", b"\0"
  yield "dataset", (struct.pack("<Q", 3) + b"\x0a\x04nsmc\x12\x40" + b"a" * 64 +
                    b"\x18\x0a")
  yield "bad_proto", struct.pack("<Q", 3) + b"\x0a\xff\xff\xff\xff\x0f"


def main(folder):
  for target in (safetensors, torch_zip, torch_stream, dataset, logit_record):
    path = os.path.join(folder, target.__name__)
    os.makedirs(path, exist_ok=True)
    for name, data in target():
      with open(os.path.join(path, "seed_" + name), "wb") as file:
        file.write(data)


if __name__ == "__main__":
  main(*(sys.argv[1:] or ["tests/fuzz_corpus"]))
