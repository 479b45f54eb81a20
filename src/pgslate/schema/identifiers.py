"""The names that PostgreSQL gives to objects, taken apart."""

from __future__ import annotations


def parts(identity: str) -> list[str]:
    """The parts of a qualified name, without quotes and arguments; a quote that isn't closed is a character.

    >>> [parts(n) for n in ("public.users", 'public."My.Table"', "public.f(integer,text)")]
    [['public', 'users'], ['public', 'My.Table'], ['public', 'f']]
    >>> [parts(n) for n in ('us"ers', '"', 'a."b""')]
    [['us"ers'], ['"'], ['a', '"b""']]
    """
    if '"' not in identity:
        return identity.partition("(")[0].split(".")
    at, found = 0, [""]
    while at < len(identity):
        char = identity[at]
        if char == '"':
            end = identity.find('"', at + 1)
            while end >= 0 and identity[end + 1 : end + 2] == '"':
                end = identity.find('"', end + 2)
            if end < 0:
                found[-1] += identity[at:]
                break
            found[-1] += identity[at + 1 : end].replace('""', '"')
            at = end + 1
            continue
        if char == "(":
            break
        if char == ".":
            found.append("")
        else:
            found[-1] += char
        at += 1
    return found


def qualified(identity: str) -> tuple[str, str]:
    """The schema of a name ("" where it has none), and its last part.

    >>> qualified("public.users"), qualified("users")
    (('public', 'users'), ('', 'users'))
    """
    found = parts(identity)
    return (found[-2] if len(found) > 1 else "", found[-1])
