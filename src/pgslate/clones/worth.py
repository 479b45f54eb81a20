"""Whether putting a database back is worth it: what it takes, against making another and dropping this one.

Which is quicker depends on the disk, the tables, how busy the processors are, and on what the tests do: where
each makes a table, what it took to find that out is lost. So all of it is timed, and the way that took less
lately is gone. The other is tried again now and then, less and less often.

Times are in seconds, as they pass: what waits for a processor or a disk is not free.
"""

from __future__ import annotations

from collections import deque
from statistics import fmean, median

#: So many returns are tried before they are judged, and so many of the last ones count.
FEWEST, LAST = 3, 8

#: After so many that were not tried one is, and at most after so many.
PAUSE, LONGEST_PAUSE = 8, 128


class Worth:
    """What is known of one template's databases; not safe to be used by two threads at a time.

    >>> worth = Worth()
    >>> for _ in range(3):
    ...     worth.copied(0.020)
    ...     worth.tried(0.015, came_back=False)
    >>> worth.is_a_try()
    False
    >>> [worth.is_a_try() for _ in range(8)].index(True)  # the eighth of those given back
    6
    """

    def __init__(self) -> None:
        self._tries: deque[tuple[float, bool]] = deque(maxlen=LAST)
        self._copies: deque[float] = deque(maxlen=LAST)
        self._drops: deque[float] = deque(maxlen=LAST)
        self._pause = PAUSE
        self._passed = 0

    def copied(self, seconds: float) -> None:
        """A copy of the template was made."""
        self._copies.append(seconds)

    def dropped(self, seconds: float) -> None:
        """A copy was dropped."""
        self._drops.append(seconds)

    def tried(self, seconds: float, *, came_back: bool) -> None:
        """A copy was put back, or it was found out that it can't be."""
        self._tries.append((seconds, came_back))

    def is_a_try(self) -> bool:
        """Whether to try it with a copy that was given back just now; to be asked once for each."""
        if self._is_quicker():
            self._pause, self._passed = PAUSE, 0
            return True
        self._passed += 1
        if self._passed < self._pause:
            return False
        self._pause, self._passed = min(2 * self._pause, LONGEST_PAUSE), 0
        return True

    def _is_quicker(self) -> bool:
        if len(self._tries) < FEWEST or not self._copies:
            return True
        anew = median(self._copies) + (median(self._drops) if self._drops else 0.0)
        in_vain = fmean(not came_back for _, came_back in self._tries)
        return median(seconds for seconds, _ in self._tries) + in_vain * anew <= anew
