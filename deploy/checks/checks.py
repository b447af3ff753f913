"""What must be right between the resources of an overlay, which no schema says.

Each check takes a Cluster and yields a line for each finding, which names the
resource, what was found and what was expected.
"""

from cluster import PREFIX, is_loopback, seconds

# To end a call to the coordinator and to leave its list, as
# teacher_service/registration.cc has it.
LEAVE_SECONDS = 3
# A worker's step in progress, kFlushLimit of student_trainer/worker.cc, and to
# give its trials back.
WORKER_SECONDS = 20
# For what follows a drain: a database that closes, a process that ends.
END_SECONDS = 5
# Load balancers and proxies notice later than the kubelet.
LEAST_GRACE_SECONDS = 3


def check(cluster):
  """All findings."""
  findings = []
  for function in CHECKS:
    findings.extend(function(cluster))
  return findings


def namespaces(cluster):
  names = [d["metadata"]["name"] for d in cluster.of_kind("Namespace")]
  for doc in cluster.documents:
    where = f"{doc['kind']} {doc['metadata']['name']}"
    if doc["kind"] == "Namespace":
      continue
    found = doc["metadata"].get("namespace")
    if found not in names:
      yield f"{where}: is in namespace {found}, expected one of {names}"


def selectors(cluster):
  for workload in cluster.workloads:
    if workload.kind == "Job":
      continue  # its controller makes one
    selector = workload.spec.get("selector", {}).get("matchLabels", {})
    if not selector or not workload.matches(selector):
      yield (f"{workload.where}: selector {selector} does not match its "
             f"template's labels {workload.labels}")
    others = [w.where for w in cluster.selected(selector) if w is not workload]
    if others:
      yield f"{workload.where}: its selector matches {others[0]} too"
    component = workload.labels.get(PREFIX + "component")
    if component != workload.name:
      yield (f"{workload.where}: label {PREFIX}component is {component}, "
             f"expected {workload.name}")
  for kind, path in (("Service", ("selector",)),
                     ("PodDisruptionBudget", ("selector", "matchLabels"))):
    for doc in cluster.of_kind(kind):
      selector = doc["spec"]
      for key in path:
        selector = selector.get(key, {})
      found = cluster.selected(selector)
      if not selector or len(found) != 1:
        yield (f"{kind} {doc['metadata']['name']}: selector {selector} matches "
               f"{len(found)} workloads, expected one")


def ports(cluster):
  for workload in cluster.workloads:
    for container in workload.containers:
      listening = {port: flag for flag, _, port in container.host_and_ports()}
      for name, number in container.ports.items():
        if str(number) not in listening:
          yield (f"{container.where}: port {name} is {number}, its program "
                 f"listens on {sorted(listening)}")
      for port, flag in listening.items():
        if port not in map(str, container.ports.values()):
          yield (f"{container.where}: --{flag} listens on {port}, which is "
                 "not among its ports")
  for doc in cluster.of_kind("Service"):
    where = f"Service {doc['metadata']['name']}"
    for workload in cluster.selected(doc["spec"].get("selector", {})):
      for port in doc["spec"]["ports"]:
        target = port.get("targetPort", port["port"])
        number = workload.main.port_number(target)
        if number is None:
          yield (f"{where}: targetPort {target} is no port of "
                 f"{workload.where}: {workload.main.ports}")
        elif doc["spec"].get("clusterIP") == "None" and number != port["port"]:
          yield (f"{where}: port {port['port']} leads to {number}; without a "
                 "cluster IP nobody translates it")


def dialled(cluster):
  """(client, flag, address) of the services that programs call."""
  for workload in cluster.workloads:
    for container in workload.containers:
      for flag in ("logit_store", "coordinator"):
        if flag in container.flags:
          yield workload, flag, container.flags[flag]


def addresses(cluster):
  for client, flag, address in dialled(cluster):
    server, service, port = cluster.workload_at(address)
    where = f"{client.where}: --{flag}={address}"
    if service is None:
      yield f"{where}: there is no such Service"
    elif port not in [str(p["port"]) for p in service["spec"]["ports"]]:
      yield f"{where}: Service {service['metadata']['name']} has no such port"
    elif server is None:
      yield f"{where}: nothing is behind the Service"


def probes(cluster):
  for workload in cluster.workloads:
    container = workload.main
    wanted = ["livenessProbe"]
    if workload.kind != "Job":
      wanted.append("readinessProbe")
    for name in wanted:
      if name not in container.spec:
        yield f"{container.where}: has no {name}"
    hosts = {port: (flag, host)
             for flag, host, port in container.host_and_ports()}
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
      probe = container.spec.get(name)
      if probe is None:
        continue
      where = f"{container.where}, {name}"
      action = probe.get("httpGet") or probe.get("tcpSocket") or {}
      number = container.port_number(action.get("port"))
      if number is None:
        yield (f"{where}: found port {action.get('port')}, expected one of "
               f"{container.ports}")
        continue
      flag, host = hosts.get(str(number), ("nothing", "127.0.0.1"))
      if is_loopback(host):
        yield (f"{where}: port {number} listens on {host}, which no probe "
               "reaches")
      if "httpGet" not in probe:
        continue
      if not flag.endswith("_port"):
        yield f"{where}: port {number} (--{flag}) does not speak HTTP"
      path = "/healthz" if name == "livenessProbe" else "/readyz"
      if action.get("path") != path:
        # A pod that drains or waits for others is alive.
        yield f"{where}: found path {action.get('path')}, expected {path}"


def drains(cluster):
  for workload in cluster.workloads:
    container = workload.main
    grace = workload.pod.get("terminationGracePeriodSeconds", 30)
    stop = container.spec.get("lifecycle", {}).get("preStop", {})
    parts = {"preStop": stop.get("sleep", {}).get("seconds", 0)}
    if container.program == "student_trainer":
      parts["its step and checkpoint"] = WORKER_SECONDS
    else:
      for flag in ("drain_grace", "drain_limit"):
        if flag not in container.flags:
          yield f"{container.where}: has no --{flag}"
        parts["--" + flag] = seconds(container.flags.get(flag, "0"))
    if container.program == "teacher_service":
      parts["leaving the coordinator"] = LEAVE_SECONDS
    parts["its end"] = END_SECONDS
    needed = sum(parts.values())
    if not needed <= grace:  # nor for a duration that is none
      yield (f"{workload.where}: terminationGracePeriodSeconds is {grace}, "
             f"expected at least {needed:g} ("
             + ", ".join(f"{k} {v:g}" for k, v in parts.items()) + ")")
    behind_service = any(workload.matches(s["spec"].get("selector", {}))
                         for s in cluster.of_kind("Service"))
    noticed = parts["preStop"] + parts.get("--drain_grace", 0)
    if behind_service and noticed < LEAST_GRACE_SECONDS:
      yield (f"{workload.where}: calls are taken for {noticed:g} s after "
             f"SIGTERM, expected {LEAST_GRACE_SECONDS}: clients find it by a "
             "Service")


def scaling(cluster):
  scaled = set()
  for doc in cluster.of_kind("HorizontalPodAutoscaler"):
    where = f"HorizontalPodAutoscaler {doc['metadata']['name']}"
    target = doc["spec"]["scaleTargetRef"]
    found = cluster.find(target["kind"], target["name"])
    if found is None:
      yield f"{where}: there is no {target['kind']} {target['name']}"
      continue
    scaled.add(target["name"])
    if "replicas" in found["spec"]:
      yield (f"{where}: {target['kind']} {target['name']} has replicas, which "
             "each apply would set back")
    workload = next(w for w in cluster.workloads if w.doc is found)
    for metric in doc["spec"].get("metrics", []):
      resource = metric.get("resource", {}).get("name")
      for container in workload.containers:
        requests = container.spec.get("resources", {}).get("requests", {})
        if resource and resource not in requests:
          yield f"{where}: {container.where} has no request of {resource}"
  for workload in cluster.workloads:
    if workload.kind == "Job" or workload.name in scaled:
      continue
    if "replicas" not in workload.spec:
      yield f"{workload.where}: has neither replicas nor an autoscaler"


def disruptions(cluster):
  for doc in cluster.of_kind("PodDisruptionBudget"):
    found = {"minAvailable", "maxUnavailable"} & set(doc["spec"])
    if len(found) != 1:
      yield (f"PodDisruptionBudget {doc['metadata']['name']}: found "
             f"{sorted(found)}, expected minAvailable or maxUnavailable")
  for workload in cluster.workloads:
    budgets = [b for b in cluster.of_kind("PodDisruptionBudget")
               if workload.matches(b["spec"]["selector"]["matchLabels"])]
    wanted = 0 if workload.kind == "Job" else 1
    if len(budgets) != wanted:
      yield (f"{workload.where}: found {len(budgets)} disruption budgets, "
             f"expected {wanted}")


def volumes(cluster):
  for workload in cluster.workloads:
    names = {v["name"] for v in workload.pod.get("volumes", [])}
    names |= {c["metadata"]["name"]
              for c in workload.spec.get("volumeClaimTemplates", [])}
    used = set()
    for container in workload.all_containers:
      for mount in container.spec.get("volumeMounts", []):
        used.add(mount["name"])
        if mount["name"] not in names:
          yield f"{container.where}: mounts {mount['name']}, which is no volume"
    for name in sorted(names - used):
      yield f"{workload.where}: nobody mounts the volume {name}"
    if workload.kind == "StatefulSet":
      name = workload.spec.get("serviceName")
      service = cluster.find("Service", name)
      if service is None or service["spec"].get("clusterIP") != "None":
        yield f"{workload.where}: serviceName {name} is no headless Service"
      if not workload.spec.get("volumeClaimTemplates"):
        yield f"{workload.where}: has no volume claim"


def paths(cluster):
  """What a program writes to or reads secrets from is mounted."""
  for workload in cluster.workloads:
    for container in workload.all_containers:
      mounts = {m["mountPath"]: m.get("readOnly", False)
                for m in container.spec.get("volumeMounts", [])}
      for flag in ("db_path", "work_dir", "cache_dir", "output", "tls_cert",
                   "tls_key", "tls_ca"):
        path = container.flags.get(flag)
        if path is None:
          continue
        mount = next((m for m in mounts if (path + "/").startswith(m + "/")),
                     None)
        if mount is None:
          yield f"{container.where}: --{flag}={path} is in no mount"
        elif mounts[mount] and not flag.startswith("tls"):
          yield f"{container.where}: --{flag}={path} cannot be written to"


def security(cluster):
  for workload in cluster.workloads:
    pod = workload.pod
    context = pod.get("securityContext", {})
    for what, found in (
        ("automountServiceAccountToken: false",
         pod.get("automountServiceAccountToken") is False),
        ("enableServiceLinks: false", pod.get("enableServiceLinks") is False),
        ("runAsNonRoot: true", context.get("runAsNonRoot") is True),
        ("seccompProfile RuntimeDefault",
         context.get("seccompProfile", {}).get("type") == "RuntimeDefault")):
      if not found:
        yield f"{workload.where}: expected {what}"
    for container in workload.all_containers:
      context = container.spec.get("securityContext", {})
      for what, found in (
          ("allowPrivilegeEscalation: false",
           context.get("allowPrivilegeEscalation") is False),
          ("readOnlyRootFilesystem: true",
           context.get("readOnlyRootFilesystem") is True),
          ("capabilities drop ALL",
           context.get("capabilities", {}).get("drop") == ["ALL"])):
        if not found:
          yield f"{container.where}: expected {what}"


def resources(cluster):
  for workload in cluster.workloads:
    for container in workload.all_containers:
      found = container.spec.get("resources", {})
      requests, limits = found.get("requests", {}), found.get("limits", {})
      for name in ("cpu", "memory"):
        if name not in requests:
          yield f"{container.where}: has no request of {name}"
      if "memory" not in limits:
        yield f"{container.where}: has no limit of memory"
      gpu = "nvidia.com/gpu"
      if gpu in requests and requests[gpu] != limits.get(gpu):
        yield f"{container.where}: {gpu} is asked for by limits alone"
      on_gpu = container.flags.get("device", "cpu") != "cpu"
      if on_gpu != (gpu in limits):
        yield (f"{container.where}: --device={container.flags.get('device')} "
               f"with a limit of {limits.get(gpu, 'no')} {gpu}")


def access(cluster):
  """Servers start, and both sides of a connection agree."""
  secure = set()
  for workload in cluster.workloads:
    container = workload.main
    flags = container.flags
    tls = [f for f in ("tls_cert", "tls_key", "tls_ca") if f in flags]
    secure.add(bool(tls))
    if tls and (len(tls) != 3 or "insecure" in flags):
      yield (f"{container.where}: found {tls}"
             f"{' and insecure' if 'insecure' in flags else ''}, expected all "
             "three --tls_ flags and no --insecure")
    for flag, host, port in container.host_and_ports():
      if is_loopback(host) or flag == "metrics_port":
        continue
      if flag == "http_port" and "insecure" not in flags:
        yield (f"{container.where}: HTTP on {host}:{port} needs --insecure")
      if not tls and "insecure" not in flags:
        yield (f"{container.where}: {host}:{port} needs the --tls_ flags or "
               "--insecure")
    if tls and flags.get("coordinator") and "advertise" not in flags and (
        container.program == "teacher_service"):
      yield (f"{container.where}: with TLS expected --advertise with the name "
             "in its certificate")
  if len(secure) > 1:
    yield "some parts have TLS and others have not"


def _allows(rules, key, peer, port):
  """Whether one of a policy's rules lets `peer` through at `port`."""
  for rule in rules:
    wanted = rule.get("ports")
    if wanted is not None and port not in [p.get("port") for p in wanted]:
      continue
    peers = rule.get(key)
    if peers is None:
      return True
    for entry in peers:
      selector = entry.get("podSelector", {}).get("matchLabels", {})
      if "podSelector" in entry and "namespaceSelector" not in entry and (
          peer.matches(selector)):
        return True
  return False


def network(cluster):
  policies = cluster.of_kind("NetworkPolicy")

  def allowed(pod, direction, key, peer, port):
    applying = [p["spec"] for p in policies
                if direction.capitalize() in p["spec"]["policyTypes"]
                and pod.matches(
                    p["spec"]["podSelector"].get("matchLabels", {}))]
    if not applying:
      return None
    return any(_allows(p.get(direction, []), key, peer, port) for p in applying)

  calls = []
  for client, flag, address in dialled(cluster):
    server, _, port = cluster.workload_at(address)
    if server is not None:
      calls.append((client, server, int(port)))
    if server is not None and flag == "coordinator":
      # The coordinator calls teachers back, and tells workers of the store.
      if client.main.program == "teacher_service":
        calls.append((server, client, int(client.main.flags["port"])))
      store, _, port = cluster.workload_at(
          server.main.flags.get("logit_store", ""))
      if store is not None:
        calls.append((client, store, int(port)))
  for client, server, port in calls:
    names = [name for name, p in server.main.ports.items() if p == port]
    where = f"{client.where} to {server.where}, port {port}"
    for pod, direction, key, peer in (
        (client, "egress", "to", server), (server, "ingress", "from", client)):
      answers = [allowed(pod, direction, key, peer, p) for p in [port] + names]
      if None in answers:
        yield f"{pod.where}: no policy rules its {direction}"
      elif not any(answers):
        yield f"{where}: no policy allows the {direction}"


def jobs(cluster):
  for workload in cluster.workloads:
    if workload.kind != "Job":
      continue
    spec, where = workload.spec, workload.where
    if spec.get("completionMode") != "Indexed":
      yield f"{where}: completionMode is {spec.get('completionMode')}"
    if spec.get("completions") != spec.get("parallelism"):
      yield (f"{where}: completions {spec.get('completions')} and parallelism "
             f"{spec.get('parallelism')} differ: some workers would wait")
    if workload.pod.get("restartPolicy") != "Never":
      yield f"{where}: podFailurePolicy needs restartPolicy: Never"
    if "backoffLimitPerIndex" not in spec:
      yield f"{where}: FailIndex needs backoffLimitPerIndex"
    rules = spec.get("podFailurePolicy", {}).get("rules", [])
    names = [c.name for c in workload.containers]
    failing = []
    for rule in rules:
      codes = rule.get("onExitCodes", {})
      if codes and codes.get("containerName") not in names:
        yield (f"{where}: podFailurePolicy names the container "
               f"{codes.get('containerName')}, expected one of {names}")
      if rule["action"] == "FailIndex" and codes.get("operator") == "In":
        failing += codes["values"]
    if 42 not in failing:
      yield f"{where}: exit code 42 does not fail its index"
    if not rules or rules[0]["action"] != "Ignore" or not any(
        c.get("type") == "DisruptionTarget"
        for c in rules[0].get("onPodConditions", [])):
      yield f"{where}: the first rule does not ignore DisruptionTarget"


def command_lines(cluster):
  for workload in cluster.workloads:
    for container in workload.all_containers:
      yield from container.problems


CHECKS = (access, addresses, command_lines, disruptions, drains, jobs,
          namespaces, network, paths, ports, probes, resources, scaling,
          security, selectors, volumes)
