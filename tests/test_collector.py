"""The garbage collector is held off, and is as it was afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from pgslate.trace import garbage_collector


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.enable()


def test_nothing_is_collected_while_it_is_held_off() -> None:
    with garbage_collector.held_off():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_a_failure() -> None:
    with pytest.raises(ValueError, match="damaged"), garbage_collector.held_off():
        raise ValueError("damaged")
    assert gc.isenabled()


def test_who_has_it_off_keeps_it_off() -> None:
    gc.disable()
    with garbage_collector.held_off():
        pass
    assert not gc.isenabled()
