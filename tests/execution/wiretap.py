"""A target that writes down what its connections say, as libpq traces it."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from pgslate.targets.target import Target


class Wiretap(Target):
    """The same database; ``messages()`` are the names of all that was sent since a connection was ready."""

    def __init__(self, target: Target, folder: Path) -> None:
        super().__init__(target.dsn, label=target.label)
        self._folder = folder
        self._files: list[Path] = []

    def connect(self, **kwargs: Any) -> psycopg.Connection[Any]:
        connection = super().connect(**kwargs)
        descriptor, name = tempfile.mkstemp(dir=self._folder)  # libpq closes it
        connection.pgconn.trace(descriptor)
        self._files.append(Path(name))
        connection.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        return connection

    @property
    def connections(self) -> int:
        return len(self._files)

    def messages(self) -> list[str]:
        """``Query``, ``Parse``, ``Sync``, ``Terminate`` and so on, in order."""
        found = []
        for file in self._files:
            for line in io.StringIO(file.read_text(errors="replace")):
                parts = line.split("\t")
                if parts[0] == "F" and len(parts) > 2:
                    found.append(parts[2].strip())
        return found
