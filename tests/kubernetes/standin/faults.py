"""What can be made to go wrong in the stand-in, and how often."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

#: Of a forward: refused (nobody listens in the pod), reset (TCP, before anything), reset-later (after the
#: first data from the pod), stall (nothing more is read or said), forbidden (403), hangup (a clean close).
FORWARD_FAULTS = ("refused", "reset", "reset-later", "stall", "forbidden", "hangup")


@dataclass(slots=True)
class Answer:
    """An HTTP answer that is given instead of the right one, ``times`` times."""

    status: int
    path: re.Pattern[str]
    times: int
    message: str


class Faults:
    """The faults that are due. Each is used up by the requests that meet it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: list[Answer] = []
        self._forwards: list[str] = []
        self.slow_watch = threading.Event()  # set: watches say nothing until it is cleared
        self.forbidden: set[tuple[str, str]] = set()  # (verb, resource) that nobody may

    def answer(self, status: int, path: str = ".", *, times: int = 1, message: str = "") -> None:
        """Let the next ``times`` requests whose path fits (a regular expression) get ``status``."""
        with self._lock:
            self._answers.append(Answer(status, re.compile(path), times, message))

    def forward(self, fault: str, *, times: int = 1) -> None:
        """Let the next ``times`` port-forwards go wrong."""
        assert fault in FORWARD_FAULTS, fault
        with self._lock:
            self._forwards += [fault] * times

    def clear(self) -> None:
        """Let everything go right again."""
        with self._lock:
            self._answers.clear()
            self._forwards.clear()
        self.slow_watch.clear()
        self.forbidden.clear()

    def due_answer(self, path: str) -> Answer | None:
        """The wrong answer for a request, if one is due."""
        with self._lock:
            for answer in self._answers:
                if answer.times > 0 and answer.path.search(path):
                    answer.times -= 1
                    return answer
        return None

    def due_forward(self) -> str:
        """The fault of this port-forward, or nothing."""
        with self._lock:
            return self._forwards.pop(0) if self._forwards else ""
