"""C++ and gRPC code from .proto files by the system's protoc."""

def kodistil_cc_proto_library(name, srcs, deps = [], grpc = False, **kwargs):
    """A cc_library of the generated code.

    Args:
      name: the library's name.
      srcs: .proto files of the calling package.
      deps: kodistil_cc_proto_library targets whose protos are imported.
      grpc: whether to generate services too.
      **kwargs: passed to cc_library.
    """
    stems = [s[:-len(".proto")] for s in srcs]
    headers = [s + ".pb.h" for s in stems]
    sources = [s + ".pb.cc" for s in stems]
    plugin = ""
    tools = ["@system//:bin/protoc"]
    if grpc:
        headers += [s + ".grpc.pb.h" for s in stems]
        sources += [s + ".grpc.pb.cc" for s in stems]
        tools.append("@system//:bin/grpc_cpp_plugin")
        plugin = " --plugin=protoc-gen-grpc=$(location @system//:bin/grpc_cpp_plugin)" + \
                 " --grpc_out=$(RULEDIR)"
    native.filegroup(
        name = name + "_protos",
        srcs = srcs + [d + "_protos" for d in deps],
        visibility = ["//visibility:public"],
    )
    native.genrule(
        name = name + "_generated",
        srcs = srcs + [d + "_protos" for d in deps],
        outs = headers + sources,
        cmd = "$(location @system//:bin/protoc) -Iproto --cpp_out=$(RULEDIR)" + plugin + " " +
              " ".join(["$(location {})".format(s) for s in srcs]),
        exec_tools = tools,
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        # Generated code is not ours to mend.
        copts = ["-w"],
        includes = ["."],
        deps = deps + ["@system//:protobuf"] + (["@system//:grpc"] if grpc else []),
        **kwargs
    )
