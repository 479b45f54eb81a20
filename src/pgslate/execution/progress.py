"""The events that an apply reports while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pgslate.execution.planner import Plan, Step


class Progress(Protocol):
    """Receives each event as it happens, in this order; a method that raises ends the run."""

    def planned(self, plan: Plan) -> None:
        """The plan that is about to run; reported again if it changed while waiting for the lock."""

    def waiting(self, holder: str) -> None:
        """Another runner holds the lock; ``holder`` says who."""

    def started(self, step: Step) -> None:
        """A migration is sent."""

    def finished(self, step: Step, seconds: float) -> None:
        """A migration ran; it stands once its transaction is committed."""

    def restarted(self, why: str) -> None:
        """The one transaction was rolled back, and the run begins again with a transaction a file."""

    def committed(self, steps: int) -> None:
        """So many migrations, the last ones that finished, now stand."""


class Silent:
    """Progress that nobody looks at."""

    def planned(self, plan: Plan) -> None:
        pass

    def waiting(self, holder: str) -> None:
        pass

    def started(self, step: Step) -> None:
        pass

    def finished(self, step: Step, seconds: float) -> None:
        pass

    def restarted(self, why: str) -> None:
        pass

    def committed(self, steps: int) -> None:
        pass
