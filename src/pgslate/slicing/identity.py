"""The names that PostgreSQL gives to objects, taken apart."""

from __future__ import annotations


def parts(identity: str) -> list[str]:
    """The parts of a qualified name, without quotes and arguments.

    >>> [parts(n) for n in ("public.users", 'public."My.Table"', "public.f(integer,text)")]
    [['public', 'users'], ['public', 'My.Table'], ['public', 'f']]
    """
    at, found = 0, [""]
    while at < len(identity):
        char = identity[at]
        if char == '"':
            end = identity.find('"', at + 1)
            while identity[end + 1 : end + 2] == '"':
                end = identity.find('"', end + 2)
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
