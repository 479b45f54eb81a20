"""Why pods aren't ready: reads their status and their events, and answers in sentences. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# Families of reasons that nobody but a person mends. The phases of one trouble take turns (ErrImagePull and
# ImagePullBackOff; CrashLoopBackOff, running, terminated), so each has one family.
_HOPELESS = {
    "ErrImagePull": "image",
    "ImagePullBackOff": "image",
    "InvalidImageName": "image",
    "ErrImageNeverPull": "image",
    "CreateContainerConfigError": "configuration",
    "CreateContainerError": "configuration",
    "RunContainerError": "configuration",
    "CrashLoopBackOff": "crash",
    "OOMKilled": "crash",
    "Unschedulable": "scheduling",
    "Evicted": "eviction",
}
# an image that isn't there stays away; a registry that is slow may answer yet
_TRANSIENT_PULL = re.compile(
    r"time-?out|toomanyrequests|429|connection re(set|fused)|TLS handshake|\b50[234]\b", re.I
)

_FIXES = {
    "image": "check the image's name and tag, and that the node may pull it (imagePullSecrets, `kind load`)",
    "configuration": "create the Secret or ConfigMap that the pod refers to, or mend the reference",
    "crash": "see the last log lines above; all of them: kubectl logs -n {namespace} {pod} --previous",
    "scheduling": "make room, or mend its nodeSelector, affinity or tolerations: "
    "kubectl describe pod -n {namespace} {pod}",
    "eviction": "see what the node ran short of: kubectl describe pod -n {namespace} {pod}",
    "probe": "see what the probe asks for: kubectl describe pod -n {namespace} {pod}",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a pod from being ready.

    ``family`` groups the phases of one trouble; ``hopeless`` says that time alone doesn't heal it.
    """

    pod: str
    code: str
    message: str = ""
    family: str = ""
    hopeless: bool = False

    def __str__(self) -> str:
        return f"pod {self.pod}: {self.code}" + (f": {self.message}" if self.message else "")


def reasons(pods: Iterable[Json], events: Sequence[Json] = ()) -> tuple[Reason, ...]:
    """Why these pods aren't ready; nothing for those that are. Events are of the API's ``v1`` kind."""
    found: list[Reason] = []
    for pod in pods:
        found += _of_pod(pod, [e for e in events if _concerns(e, pod)])
    return tuple(found)


def fix_for(found: Sequence[Reason], namespace: str) -> str:
    """What to do about the first reason that somebody can do something about."""
    for reason in found:
        if reason.family in _FIXES:
            return _FIXES[reason.family].format(namespace=namespace, pod=reason.pod)
    return f"kubectl describe pods -n {namespace}; or wait longer with --timeout"


def _of_pod(pod: Json, events: Sequence[Json]) -> list[Reason]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return [Reason(name, "Terminating", "it is being deleted")]
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return []
    if status.get("phase") in ("Failed", "Succeeded"):
        code = status.get("reason") or status["phase"]
        message = status.get("message") or "its containers have ended"
        family = _HOPELESS.get(code, "crash")
        return [Reason(name, code, message, family, hopeless=True)]
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        growing = any(e.get("reason") == "TriggeredScaleUp" for e in events)
        code = scheduled.get("reason") or "Unschedulable"
        return [
            Reason(
                name, code, scheduled.get("message") or "", "scheduling", code in _HOPELESS and not growing
            )
        ]
    found = [
        reason
        for field in ("initContainerStatuses", "containerStatuses")
        for container in status.get(field) or ()
        if (reason := _of_container(name, container, pod))
    ]
    found += _failed_probes(name, events)
    if not found:
        mounts = [e for e in events if e.get("reason") in ("FailedMount", "FailedAttachVolume")]
        if mounts:
            message = mounts[-1].get("message", "")
            missing = "not found" in message
            return [Reason(name, mounts[-1]["reason"], message, "configuration", hopeless=missing)]
        found.append(Reason(name, status.get("phase") or "Pending", "not ready yet"))
    return found


def _of_container(pod: str, container: Json, spec: Json) -> Reason | None:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    name = container["name"]
    if container.get("ready") or (ended.get("exitCode") == 0 and state.get("terminated")):
        return None
    if waiting := state.get("waiting"):
        code = waiting.get("reason") or "Waiting"
        if code in ("ContainerCreating", "PodInitializing"):
            return None
        message = waiting.get("message") or ""
        family = _HOPELESS.get(code, "")
        if code == "CrashLoopBackOff" and ended:
            if ended.get("reason") == "OOMKilled":
                code = "OOMKilled"
                message = (
                    f"it used more memory than its limit{_limit(spec, name)} and is restarted ever later"
                )
            else:
                times = container.get("restartCount", 0)
                message = f"it ends with status {ended.get('exitCode')}, {times} times so far"
                message += f": {ended['message'].strip()}" if ended.get("message") else ""
        transient = family == "image" and bool(_TRANSIENT_PULL.search(message))
        return Reason(pod, code, f"container {name}: {message}", family, bool(family) and not transient)
    if ended and (ended.get("exitCode") or ended.get("reason") == "OOMKilled"):
        code = ended.get("reason") or "Error"
        limit = _limit(spec, name) if code == "OOMKilled" else ""
        message = f"container {name} ended with status {ended.get('exitCode')}{limit}"
        return Reason(pod, code, message, "crash", hopeless=container.get("restartCount", 0) > 0)
    return None


def _limit(pod: Json, name: str) -> str:
    for container in (pod.get("spec") or {}).get("containers") or ():
        memory = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        if container["name"] == name and memory:
            return f" ({memory})"
    return ""


def _failed_probes(pod: str, events: Sequence[Json]) -> list[Reason]:
    failed = [e for e in events if e.get("reason") == "Unhealthy"]
    if not failed:
        return []
    return [Reason(pod, "Unhealthy", failed[-1].get("message", "").strip(), "probe")]


def _concerns(event: Json, pod: Json) -> bool:
    about = event.get("involvedObject") or {}
    if about.get("uid") and pod["metadata"].get("uid"):
        return bool(about["uid"] == pod["metadata"]["uid"])
    return bool(about.get("name") == pod["metadata"]["name"])


def last_events(events: Iterable[Json], pods: Iterable[Json], *, count: int = 5) -> tuple[str, ...]:
    """The last warnings about these pods, oldest first: ``Reason: message (xN)``."""
    pods = list(pods)
    about = [e for e in events if e.get("type") != "Normal" and any(_concerns(e, pod) for pod in pods)]
    about.sort(key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")
    lines = []
    for event in about[-count:]:
        times = event.get("count") or (event.get("series") or {}).get("count") or 1
        message = " ".join((event.get("message") or "").split())
        lines.append(f"{event.get('reason')}: {message}" + (f" (x{times})" if times > 1 else ""))
    return tuple(lines)


class Hopeless:
    """Tells since when the same hopeless trouble stands, over pods that come and go.

    One family of reasons is one trouble: a pod that crashes, runs for a second and crashes again has had one
    since the first crash.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def longest(self, found: Iterable[Reason], now: float) -> float:
        """Seconds since the oldest trouble that still lasts was first noticed; 0 for none."""
        families = {reason.family for reason in found if reason.hopeless}
        self._since = {family: self._since.get(family, now) for family in families}
        return max((now - since for since in self._since.values()), default=0.0)
