"""squawk's rules, where squawk is installed: it reads the SQL, and we hand it just what is run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pgslate.errors import UsageError
from pgslate.lint_rules.finding import Case, Finding

_AT_ONCE = 200
"""Files for one run: a command line has an end."""


def is_installed() -> bool:
    """Whether there is a squawk on the PATH or beside this interpreter."""
    return _program() is not None


def _program() -> str | None:
    beside = Path(sys.executable).parent / "squawk"  # in a virtual environment that is not activated
    return shutil.which("squawk") or shutil.which(str(beside))


def check(case: Case) -> Iterator[Finding]:
    """What squawk says of each migration; nothing where it isn't installed."""
    program = _program()
    if program is None:
        return
    with tempfile.TemporaryDirectory(prefix="pgslate-squawk-") as folder:
        for transactional in (True, False):
            files = {
                f"{index:06}.sql": migration
                for index, migration in enumerate(case.project.catalog)
                if migration.transactional is transactional
            }
            for name, migration in files.items():
                (Path(folder) / name).write_text(migration.source, encoding="utf-8")
            names = list(files)
            for start in range(0, len(names), _AT_ONCE):
                paths = [str(Path(folder) / name) for name in names[start : start + _AT_ONCE]]
                for finding in _run(program, paths, transactional):
                    migration = files[Path(finding["file"]).name]
                    yield Finding(
                        f"squawk/{finding['rule_name']}",
                        migration.file,
                        migration.first_line + int(finding.get("line", 0)),
                        "",
                        str(finding.get("message", "")),
                        str(finding.get("help") or "see https://squawkhq.com/docs/rules"),
                    )


def _run(program: str, paths: list[str], transactional: bool) -> list[dict[str, Any]]:
    """squawk's findings in files; it looks for its own configuration as it always does."""
    how = ["--assume-in-transaction"] if transactional else []
    done = subprocess.run(
        [program, "--reporter", "json", *how, *paths], capture_output=True, text=True, check=False
    )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout or ("" if done.returncode else "[]"))
    except ValueError:
        output = (done.stderr or done.stdout).strip().splitlines()
        raise UsageError(
            f"squawk failed: {output[-1] if output else f'exit status {done.returncode}'}",
            fix="correct what it says, or leave it out with --ignore squawk",
        ) from None
    return found
