"""Waits until a pod behind a service is ready, and says why not where it isn't."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pgslate.errors import ClusterError, PgslateError, PodNotReadyError, PrivilegeError, without_passwords
from pgslate.targets.kubernetes.api import Api, ExpiredError, error_of, path_of
from pgslate.targets.kubernetes.discovery import Backend, belongs, is_ready, list_pods
from pgslate.targets.kubernetes.pod_reasons import Hopeless, Reason, fix_for, last_events, reasons

Json = dict[str, Any]

_LOG_LINES = 8
_PAUSE = 0.5  # seconds, before an API server in trouble is asked again


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds.

    ``timeout`` in all; ``hopeless`` for one trouble to go away that time doesn't heal; ``watch`` before pods
    and events are looked at again without having changed.
    """

    timeout: float = 120.0
    hopeless: float = 30.0
    watch: float = 5.0
    clock: Callable[[], float] = field(default=time.monotonic)


DEFAULT_PATIENCE = Patience()


def wait_for_pod(
    api: Api,
    backend: Backend,
    *,
    patience: Patience = DEFAULT_PATIENCE,
    note: Callable[[str], None] = lambda line: None,
) -> Json:
    """The oldest ready pod of a backend, once there is one.

    ``note`` is called with a line on each new reason to wait. Raises PodNotReadyError with all that is known
    where none gets ready in time, or one trouble stands for ``patience.hopeless`` seconds that won't heal by
    itself.
    """
    start = patience.clock()
    hopeless, noted = Hopeless(), ""
    while True:
        try:
            pods, version = list_pods(api, backend)
        except ClusterError as error:
            if not _passes(error) or patience.clock() - start + _PAUSE > patience.timeout:
                raise
            if (now_waiting := error.message.splitlines()[0]) != noted:
                note(f"waiting for the API server: {now_waiting}")
                noted = now_waiting
            time.sleep(_PAUSE)
            continue
        for pod in pods:
            if is_ready(pod):
                return pod
        found = reasons(pods, _events(api, backend))
        now = patience.clock()
        if (now_waiting := _short(found, backend)) != noted:
            note(f"waiting for {backend.namespace}/{backend.service}: {now_waiting}")
            noted = now_waiting
        stuck = hopeless.longest(found, now)
        left = patience.timeout - (now - start)
        if stuck >= patience.hopeless and stuck > 0:
            raise not_ready(api, backend, pods, f"after {stuck:.0f} s of the same trouble")
        if left <= 0:
            raise not_ready(api, backend, pods, f"within {patience.timeout:g} s")
        wait = min(left, patience.watch)
        if stuck or any(reason.hopeless for reason in found):
            wait = min(wait, max(0.05, patience.hopeless - stuck))
        _watch_for_change(api, backend, version, wait, patience.clock)


def _passes(error: ClusterError) -> bool:
    """Whether the API server's trouble may be over in a moment: busy, being restarted, cut off, or behind."""
    if isinstance(error, ExpiredError):
        return True
    return type(error) is ClusterError and error.status in (0, 429, 500, 502, 503, 504)


def _watch_for_change(
    api: Api, backend: Backend, version: str, seconds: float, clock: Callable[[], float]
) -> None:
    """Return once a pod changed, ``seconds`` passed, or the watch fell too far behind."""
    query = [("resourceVersion", version)] if version else []
    if backend.selector:
        query.append(("labelSelector", backend.selector))
    until = clock() + seconds
    try:
        for event in api.watch(path_of("pods", backend.namespace), query, seconds=seconds):
            if event.get("type") == "ERROR":
                status = event.get("object") or {}
                raise error_of(int(status.get("code") or 500), status, "watch")
            if event.get("type") != "BOOKMARK" and belongs(event["object"], backend):
                return
    except ClusterError as error:
        if not _passes(error):
            raise
        return  # the next list tells whether it lasts
    except PrivilegeError:
        # may list but not watch: then look again in a moment
        time.sleep(min(1.0, max(0.0, until - clock())))
        return
    if clock() < until - 0.5 and seconds > 1:
        time.sleep(0.2)  # a server that ends watches at once is not to be hammered


def _events(api: Api, backend: Backend) -> list[Json]:
    """The namespace's events about pods; none where they may not be read: pods alone tell much."""
    try:
        query = (("fieldSelector", "involvedObject.kind=Pod"), ("limit", "500"))
        return list(api.get(path_of("events", backend.namespace), query).get("items") or ())
    except (ClusterError, PrivilegeError):
        return []


def _short(found: Sequence[Reason], backend: Backend) -> str:
    if not found:
        return f"no pods with {backend.selector or 'its endpoints'} yet"
    return "; ".join(f"{reason.pod} {reason.code}" for reason in found[:3])


def not_ready(api: Api, backend: Backend, pods: Sequence[Json], when: str) -> PodNotReadyError:
    """The error that says all that is known: reasons, the last events, the last log lines."""
    events = _events(api, backend)
    found = reasons(pods, events)
    codes = ", ".join(dict.fromkeys(reason.code for reason in found)) or "no endpoints"
    lines = [f"no pod of {backend.namespace}/{backend.service} got ready {when}: {codes}"]
    if not pods:
        missing = backend.selector or "the name that its endpoints have"
        lines.append(f"  no endpoints: no pod of the namespace {backend.namespace!r} has {missing}")
    lines += [f"  {reason}" for reason in found]
    if latest := [line for line in last_events(events, pods) if not any(line in str(r) for r in found)]:
        lines += ["  last events:", *(f"    {line}" for line in latest)]
    for pod in pods[:2]:
        lines += _log(api, pod)
    fix = fix_for(found, backend.namespace)
    if not pods:
        fix = "deploy it, scale it up, or compare the service's selector with the labels of its pods"
    return PodNotReadyError(
        without_passwords("\n".join(lines)),
        fix=fix,
        reasons=tuple(without_passwords(str(reason)) for reason in found),
        attempts=(),
    )


def _log(api: Api, pod: Json) -> list[str]:
    """The last log lines of the pod's containers, of the run that failed or of the one that runs now."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    lines: list[str] = []
    found = pod.get("status") or {}
    for status in (*(found.get("initContainerStatuses") or ()), *(found.get("containerStatuses") or ())):
        state, ended = status.get("state") or {}, (status.get("lastState") or {}).get("terminated")
        started = ended or state.get("running") or state.get("terminated")
        if status.get("ready") or not started or (state.get("terminated") or {}).get("exitCode") == 0:
            continue
        # what waits to be restarted has only one log; what runs again, that of the run that failed as well
        previous = "true" if ended and state.get("running") else "false"
        query = [("container", status["name"]), ("tailLines", str(_LOG_LINES)), ("previous", previous)]
        try:
            text = api.text(path_of("pods", namespace, name, sub="log"), query)
        except PgslateError:
            continue
        if logged := text.strip().splitlines():
            lines += [f"  last log lines of {name}/{status['name']}:", *(f"    {line}" for line in logged)]
    return lines
