"""The projects under examples/ are what they say: their tests pass, as their users would run them."""

from __future__ import annotations

import pytest

from .conftest import EXAMPLES, RunPytest

# What each needs beside pgslate, and how many tests it has.
PROJECTS = {
    "plain": ((), (), 7),
    "xdist": (("xdist",), ("xdist",), 8),
    "async": (("anyio",), ("anyio.pytest_plugin",), 2),
    "django": (("django",), (), 4),
    "sqlalchemy": (("sqlalchemy",), (), 3),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_an_example_passes(run_pytest: RunPytest, name: str) -> None:
    modules, plugins, tests = PROJECTS[name]
    for module in modules:
        pytest.importorskip(module)
    ran = run_pytest(EXAMPLES / name, plugins=plugins)
    assert ran.outcomes == {"passed": tests}, ran.out


def test_every_example_is_run() -> None:
    assert sorted(PROJECTS) == sorted(path.name for path in EXAMPLES.iterdir() if (path / "tests").is_dir())
