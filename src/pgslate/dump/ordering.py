"""Putting things in order: what must come first does, what had better come first does where it can."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import heapify, heappop, heappush


def arranged(after: Sequence[Collection[int]], gladly_after: Sequence[Collection[int]]) -> list[int]:
    """The numbers 0, 1, ... in an order in which each comes after those in its ``after``.

    It comes also after those in its ``gladly_after``, unless that leads in a circle. Otherwise, the smaller
    comes first. ``after`` alone leads in no circle.

    >>> arranged([(), (), ()], [(2,), (), ()])
    [1, 2, 0]
    >>> arranged([(), (0,), ()], [(2,), (), (1,)])  # 0 before 1 it must be: so 0 can't wait for 2
    [0, 1, 2]
    >>> arranged([(), (), ()], [(1,), (2,), (1,)])  # 1 and 2 wait for each other, and 0 for them
    [1, 0, 2]
    """
    must = [set(one) for one in after]
    may = [set(one) - {number} for number, one in enumerate(gladly_after)]
    waiting: list[list[int]] = [[] for _ in after]
    for number, (first, then) in enumerate(zip(must, may, strict=True)):
        for other in first | then:
            waiting[other].append(number)
    ready = [number for number, first in enumerate(must) if not first and not may[number]]
    heapify(ready)
    left = dict.fromkeys(range(len(must)))
    order = []
    while left:
        while not ready:
            stuck, other = _in_a_circle(next(iter(left)), must, may)
            may[stuck].discard(other)
            if not may[stuck]:
                ready.append(stuck)
        number = heappop(ready)
        del left[number]
        order.append(number)
        for other in waiting[number]:
            if other in left and (number in must[other] or number in may[other]):
                must[other].discard(number)
                may[other].discard(number)
                if not must[other] and not may[other]:
                    heappush(ready, other)
    return order


def _in_a_circle(number: int, must: Sequence[set[int]], may: Sequence[set[int]]) -> tuple[int, int]:
    """One in a circle that waits for nothing but what it would gladly come after, and what of that is in it.

    The one with the least to wait for; of several, the smallest.
    """
    path: dict[int, int] = {}
    while number not in path:
        path[number] = min(must[number] or may[number])
        number = path[number]
    circle = [number]
    while path[circle[-1]] != number:
        circle.append(path[circle[-1]])
    stuck = min((one for one in circle if not must[one]), key=lambda one: (len(may[one]), one))
    return stuck, path[stuck]
