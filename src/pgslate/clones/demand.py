"""What the pool owes of one template, what is coming, and who waits for it: sums, no database."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgslate.clones.template import Template
from pgslate.clones.worth import Worth


@dataclass(slots=True)
class Account:
    """One template's, in one pool; whoever changes it holds the pool's lock.

    ``owed`` are still to be made, or less than none where more came back than are missing. ``extra`` is how
    many are made ahead. ``making`` and ``returning`` are under way, ``came`` is how many ever came of those,
    and ``waiting`` how many threads wait for one.
    """

    template: Template
    owed: int = 0
    extra: int = 0
    making: int = 0
    returning: int = 0
    came: int = 0
    waiting: int = 0
    worth: Worth = field(default_factory=Worth)

    @property
    def coming(self) -> int:
        """How many are on their way to whoever asks first."""
        return self.making + self.returning

    def taken(self, *, missed: bool, ahead: int) -> None:
        """One was taken: owe another. Where it was missed, one more is made ahead from now on, up to a bound.

        >>> account = Account(Template("pgslate_0123456789ab", "orders", "objects"))
        >>> account.taken(missed=True, ahead=4)
        >>> account.owed, account.extra
        (1, 1)
        """
        if missed and self.extra < ahead:
            self.extra += 1
        self.owed = min(self.owed + 1, self.extra - self.coming)

    def returns(self) -> None:
        """One was given back, and is to be put back: no other is owed for it."""
        self.owed -= 1
        self.returning += 1

    def returned(self, *, came_back: bool) -> None:
        """What was returning did come back, or is to be dropped."""
        self.returning -= 1
        if came_back:
            self.came += 1
        else:
            self.owed += 1

    def begin(self) -> None:
        """One that is owed is being made."""
        self.owed -= 1
        self.making += 1

    def made(self) -> None:
        """It was made, or couldn't be."""
        self.making -= 1
        self.came += 1

    def give_up(self) -> None:
        """Make no more ahead until another is taken."""
        self.owed = min(self.owed, 0)
