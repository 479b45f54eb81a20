"""The main job on the Data Storage service's migrations, as one would type it; what `make demo` runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from pgslate.targets.embedded.installations import installations

CATALOG = Path(__file__).parents[1] / "datastorage" / "src" / "datastorage"
PGSLATE = (sys.executable, "-m", "pgslate")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="pgslate-demo-") as state:
        environ = {**os.environ, "PGSLATE_STATE": state, "PGSLATE_CACHE": state, "PAGER": ""}
        print("$ cd datastorage/src/datastorage   # 24 migrations, and a pgslate.toml", flush=True)
        try:
            _run("pgslate plan audit_events", environ)
            _run("pgslate up audit_events", environ)
            _look(environ)
            _run("pgslate verify audit_events --embedded", environ)
            _run("pgslate partitions list --embedded", environ)
        except subprocess.CalledProcessError as failed:
            return int(failed.returncode)
        finally:
            _run("pgslate down", environ)
    return 0


def _run(line: str, environ: dict[str, str]) -> None:
    """Print the command and run it in the catalog's folder, as a shell would."""
    print(f"\n$ {line}", flush=True)
    command = [*PGSLATE, *shlex.split(line)[1:]]
    subprocess.run(command, cwd=CATALOG, env=environ, check=True, stderr=subprocess.STDOUT)


def _look(environ: dict[str, str]) -> None:
    """Let psql list what is there, where a server brings its psql along."""
    psql = next((found for one in installations() if (found := one.program("psql"))), None)
    if psql is None:
        return
    command = [*PGSLATE, "up", "audit_events", "--quiet"]
    said = subprocess.run(command, cwd=CATALOG, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    for listing in (r"\dt audit_events*", r"\di idx_audit_events_*"):
        print(f"\n$ psql $DSN -c '{listing}'", flush=True)
        subprocess.run([str(psql), said.stdout.strip(), "-c", listing], env=environ, check=True)


sys.exit(main())
