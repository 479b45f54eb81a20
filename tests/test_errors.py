"""The tree of errors: public, drawn as it is, typed, and the same after a pickle."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import pytest

import pgslate
from pgslate import errors
from pgslate.errors import PgslateError, Place

_ALL = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, PgslateError)]
_INHERITED = {"message", "place", "fix"}


def _own_data(kind: type[PgslateError]) -> set[str]:
    return set(inspect.signature(kind).parameters) - _INHERITED


def _example(kind: type[PgslateError]) -> PgslateError:
    data: dict[str, Any] = {name: f"the {name}" for name in _own_data(kind)}
    return kind("it failed", place=Place("a.sql", 3, 7, "SELECT 1"), fix="mend it", **data)


@pytest.mark.parametrize("kind", _ALL)
def test_an_error_is_the_same_after_a_pickle(kind: type[PgslateError]) -> None:
    error = _example(kind)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  we wrote it
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error)


@pytest.mark.parametrize("kind", _ALL)
def test_what_an_error_is_made_with_is_an_attribute_of_that_name(kind: type[PgslateError]) -> None:
    error = _example(kind)
    for name in _own_data(kind):
        assert getattr(error, name) == f"the {name}"


@pytest.mark.parametrize("kind", _ALL)
def test_an_error_takes_no_data_that_it_does_not_declare(kind: type[PgslateError]) -> None:
    every = inspect.signature(kind).parameters.values()
    assert not [each for each in every if each.kind is inspect.Parameter.VAR_KEYWORD]
    assert all(each.annotation is not inspect.Parameter.empty for each in every)


def test_every_error_is_a_public_name() -> None:
    assert {each.__name__ for each in _ALL} <= set(pgslate.__all__)


def test_the_docstring_draws_the_tree_with_the_data_of_each_error() -> None:
    lines = re.findall(r"^( {4}[│├└─ ]*)(\w+Error)\b(.*)$", errors.__doc__ or "", re.MULTILINE)
    above: list[str] = []
    for lead, name, rest in lines:
        kind = getattr(errors, name)
        depth = (len(lead) - 4) // 4
        del above[depth:]
        if above:
            assert kind.__bases__ == (getattr(errors, above[-1]),)
            new = _own_data(kind) - _own_data(kind.__bases__[0])
            assert new <= set(re.findall(r"\w+", rest)), name
        above.append(name)
    assert [name for _, name, _ in lines] == [each.__name__ for each in _ALL]
