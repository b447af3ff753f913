"""Asks the programs themselves about the command lines of a deployment."""

import functools
import os
import subprocess

# Where each lies below the folder of programs, by the name it has in the image.
PATHS = {
    "coordinator": "coordinator/coordinator",
    "logit_store": "logit_store/logit_store",
    "serving": "serving/serving",
    "student_trainer": "student_trainer/student_trainer",
    "teacher_service": "teacher_service/teacher_service",
    "train_ngram": "teacher_service/train_ngram",
}


def check(where, folder, program, args):
  """Lines that say what the program does not take."""
  if program not in PATHS:
    return [f"{where}: found program {program or 'none'}, expected one of "
            f"{sorted(PATHS)}"]
  said = _complaint(os.path.join(folder, PATHS[program]), tuple(args))
  return [f"{where}: {program} says: {said}"] if said else []


@functools.lru_cache(maxsize=None)
def _complaint(path, args):
  # Flags are read in their order: --help, the last, is answered only when all
  # before it are known and have values of their types.
  result = subprocess.run([path, *args, "--help"], capture_output=True,
                          text=True, check=False)
  return result.stderr.splitlines()[0] if result.returncode != 0 else ""


@functools.lru_cache(maxsize=None)
def version(folder, program):
  """"0.1.0"."""
  result = subprocess.run([os.path.join(folder, PATHS[program]), "--version"],
                          capture_output=True, text=True, check=True)
  return result.stdout.split()[-1]
