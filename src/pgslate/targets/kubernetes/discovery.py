"""From the name of a service to its pods and their port."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pgslate.errors import ClusterError, PodNotReadyError, PrivilegeError, ServiceNotFoundError
from pgslate.targets.kubernetes.api import Api, NotFoundError, path_of

Json = dict[str, Any]

POSTGRES_PORT = 5432
_USUAL_SERVICES = ("postgresql", "postgres")
_USUAL_PORTS = ("postgresql", "postgres", "tcp-postgresql", "psql", "pg", "db")


@dataclass(frozen=True, slots=True)
class Backend:
    """What stands behind a service: which pods, and which of their ports.

    ``selector`` is a label selector, or empty where ``pod_names`` come from the service's endpoints.
    ``port`` is a number, or the name that a port has in the pods.
    """

    namespace: str
    service: str
    selector: str
    port: int | str
    pod_names: tuple[str, ...] = ()
    how: str = ""

    @property
    def label(self) -> str:
        """For humans: ``kubernetes namespace/service``."""
        return f"kubernetes {self.namespace}/{self.service}"


def find_backend(api: Api, namespace: str, service: str | None = None) -> Backend:
    """The backend of ``service``, which may end in ``:PORT`` (a name or a number).

    With no service given: ``postgresql`` or ``postgres``, else the only service with a port 5432. Where
    there is no such service, pods labelled ``app=SERVICE`` are taken, as the teams did by hand. Raises
    ServiceNotFoundError with the services that might be meant, PrivilegeError, ClusterError.
    """
    name, _, port = (service or "").partition(":")
    found = _service_named(api, namespace, name) if name else _only_service(api, namespace)
    if found is not None:
        return backend_of(found, port, api)
    for label in (name,) if name else _USUAL_SERVICES:
        selector = f"app={label}"
        if api.get(path_of("pods", namespace), (("labelSelector", selector), ("limit", "1"))).get("items"):
            number: int | str = int(port) if port.isdigit() else port or POSTGRES_PORT
            return Backend(
                namespace, label, selector, number, how=f"pods labelled {selector} (no such service)"
            )
    raise _no_service(api, namespace, name)


def backend_of(service: Json, port: str, api: Api) -> Backend:
    """The backend of a Service object; ``port`` is a name, a number, or empty for the one that fits best."""
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        raise ServiceNotFoundError(
            f"the service {namespace}/{name} is only a name for {spec.get('externalName')}, outside",
            fix=f"connect to it directly: --dsn host={spec.get('externalName')}",
        )
    chosen = _service_port(spec.get("ports") or [], port, f"{namespace}/{name}")
    if selector := spec.get("selector"):
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        target = chosen.get("targetPort") or chosen["port"]
        return Backend(namespace, name, labels, target, how=f"service {name}, pods with {labels}")
    pods, target = _from_endpoints(api, namespace, name, chosen)
    if not pods:
        raise ServiceNotFoundError(
            f"the service {namespace}/{name} has no selector, and its endpoints are no pods",
            fix="a forward leads to pods only: give the address behind it as --dsn",
        )
    return Backend(namespace, name, "", target, pods, how=f"service {name}, pods of its endpoints")


def _service_named(api: Api, namespace: str, name: str) -> Json | None:
    try:
        return api.get(path_of("services", namespace, name))
    except NotFoundError:
        return None


def _only_service(api: Api, namespace: str) -> Json | None:
    services = {s["metadata"]["name"]: s for s in api.get(path_of("services", namespace)).get("items") or ()}
    for usual in _USUAL_SERVICES:
        if usual in services:
            return dict(services[usual])
    fitting = [s for s in services.values() if _has_postgres_port(s)]
    if len(fitting) > 1:
        names = tuple(sorted(s["metadata"]["name"] for s in fitting))
        raise ServiceNotFoundError(
            f"{len(names)} services of the namespace {namespace!r} could be PostgreSQL: {', '.join(names)}",
            fix=f"say which: --kube {namespace}/{names[0]}",
            candidates=tuple(f"{namespace}/{name}" for name in names),
        )
    return fitting[0] if fitting else None


def _has_postgres_port(service: Json) -> bool:
    ports = (service.get("spec") or {}).get("ports") or ()
    return any(p.get("port") == POSTGRES_PORT or p.get("targetPort") == POSTGRES_PORT for p in ports)


def _service_port(ports: list[Json], wanted: str, service: str) -> Json:
    known = ", ".join(f"{p['port']} ({p['name']})" if p.get("name") else str(p["port"]) for p in ports)
    if wanted:
        for port in ports:
            if wanted in (port.get("name"), str(port["port"])):
                return port
        raise ServiceNotFoundError(
            f"the service {service} has no port {wanted}",
            fix=f"use one of: {known or 'it has no ports at all'}",
        )
    fitting = [p for p in ports if POSTGRES_PORT in (p["port"], p.get("targetPort"))]
    fitting = fitting or [p for p in ports if p.get("name") in _USUAL_PORTS] or ports
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        return {"port": POSTGRES_PORT}
    raise ServiceNotFoundError(
        f"the service {service} has several ports: {known}",
        fix=f"say which: --kube {service}:{fitting[0].get('name') or fitting[0]['port']}",
    )


def _from_endpoints(api: Api, namespace: str, service: str, port: Json) -> tuple[tuple[str, ...], int | str]:
    """Pods and port of a service without a selector, from its EndpointSlices."""
    query = (("labelSelector", f"kubernetes.io/service-name={service}"),)
    slices = api.get(path_of("endpointslices", namespace, api_version="discovery.k8s.io/v1"), query)
    pods: list[str] = []
    target: int | str = port.get("targetPort") or port["port"]
    for piece in slices.get("items") or ():
        for known in piece.get("ports") or ():
            if known.get("name", "") == port.get("name", "") and known.get("port"):
                target = known["port"]
        for endpoint in piece.get("endpoints") or ():
            ref = endpoint.get("targetRef") or {}
            if ref.get("kind") == "Pod":
                pods.append(ref["name"])
    return tuple(sorted(set(pods))), target


def _no_service(api: Api, namespace: str, name: str) -> ServiceNotFoundError:
    """Why there is nothing to connect to: a namespace misspelt, or a service that lives elsewhere."""
    here = _names(api, "services", namespace)
    elsewhere = tuple(
        f"{s['metadata']['namespace']}/{s['metadata']['name']}"
        for s in _items(api, "services")
        if s["metadata"]["namespace"] != namespace
        and (s["metadata"]["name"] == name if name else _has_postgres_port(s))
    )
    namespaces = _names(api, "namespaces")
    what = f"service {name!r}" if name else "service that looks like PostgreSQL"
    if namespaces and namespace not in namespaces:
        message = f"there is no namespace {namespace!r}"
        known = "there are: " + ", ".join(namespaces[:12])
    else:
        message = (
            f"the namespace {namespace!r} has no {what}, and no pods labelled app={name or 'postgresql'}"
        )
        known = "its services: " + ", ".join(here[:12]) if here else "it has no services at all"
    if elsewhere:
        fix = f"such a service is in: {', '.join(elsewhere[:6])}; use --kube {elsewhere[0]}"
    else:
        fix = f"deploy it first, or give --kube NAMESPACE/SERVICE; {known}"
    return ServiceNotFoundError(message, fix=fix, candidates=elsewhere)


def _names(api: Api, kind: str, namespace: str = "") -> list[str]:
    return sorted(item["metadata"]["name"] for item in _items(api, kind, namespace))


def _items(api: Api, kind: str, namespace: str = "") -> list[Json]:
    """What may be listed; nothing where it may not: this only makes an error better."""
    try:
        return list(api.get(path_of(kind, namespace)).get("items") or ())
    except (ClusterError, PrivilegeError):
        return []


def list_pods(api: Api, backend: Backend) -> tuple[list[Json], str]:
    """The pods of a backend, oldest first, and the version of that list, to watch from."""
    if not backend.selector:  # whoever keeps the endpoints may have put other pods there meanwhile
        names, _ = _from_endpoints(api, backend.namespace, backend.service, {"port": backend.port})
        backend = replace(backend, pod_names=names)
    query = (("labelSelector", backend.selector),) if backend.selector else ()
    answer = api.get(path_of("pods", backend.namespace), query)
    pods = [pod for pod in answer.get("items") or () if belongs(pod, backend)]
    pods.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]))
    return pods, (answer.get("metadata") or {}).get("resourceVersion") or ""


def belongs(pod: Json, backend: Backend) -> bool:
    """Whether a pod is one of the backend's (where no selector says so already)."""
    return bool(backend.selector) or pod["metadata"]["name"] in backend.pod_names


def is_ready(pod: Json) -> bool:
    """Ready, and not on its way out."""
    status = pod.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    return conditions.get("Ready") == "True" and not pod["metadata"].get("deletionTimestamp")


def pod_port(pod: Json, port: int | str) -> int:
    """The number of a port that may be given by the name that a container gave it."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for container in (pod.get("spec") or {}).get("containers") or ():
        for known in container.get("ports") or ():
            if known.get("name") == port:
                return int(known["containerPort"])
    raise ServiceNotFoundError(
        f"no container of the pod {pod['metadata']['name']} has a port named {port!r}",
        fix="name the port in the pod's spec, or give it by number: --kube NAMESPACE/SERVICE:5432",
    )


class ReadyPods:
    """Picks a pod for each connection: the oldest one that is ready, so that a run stays with one server.

    The list is asked for anew after ``max_age`` seconds, and whenever a connection failed.
    """

    def __init__(
        self, api: Api, backend: Backend, *, max_age: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api, self._backend, self._max_age, self._clock = api, backend, max_age, clock
        self._lock = threading.Lock()
        self._ready: list[Json] = []
        self._listed = float("-inf")

    def pick(self, *, fresh: bool) -> tuple[str, str, int]:
        """Namespace, pod and port. Raises PodNotReadyError where no pod is ready."""
        with self._lock:
            if fresh or not self._ready or self._clock() - self._listed > self._max_age:
                pods, _ = list_pods(self._api, self._backend)
                self._ready = [pod for pod in pods if is_ready(pod)]
                self._listed = self._clock()
            if not self._ready:
                raise PodNotReadyError(
                    f"no pod of {self._backend.namespace}/{self._backend.service} is ready",
                    fix=f"kubectl get pods -n {self._backend.namespace}",
                    reasons=(),
                    attempts=(),
                )
            pod = self._ready[0]
        return self._backend.namespace, pod["metadata"]["name"], pod_port(pod, self._backend.port)
