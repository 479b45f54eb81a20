"""Starts a server so that it ends with its owner, however the owner ends, and tells when it is ready.

The server's parent is a shell that waits on a pipe whose other end the owner holds. When the owner closes it,
or dies (also of ``kill -9``), the shell reads the pipe's end, ends the server and removes its directory. A
child that the owner forked without exec holds the pipe too, and so keeps the server until it ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from pathlib import Path

from pgslate.errors import TargetError
from pgslate.targets.embedded.accounts import Account
from pgslate.targets.embedded.data_directory import server_environment

#: $1 is the run directory, the rest is the server's command. "keep" on the pipe means: stop cleanly, leave
#: the directory; the end of the pipe means: stop at once and remove it. The shell must outlive a Ctrl-C, a
#: hang-up and a reader that is gone. A shell starts what is in the background with SIGQUIT ignored, so the
#: server ignores it until it is set up: the signal is sent until the server is gone, in the end as SIGKILL.
WATCHED = """
trap '' HUP INT TERM PIPE
run=$1; shift
exec 3<&0
"$@" </dev/null >>"$run/log" 2>&1 3<&- &
server=$!
( read -r how <&3
  signal=QUIT; tries=0
  if [ "$how" = keep ]; then : >"$run/keep"; signal=INT; fi
  : >"$run/stopping"
  while [ ! -e "$run/exited" ] && kill -$signal $server 2>/dev/null; do
    sleep 0.1
    tries=$((tries + 1)); [ $signal = QUIT ] && [ $tries -gt 100 ] && signal=KILL
  done
) &
listener=$!
wait $server; status=$?
: >"$run/exited"
echo "exit $status" 2>/dev/null
[ -e "$run/stopping" ] && kill -KILL $listener
wait $listener
if [ -e "$run/keep" ]; then rm -f "$run/exited" "$run/stopping" "$run/keep"; exit 0; fi
rm -rf "$run" || { sleep 1; rm -rf "$run"; }
"""

#: The same without an owner: the server stays until it is stopped.
DETACHED = """
trap '' HUP PIPE
run=$1; shift
( "$@" </dev/null >>"$run/log" 2>&1; echo "exit $?" 2>/dev/null ) &
"""

#: Seconds between two looks into postmaster.pid; the wait ends at once where the server exits.
LOOK_EVERY = 0.001


class ServerExitedError(Exception):
    """The server ended before it was ready; the message is what it logged."""


class Watcher:
    """The shell that is a server's parent, and our ends of its pipes.

    ``logged`` is the size of the log before this server started; earlier servers wrote that part.
    """

    def __init__(self, process: subprocess.Popen[bytes], logged: int) -> None:
        self._process = process
        self._logged = logged
        self._owner = os.getpid()

    @classmethod
    def start(cls, command: list[str], run: Path, account: Account, *, detached: bool) -> Watcher:
        """Start ``command`` as the account, with its output in ``run/log``."""
        log = run / "log"
        logged = log.stat().st_size if log.exists() else 0
        return cls(
            subprocess.Popen(
                ["/bin/sh", "-c", DETACHED if detached else WATCHED, "pgslate", str(run), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C on the terminal is for the owner, not for the server
                cwd="/",
                env=server_environment(),
                **account.popen_options(),
            ),
            logged,
        )

    def wait_until_ready(self, data: Path, log: Path, timeout: float) -> None:
        """Return when the server takes connections, as it says itself in postmaster.pid (its eighth line).

        Raises ``ServerExitedError`` where it ends before, ``TargetError`` after ``timeout`` seconds.
        """
        assert self._process.stdout is not None
        until = time.monotonic() + timeout
        while not is_ready(data):
            if select.select([self._process.stdout], [], [], LOOK_EVERY)[0]:
                raise ServerExitedError(self._logged_text(log).strip())
            if time.monotonic() > until:
                raise TargetError(
                    f"the server was not ready within {timeout:g} s; it said:\n{self._logged_text(log)}",
                    fix="look whether the machine is overloaded, or the disk is full",
                )

    def detach(self) -> None:
        """Forget a detached server: close our pipes, reap the shell that started it."""
        self._close(b"")

    def stop(self) -> None:
        """End the server at once and remove its directory; returns when both is done."""
        if os.getpid() == self._owner:
            self._close(b"")

    def stop_cleanly(self) -> None:
        """End the server with a checkpoint, keep its directory; returns when it is done."""
        self._close(b"keep\n")

    def _logged_text(self, log: Path) -> str:
        try:
            with log.open("rb") as file:
                file.seek(self._logged)
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def _close(self, message: bytes) -> None:
        process = self._process
        for pipe, text in ((process.stdin, message), (process.stdout, b"")):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.write(text) if text else None
                    if pipe is process.stdin:
                        pipe.flush()
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


def is_ready(data: Path) -> bool:
    """Whether the server in ``data`` says that it takes connections (LOCK_FILE_LINE_PM_STATUS, line 8)."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"
