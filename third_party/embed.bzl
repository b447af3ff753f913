"""Files inside of programs."""

load(":copts.bzl", "KODISTIL_COPTS")

def kodistil_embed(name, constants, unchecked = [], **kwargs):
    """A cc_library whose header NAME.h declares a string_view for each constant.

    The build fails, naming file and line, for what a page under a strict policy
    must not have; see tools/embed_files.py.

    Args:
      name: the library's name, and its header's.
      constants: name of a constant -> the files whose contents, behind one
        another, it holds.
      unchecked: those of the files that others wrote, or that are of no page.
      **kwargs: passed to cc_library.
    """
    header = name + ".h"
    source = name + ".cc"
    arguments = ["--unchecked=$(location {})".format(f) for f in unchecked]
    files = []
    for constant, sources in constants.items():
        files += [f for f in sources if f not in files]
        arguments.append(constant + "=" + ",".join(["$(location {})".format(f) for f in sources]))
    native.genrule(
        name = name + "_generated",
        srcs = files,
        outs = [header, source],
        cmd = "python3 $(location //tools:embed_files.py) --include={} --header=$(location {}) --source=$(location {}) {}".format(
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
