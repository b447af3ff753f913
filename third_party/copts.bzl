"""Compiler options of our own code."""

KODISTIL_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-parameter",
    "-Werror=unused-result",
]
