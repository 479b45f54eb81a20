"""Why pods aren't ready, from statuses as real nodes report them."""

from __future__ import annotations

import pytest

from pgslate.targets.kubernetes.pod_reasons import Hopeless, Json, Reason, fix_for, last_events, reasons


def pod(*, phase: str = "Running", conditions: list[Json] | None = None, **container: object) -> Json:
    status: Json = {"phase": phase, "conditions": conditions or [{"type": "Ready", "status": "False"}]}
    if container:
        status["containerStatuses"] = [{"name": "postgresql", "ready": False, "restartCount": 0, **container}]
    return {"metadata": {"name": "db-0", "uid": "u1"}, "spec": {"containers": [LIMITED]}, "status": status}


LIMITED = {"name": "postgresql", "resources": {"limits": {"memory": "64Mi"}}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def event(reason: str, message: str, **more: object) -> Json:
    return {"type": "Warning", "reason": reason, "message": message, "involvedObject": {"uid": "u1"}, **more}


@pytest.mark.parametrize(
    ("state", "hopeless", "said"),
    [
        (waiting("ImagePullBackOff", 'Back-off pulling image "x:1"'), True, 'Back-off pulling image "x:1"'),
        (waiting("ErrImagePull", "pull x:1: not found"), True, "pull x:1: not found"),
        (waiting("ErrImagePull", "dial tcp: i/o timeout"), False, "i/o timeout"),
        (waiting("ErrImagePull", "429 Too Many Requests: toomanyrequests"), False, "toomanyrequests"),
        (waiting("InvalidImageName", "couldn't parse image"), True, "couldn't parse image"),
        (waiting("CreateContainerConfigError", 'secret "s" not found'), True, 'secret "s" not found'),
    ],
)
def test_a_waiting_container_says_what_it_waits_for(state: Json, hopeless: bool, said: str) -> None:
    (reason,) = reasons([pod(state=state)])
    assert reason.hopeless is hopeless
    assert said in str(reason)
    assert state["waiting"]["reason"] in str(reason)


def test_a_container_that_is_being_made_is_no_trouble() -> None:
    (reason,) = reasons([pod(phase="Pending", state=waiting("ContainerCreating"))])
    assert not reason.hopeless
    assert str(reason) == "pod db-0: Pending: not ready yet"


def test_a_crash_loop_gives_the_exit_status_and_how_often() -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    (reason,) = reasons([pod(state=waiting("CrashLoopBackOff"), lastState=ended, restartCount=4)])
    assert (
        str(reason)
        == "pod db-0: CrashLoopBackOff: container postgresql: it ends with status 3, 4 times so far"
    )


def test_too_little_memory_is_named_with_its_limit() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    (looping,) = reasons([pod(state=waiting("CrashLoopBackOff"), lastState=ended, restartCount=2)])
    (first,) = reasons([pod(state=ended)])
    assert looping.code == first.code == "OOMKilled"
    assert "64Mi" in looping.message
    assert "64Mi" in first.message


def test_a_pod_that_fits_no_node_is_hopeless_unless_nodes_are_on_their_way() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    stuck = pod(phase="Pending", conditions=[condition])
    assert [reason.hopeless for reason in reasons([stuck])] == [True]
    assert [r.hopeless for r in reasons([stuck], [event("TriggeredScaleUp", "1->2")])] == [False]


def test_a_failing_probe_is_told_from_its_event() -> None:
    (reason,) = reasons(
        [pod(state={"running": {}})], [event("Unhealthy", "Readiness probe failed: no response")]
    )
    assert str(reason) == "pod db-0: Unhealthy: Readiness probe failed: no response"
    assert not reason.hopeless


def test_a_volume_that_is_not_there_is_told_from_its_event() -> None:
    (reason,) = reasons(
        [pod(phase="Pending", state=waiting("ContainerCreating"))],
        [event("FailedMount", 'MountVolume.SetUp failed: secret "tls" not found')],
    )
    assert reason.hopeless
    assert 'secret "tls" not found' in str(reason)


def test_a_ready_pod_needs_no_reason_and_one_on_its_way_out_says_so() -> None:
    ready = pod(conditions=[{"type": "Ready", "status": "True"}])
    leaving = pod(conditions=[{"type": "Ready", "status": "True"}])
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert [reason.code for reason in reasons([ready, leaving])] == ["Terminating"]


def test_an_evicted_pod_says_what_the_node_ran_short_of() -> None:
    evicted = pod(phase="Failed")
    evicted["status"] |= {"reason": "Evicted", "message": "The node was low on resource: memory."}
    (reason,) = reasons([evicted])
    assert reason.hopeless
    assert "low on resource: memory" in str(reason)


def test_the_phases_of_one_trouble_count_as_one() -> None:
    hopeless = Hopeless()
    crashed = Reason("a", "Error", family="crash", hopeless=True)
    looping = Reason("b", "CrashLoopBackOff", family="crash", hopeless=True)
    assert hopeless.longest([crashed], 100.0) == 0.0
    assert hopeless.longest([looping], 120.0) == 20.0
    assert hopeless.longest([], 121.0) == 0.0
    assert hopeless.longest([looping], 130.0) == 0.0


def test_events_of_other_pods_are_left_out_and_repeated_ones_counted() -> None:
    events = [
        event("BackOff", "Back-off restarting", count=7, lastTimestamp="2026-01-01T00:00:02Z"),
        {**event("BackOff", "someone else's"), "involvedObject": {"uid": "u2"}},
        event("Failed", "Error:\n  ErrImagePull", lastTimestamp="2026-01-01T00:00:01Z"),
    ]
    assert last_events(events, [pod()]) == (
        "Failed: Error: ErrImagePull",
        "BackOff: Back-off restarting (x7)",
    )


def test_the_fix_fits_the_first_trouble() -> None:
    assert "kubectl logs -n n a --previous" in fix_for([Reason("a", "OOMKilled", family="crash")], "n")
    assert "kubectl describe pods -n n" in fix_for([], "n")
