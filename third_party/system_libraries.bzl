"""Finds Debian's libraries and offers them as @system//:NAME.

A library that is not there fails the build with the name of its Debian package.
"""

# name -> (pkg-config modules, Debian package)
_PKG_CONFIG = {
    "absl": (
        [
            "absl_base",
            "absl_flags",
            "absl_flags_parse",
            "absl_flags_usage",
            "absl_flags_reflection",
            "absl_flat_hash_map",
            "absl_flat_hash_set",
            "absl_random_random",
            "absl_span",
            "absl_status",
            "absl_statusor",
            "absl_str_format",
            "absl_strings",
            "absl_synchronization",
            "absl_time",
        ],
        "libabsl-dev",
    ),
    "benchmark": (["benchmark"], "libbenchmark-dev"),
    "crypto": (["libcrypto"], "libssl-dev"),
    "glog": (["libglog"], "libgoogle-glog-dev"),
    "gmock": (["gmock", "gtest"], "libgmock-dev"),
    "grpc": (["grpc++", "grpc"], "libgrpc++-dev"),
    "hwy": (["libhwy"], "libhwy-dev"),
    "icu": (["icu-i18n", "icu-uc"], "libicu-dev"),
    "json": (["nlohmann_json"], "nlohmann-json3-dev"),
    "openblas": (["openblas"], "libopenblas-pthread-dev"),
    "protobuf": (["protobuf"], "libprotobuf-dev"),
    "rocksdb": (["rocksdb"], "librocksdb-dev"),
    "zlib": (["zlib"], "zlib1g-dev"),
}

# Where pkg-config also lists what the shared library already brings with it.
_ONLY_LINK = {
    "grpc": ["-lgrpc++_reflection", "-lgrpc++", "-lgrpc", "-lgpr", "-pthread"],
}

_MISSING = """
{what} was not found. Install the Debian package {package}:
    sudo deploy/install.sh
"""

# LibTorch is not instrumented, and code that links it is not built with
# sanitizers: Bazel then skips whatever reaches it, tests and programs included.
_NOT_SANITIZED = """select({
        "@kodistil//third_party:sanitized": ["@platforms//:incompatible"],
        "//conditions:default": [],
    })"""

# ThreadSanitizer does not know the fences of Asio, and GCC warns of each; its
# mutexes and atomics stay.
_BOOST_DEFINES = """select({
        "@kodistil//third_party:tsan": ["BOOST_ASIO_DISABLE_FENCED_BLOCK"],
        "//conditions:default": [],
    })"""

def _library(name, linkopts, copts = [], includes = [], hdrs = [], deps = [], target_compatible_with = "[]", defines = None):
    return """
cc_library(
    name = "{name}",
    defines = {defines},
    hdrs = {hdrs},
    includes = {includes},
    linkopts = {linkopts},
    target_compatible_with = {target_compatible_with},
    deps = {deps},
)
""".format(
        name = name,
        defines = defines or [o[2:] for o in copts if o.startswith("-D")],
        hdrs = hdrs if type(hdrs) == "string" else repr(hdrs),
        includes = includes,
        linkopts = linkopts,
        target_compatible_with = target_compatible_with,
        deps = deps,
    )

def _find_with_pkg_config(ctx, name, modules, package):
    pkg_config = ctx.which("pkg-config")
    if not pkg_config:
        fail(_MISSING.format(what = "pkg-config", package = "pkg-config"))
    result = ctx.execute([pkg_config, "--cflags", "--libs"] + modules)
    if result.return_code != 0:
        fail(_MISSING.format(
            what = "The library '{}' (pkg-config: {})".format(name, " ".join(modules)),
            package = package,
        ) + result.stderr)
    flags = [f for f in result.stdout.strip().split(" ") if f]
    linkopts = []
    for flag in flags:
        if flag[:2] in ["-l", "-L"] or flag.startswith("-Wl,") or flag == "-pthread":
            if flag not in linkopts:
                linkopts.append(flag)
    if name in _ONLY_LINK:
        linkopts = _ONLY_LINK[name]
    return _library(name, linkopts, copts = flags)

def _find_header_library(ctx, name, header, libraries, package, defines = None):
    if not ctx.path(header).exists:
        fail(_MISSING.format(what = "The header " + header, package = package))
    return _library(name, ["-l" + library for library in libraries], defines = defines)

def _find_torch(ctx):
    """LIBTORCH_HOME, an unpacked LibTorch, wins over Debian's libtorch-dev."""
    home = ctx.os.environ.get("LIBTORCH_HOME", "")
    if home:
        if not ctx.path(home + "/include/torch/csrc/api/include/torch/torch.h").exists:
            fail("LIBTORCH_HOME={}: expected include/torch/csrc/api/include/torch/torch.h in it".format(home))
        ctx.symlink(home + "/include", "libtorch/include")
        libraries = ["-L" + home + "/lib", "-Wl,-rpath," + home + "/lib", "-ltorch", "-ltorch_cpu", "-lc10"]
        if ctx.path(home + "/lib/libtorch_cuda.so").exists:
            # torch_cuda registers itself when loaded; nothing of ours refers to it.
            libraries += ["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-Wl,--as-needed"]
        return _library(
            "torch",
            libraries,
            includes = ["libtorch/include", "libtorch/include/torch/csrc/api/include"],
            hdrs = "glob([\"libtorch/include/**\"])",
            target_compatible_with = _NOT_SANITIZED,
        )
    header = "/usr/include/torch/csrc/api/include/torch/torch.h"
    if not ctx.path(header).exists:
        fail(_MISSING.format(what = "LibTorch (" + header + ")", package = "libtorch-dev"))
    ctx.symlink("/usr/include/torch/csrc/api/include", "torch_api")
    return _library(
        "torch",
        ["-ltorch", "-ltorch_cpu", "-lc10"],
        includes = ["torch_api"],
        hdrs = "glob([\"torch_api/**\"])",
        target_compatible_with = _NOT_SANITIZED,
    )

# D3's modules that plots need, each after what it needs, from the packages
# node-d3-NAME.
_D3_MODULES = [
    "array",
    "collection",
    "color",
    "format",
    "interpolate",
    "time",
    "time-format",
    "scale",
    "selection",
    "axis",
    "path",
    "shape",
]

def _find_d3(ctx):
    """d3.js: the modules behind one another, their licences as a comment."""
    licences = []
    scripts = []
    for module in _D3_MODULES:
        package = "node-d3-" + module
        script = "/usr/share/nodejs/d3-{0}/dist/d3-{0}.min.js".format(module)
        licence = "/usr/share/doc/{}/copyright".format(package)
        for path in [script, licence]:
            if not ctx.path(path).exists:
                fail(_MISSING.format(what = "The file " + path, package = package))
        scripts.append(ctx.read(script))
        licences.append("{}: {}".format(package, ctx.read(licence)))
    comment = "\n".join(licences).replace("*/", "* /")
    ctx.file("d3.js", "/*!\n" + comment + "*/\n" + "\n".join(scripts))

def _tool(ctx, name, package):
    path = ctx.which(name)
    if not path:
        fail(_MISSING.format(what = "The program " + name, package = package))
    ctx.symlink(path, "bin/" + name)

def _system_libraries_impl(ctx):
    build = "package(default_visibility = [\"//visibility:public\"])\n"
    for name, (modules, package) in _PKG_CONFIG.items():
        build += _find_with_pkg_config(ctx, name, modules, package)
    build += _find_header_library(ctx, "boost", "/usr/include/boost/beast/http.hpp", ["pthread"], "libboost-dev", _BOOST_DEFINES)
    build += _find_header_library(ctx, "linear", "/usr/include/linear.h", ["linear"], "liblinear-dev")
    build += _find_header_library(ctx, "mecab", "/usr/include/mecab.h", ["mecab"], "libmecab-dev")
    build += _find_header_library(ctx, "dnnl", "/usr/include/dnnl.hpp", ["dnnl"], "libdnnl-dev")

    # Not linked: see docs/adr/0013-tokenizers.md.
    build += _find_header_library(ctx, "sentencepiece_headers", "/usr/include/sentencepiece_processor.h", [], "libsentencepiece-dev")
    build += _find_header_library(ctx, "sentencepiece_train", "/usr/include/sentencepiece_trainer.h", ["sentencepiece_train", "sentencepiece"], "libsentencepiece-dev")
    build += _find_torch(ctx)
    _find_d3(ctx)
    _tool(ctx, "protoc", "protobuf-compiler")
    _tool(ctx, "grpc_cpp_plugin", "protobuf-compiler-grpc")
    build += "exports_files([\"bin/protoc\", \"bin/grpc_cpp_plugin\", \"d3.js\"])\n"
    ctx.file("BUILD", build)

system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    environ = ["LIBTORCH_HOME", "PKG_CONFIG_PATH"],
    local = True,
    doc = "Makes @system//:{absl,grpc,protobuf,rocksdb,torch,...} from what is installed.",
)
