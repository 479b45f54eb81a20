"""Worth: the quicker of two ways is gone, and the other one tried again now and then."""

from __future__ import annotations

import pytest

from pgslate.clones.worth import FEWEST, LONGEST_PAUSE, PAUSE, Worth


def timed(*, copy: float = 0.02, drop: float = 0.005, back: float = 0.01, came_back: bool = True) -> Worth:
    """What is known after as many returns as it takes to judge them; in seconds."""
    worth = Worth()
    for _ in range(FEWEST):
        worth.copied(copy)
        worth.dropped(drop)
        worth.tried(back, came_back=came_back)
    return worth


def test_before_anything_is_known_it_is_tried() -> None:
    worth = Worth()
    worth.copied(0.001)
    worth.tried(1.0, came_back=True)
    assert worth.is_a_try()


@pytest.mark.parametrize(("back", "is_worth_it"), [(0.024, True), (0.026, False)])
def test_making_and_dropping_count_together(back: float, is_worth_it: bool) -> None:
    assert timed(copy=0.02, drop=0.005, back=back).is_a_try() == is_worth_it


def test_what_was_in_vain_counts_with_what_had_to_be_made_after_it() -> None:
    assert not timed(back=0.001, came_back=False).is_a_try()


def test_one_in_vain_among_many_does_not_matter() -> None:
    worth = timed(back=0.01)
    worth.tried(0.01, came_back=False)
    assert worth.is_a_try()


def test_one_that_took_long_among_many_does_not_matter() -> None:
    worth = timed(back=0.006)
    worth.tried(1.05, came_back=True)
    assert worth.is_a_try()


def test_what_is_not_worth_it_is_tried_less_and_less_often() -> None:
    worth = timed(came_back=False)
    tried = []
    for number in range(1000):
        if worth.is_a_try():
            tried.append(number)
            worth.tried(0.01, came_back=False)
    pauses = [after - before for before, after in zip([-1, *tried], tried, strict=False)]
    assert pauses[:4] == [PAUSE, 2 * PAUSE, 4 * PAUSE, 8 * PAUSE]
    assert max(pauses) == LONGEST_PAUSE


def test_where_it_becomes_worth_it_that_is_found_out() -> None:
    worth = timed(back=0.1)
    assert not worth.is_a_try()
    for _ in range(1000):
        if worth.is_a_try():
            worth.tried(0.001, came_back=True)
    assert all(worth.is_a_try() for _ in range(10))
