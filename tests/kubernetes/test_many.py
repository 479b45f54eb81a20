"""Several targets at once: bounded, each with its line, and one that fails doesn't stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pgslate.errors import ServiceNotFoundError
from pgslate.targets.kubernetes import exit_status, run_many, summary

Tell = Callable[[str], None]


def double(number: int) -> Callable[[Tell], int]:
    return lambda tell: number * 2


def fail(tell: Tell) -> int:
    raise ServiceNotFoundError("the namespace 'b' has no service", fix="deploy it")


def test_outcomes_are_in_the_order_of_the_targets() -> None:
    outcomes = run_many({"a": double(1), "b": double(2), "c": double(3)}, at_once=2)
    assert [(outcome.name, outcome.result) for outcome in outcomes] == [("a", 2), ("b", 4), ("c", 6)]
    assert exit_status(outcomes) == 0


def test_one_that_fails_does_not_stop_the_others_and_decides_the_exit_status() -> None:
    outcomes = run_many({"a": double(1), "b": fail, "c": double(3)})
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert exit_status(outcomes) == 3
    assert summary(outcomes) == "2 of 3 targets done, 1 failed\n  b: the namespace 'b' has no service"


def test_no_more_run_at_once_than_are_allowed() -> None:
    running, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(2, timeout=10)

    def work(tell: Tell) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1

    outcomes = run_many({str(number): work for number in range(6)}, at_once=2)
    assert all(outcome.ok for outcome in outcomes)
    assert most == 2


def test_each_target_tells_how_it_goes() -> None:
    lines: list[str] = []

    def work(tell: Tell) -> None:
        tell("applied 3 migrations")

    clock = iter([10.0, 12.5]).__next__
    run_many({"a": work}, progress=lambda name, line: lines.append(f"{name}: {line}"), clock=clock)
    assert lines == ["a: started", "a: applied 3 migrations", "a: done in 2.5 s"]


def test_nothing_to_do_is_done_at_once() -> None:
    assert run_many({}) == ()
    assert summary(()) == "0 of 0 targets done"
