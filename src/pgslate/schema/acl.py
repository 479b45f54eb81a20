"""Rights that GRANT or REVOKE changed: the difference between an ACL and the default one.

The format is that of aclitem (manual, "Privileges"): ``grantee=privileges/grantor``, where a star after a
letter is WITH GRANT OPTION and an empty grantee is PUBLIC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LETTERS = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "X": "EXECUTE",
    "U": "USAGE",
    "C": "CREATE",
    "c": "CONNECT",
    "T": "TEMPORARY",
    "s": "SET",
    "A": "ALTER SYSTEM",
}
_ITEM = re.compile(r'(?P<grantee>"(?:[^"]|"")*"|[^=]*)=(?P<privileges>[^/]*)/')
_PRIVILEGE = re.compile(r"(\w)(\*?)")


def departures(owner: str, stored: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """What the stored ACL adds to (+) and takes from (-) the default one, a line for each grantee.

    The owner is called OWNER, so that the same grants read the same whoever owns the object.

    >>> departures("me", ["me=arw/me", "app=ar*/me"], ["me=arwd/me", "=r/me"])
    ('+app=INSERT,SELECT*', '-OWNER=DELETE', '-PUBLIC=SELECT')
    """
    held, given = _rights(owner, stored), _rights(owner, default)
    return (*_lines("+", held - given), *_lines("-", given - held))


def ident(name: str) -> str:
    """A name as SQL and aclitem write it: quoted where it has anything but small letters.

    >>> ident("app_rw"), ident("App")
    ('app_rw', '"App"')
    """
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _rights(owner: str, items: Sequence[str]) -> set[tuple[str, str]]:
    rights = set()
    for item in items:
        found = _ITEM.match(item)
        if found is None:
            rights.add((item, ""))
            continue
        raw = found["grantee"]
        name = raw[1:-1].replace('""', '"') if raw.startswith('"') else raw
        grantee = "PUBLIC" if not raw else "OWNER" if name == owner else ident(name)
        rights |= {
            (grantee, _LETTERS.get(letter, letter) + star)
            for letter, star in _PRIVILEGE.findall(found["privileges"])
        }
    return rights


def _lines(sign: str, rights: set[tuple[str, str]]) -> list[str]:
    by_grantee: dict[str, list[str]] = {}
    for grantee, privilege in sorted(rights):
        by_grantee.setdefault(grantee, []).append(privilege)
    return [f"{sign}{grantee}={','.join(privileges)}" for grantee, privileges in by_grantee.items()]
