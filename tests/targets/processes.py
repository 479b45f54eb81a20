"""Other processes for the tests: owners of servers that can be killed, and processes to wait for."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src"

#: Everything that is imported late, before a root process becomes a user who can't read root's interpreter.
AS_USER = """
import json, os, platformdirs, psycopg.sql, shutil, sys, tempfile
import pgslate.targets.embedded.server, pgslate.targets.target
os.setgroups([]); os.setgid({gid}); os.setuid({uid})
"""

#: Starts a server.
START = """
import json, os, sys
from pgslate.targets.embedded.server import Server
server = Server.start()
pid = int((server.data / "postmaster.pid").read_text().split()[0])
"""

#: Says where it is.
SAY = "print(json.dumps({'data': str(server.data), 'postgres': pid, 'dsn': server.dsn()}), flush=True)\n"

#: Both; ends at once, unless something follows that waits.
OWNER = START + SAY


def python(code: str, **environment: str) -> subprocess.Popen[str]:
    """Run code in another Python, with pipes, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(SOURCE), *sys.path)), **environment},
    )


def said(process: subprocess.Popen[str]) -> Any:
    """The next line that the process prints, which is JSON."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def output(process: subprocess.Popen[str]) -> str:
    """All that the process printed, once it ended well."""
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return printed


def parent_of(pid: int) -> int:
    """The process id of a process's parent (proc(5), stat; the name in parentheses may hold spaces)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 30)[0], f"process {pid} has not ended"
    finally:
        os.close(descriptor)
