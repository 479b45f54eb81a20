"""The Data Storage service as a process of its own: started, killed, started again on the same port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import httpx


class ServiceProcess:
    """``datastorage serve`` on a free port of this machine; ``log`` is the file it writes to."""

    def __init__(self, arguments: Sequence[str], log: Path, *, ready_timeout: float = 20.0) -> None:
        """Starts it, and waits at most ``ready_timeout`` seconds until it listens; raises RuntimeError."""
        self._arguments = tuple(arguments)
        self._log = log
        self._timeout = ready_timeout
        self.url = ""
        self._process = self._start(port=0)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def logs(self) -> str:
        """What it has logged so far, through all its lives."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def kill(self) -> None:
        """Ends it as ``kill -9`` does."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Starts it again, on the same port."""
        self._process = self._start(port=httpx.URL(self.url).port or 0)

    def close(self) -> None:
        """Asks it to end, and makes it, should it not within ten seconds."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, *, port: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "datastorage.cli", "serve", "--port", str(port), *self._arguments]
        with self._log.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment()
            )
        assert process.stdout is not None  # it was asked for
        # The line comes when it listens; its end comes when it died instead.
        with process.stdout as output:
            line = output.readline()
        if not line:
            status = process.wait(timeout=self._timeout)
            raise RuntimeError(f"the service ended with status {status}:\n{self.logs()[-2000:]}")
        self.url = json.loads(line)["url"]
        return process


def _environment() -> dict[str, str]:
    """Ours, with this package importable wherever it was imported from."""
    source = str(Path(__file__).parents[2])
    path = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
