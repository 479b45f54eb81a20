"""The public names are those of ``__all__``; a verb of the CLI is a function of the library."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pgslate
from pgslate.cli.commands import VERBS


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert pgslate.__all__ == sorted(set(pgslate.__all__))
    for name in pgslate.__all__:
        assert getattr(pgslate, name) is not None


def test_all_is_what_is_lazily_there_and_nothing_else() -> None:
    assert set(pgslate.__all__) == set(pgslate._HOMES)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        pgslate.nothing_like_it  # noqa: B018  the access is what is tested


def test_a_public_name_says_the_module_it_is_found_in() -> None:
    for name, home in pgslate._HOMES.items():
        assert getattr(importlib.import_module(f"pgslate.{home}"), name) is getattr(pgslate, name)


def test_every_public_name_has_a_docstring() -> None:
    without = [name for name in pgslate.__all__ if not getattr(pgslate, name).__doc__]
    assert not without


def _of_ours(annotation: str) -> set[str]:
    """The names in an annotation that are classes of pgslate's: those that begin with a capital."""
    return set(re.findall(r"\b[A-Z]\w+", annotation)) - _NOT_OURS


_NOT_OURS = {"Any", "Callable", "Iterable", "Mapping", "None", "Path", "Self", "Sequence", "TupleRow"}


@pytest.mark.parametrize("name", [n for n in pgslate.__all__ if inspect.isfunction(getattr(pgslate, n))])
def test_what_a_public_function_returns_is_public(name: str) -> None:
    returned = str(inspect.signature(getattr(pgslate, name)).return_annotation)
    assert _of_ours(returned) <= set(pgslate.__all__)


@pytest.mark.parametrize("name", [n for n in pgslate.__all__ if n.endswith("Result")])
def test_a_result_is_frozen_has_as_json_and_holds_public_types(name: str) -> None:
    kind = getattr(pgslate, name)
    assert kind.__dataclass_params__.frozen
    assert kind.as_json.__doc__
    for field in dataclasses.fields(kind):
        assert _of_ours(str(field.type)) <= set(pgslate.__all__), field.name


def test_no_public_signature_has_a_seam_for_tests() -> None:
    seams = {"api", "clock", "environ", "pace", "patience", "pause", "step"}
    for name in pgslate.__all__:
        found = getattr(pgslate, name)
        if inspect.isfunction(found):
            assert not seams & inspect.signature(found).parameters.keys(), name


@pytest.mark.parametrize("verb", [verb for verb, _, _ in VERBS])
def test_a_verb_is_a_function_of_the_library_with_the_same_name(verb: str) -> None:
    if verb in pgslate.__all__:
        assert callable(getattr(pgslate, verb))
        return
    # a verb with verbs of its own is a module, with a function for each
    module = importlib.import_module(f"pgslate.verbs.{verb}")
    command = importlib.import_module(f"pgslate.cli.{verb}").command
    for sub in command.commands:
        assert callable(getattr(module, sub, None) or getattr(module, f"{sub}_{verb}"))


def test_importing_the_package_imports_nothing_else() -> None:
    source = str(Path(__file__).parents[1] / "src")
    script = (
        "import sys, pgslate; print(*sorted(m for m in sys.modules if m.startswith(('pgslate', 'psycopg'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["pgslate"]
