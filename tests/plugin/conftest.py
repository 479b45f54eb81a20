"""Running pytest in projects of its own, as their authors do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Ran:
    """What pytest printed, and its exit status."""

    status: int
    out: str

    @property
    def outcomes(self) -> dict[str, int]:
        """How many tests ended how, by pytest's last line."""
        return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", self.out.splitlines()[-1])}


RunPytest = Callable[..., Ran]


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """``run_pytest(folder, *options)`` runs the tests of a project in a process of its own.

    Of the plugins that are installed here, only those that the examples need are loaded.
    """

    def run(folder: Path, *options: str, plugins: tuple[str, ...] = (), **environ: str) -> Ran:
        asked = [part for plugin in ("pgslate.testing.pytest_plugin", *plugins) for part in ("-p", plugin)]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asked, *options]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        done = subprocess.run(
            command,
            cwd=folder,
            env={
                **inherited,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": str(ROOT / "src"),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    return run


_ON_CI = ("CI", "BUILD_NUMBER")
"""With one of these pytest's summary repeats whole messages."""


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunPytest:
    """As ``run_pytest``, but in this process, which has everything imported already."""

    def run(folder: Path, *options: str, **environ: str) -> Ran:
        known = set(sys.modules)
        with monkeypatch.context() as patched:
            patched.chdir(folder)
            for name in [name for name in os.environ if name.startswith("PYTEST")]:
                patched.delenv(name)
            for name in _ON_CI:
                patched.delenv(name, raising=False)
            for name, value in {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environ}.items():
                patched.setenv(name, value)
            plugins = ("-p", "no:cacheprovider", "-p", "pgslate.testing.pytest_plugin")
            status = pytest.main(["-q", "--import-mode=importlib", *plugins, *options])
        for name in set(sys.modules) - known:
            if name.startswith("test_things"):
                del sys.modules[name]
        return Ran(int(status), capfd.readouterr().out)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """``project(tests)`` is a folder with a migration, a pytest.ini, and the given tests."""

    def make(tests: str) -> Path:
        (tmp_path / "migrations").mkdir()
        (tmp_path / "migrations" / "001_things.sql").write_text("CREATE TABLE things (name text NOT NULL);")
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "test_things.py").write_text(tests)
        return tmp_path

    return make
