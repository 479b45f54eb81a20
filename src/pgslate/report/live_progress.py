"""How a run goes on: lines for a pipe or a writer, a bar that leaves nothing behind for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pgslate.plain_text import counted

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from pgslate.execution.planner import Plan, Step


class Lines:
    """An apply's progress, a line for each thing that happens, given to ``say``."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def planned(self, plan: Plan) -> None:
        self._say(f"{counted(len(plan.steps), 'migration')} to apply, {len(plan.applied)} applied already")

    def waiting(self, holder: str) -> None:
        self._say(f"waiting for another run to end: {holder}")

    def started(self, step: Step) -> None:
        pass

    def finished(self, step: Step, seconds: float) -> None:
        count = step.of if step.statements is None else len(step.statements)
        self._say(f"{step.migration.shown}: {counted(count, 'statement')}, {seconds * 1000:.0f} ms")

    def restarted(self, why: str) -> None:
        self._say(f"rolled back, and begun again with a transaction a file: {why}")

    def committed(self, steps: int) -> None:
        self._say(f"committed {counted(steps, 'migration')}")


class Bar:
    """An apply's progress as a bar; what it waits for stays above it."""

    def __init__(self) -> None:
        self._bars = _bars()
        self._task = self._bars.add_task("applying", total=None, what="")
        self._done = 0

    def __enter__(self) -> Bar:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def planned(self, plan: Plan) -> None:
        self._done = 0
        self._bars.update(self._task, completed=0, total=len(plan.steps))

    def waiting(self, holder: str) -> None:
        self._bars.console.print(f"waiting for another run to end: {holder}", markup=False, highlight=False)

    def started(self, step: Step) -> None:
        self._bars.update(self._task, what=step.migration.shown)

    def finished(self, step: Step, seconds: float) -> None:
        self._done += 1
        self._bars.update(self._task, completed=self._done)

    def restarted(self, why: str) -> None:
        self._done = 0
        self._bars.update(self._task, completed=0)

    def committed(self, steps: int) -> None:
        pass


@contextmanager
def bar_of(doing: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that shows how many steps are done, how many there are, and the next one."""
    with _bars() as bars:
        task = bars.add_task(doing, total=None, what="")

        def advance(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, what=what)

        yield advance


@contextmanager
def board_of(names: Collection[str]) -> Iterator[Callable[[str, str], None]]:
    """A line for each name with its latest news; the lines stay, and show how each ended."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn
    from rich.table import Column

    whole = Column(no_wrap=True, min_width=max(map(len, names), default=0))
    rest = Column(no_wrap=True, overflow="ellipsis")
    with Progress(
        TextColumn("{task.description}", markup=False, table_column=whole),
        TextColumn("{task.fields[what]}", markup=False, table_column=rest),
        console=Console(stderr=True),
    ) as bars:
        tasks = {name: bars.add_task(name, total=None, what="waits for its turn") for name in names}

        def tell(name: str, line: str) -> None:
            bars.update(tasks[name], what=line.partition("\n")[0])

        yield tell


def _bars() -> Bars:
    # rich takes longer to import than most verbs to run: only a terminal gets it
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[what]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
