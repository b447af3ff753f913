"""Files inside of programs."""

load(":copts.bzl", "KODISTIL_COPTS")

def kodistil_embed(name, constants, **kwargs):
    """A cc_library whose header NAME.h declares a string_view for each constant.

    Args:
      name: the library's name, and its header's.
      constants: name of a constant -> the files whose contents, behind one
        another, it holds.
      **kwargs: passed to cc_library.
    """
    header = name + ".h"
    source = name + ".cc"
    arguments = []
    files = []
    for constant, sources in constants.items():
        files += [f for f in sources if f not in files]
        arguments.append(constant + "=" + ",".join(["$(location {})".format(f) for f in sources]))
    native.genrule(
        name = name + "_generated",
        srcs = files,
        outs = [header, source],
        cmd = "python3 $(location //tools:embed_files.py) {} $(location {}) $(location {}) {}".format(
            native.package_name() + "/" + header,
            header,
            source,
            " ".join(arguments),
        ),
        exec_tools = ["//tools:embed_files.py"],
    )
    native.cc_library(
        name = name,
        srcs = [source],
        hdrs = [header],
        copts = KODISTIL_COPTS,
        deps = ["@system//:absl"],
        **kwargs
    )
