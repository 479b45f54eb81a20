"""Who may call: bearer tokens with scopes, kept as SHA-256, one a line in a file."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datastorage.server.problems import Problem

Scope = Literal["read", "write", "hold"]
SCOPES: tuple[Scope, ...] = ("read", "write", "hold")


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file: ``NAME SCOPE[,SCOPE] SHA256``, the last in hexadecimal digits."""

    name: str
    scopes: frozenset[str]
    digest: str

    def line(self) -> str:
        """The line for the file."""
        return f"{self.name} {','.join(sorted(self.scopes))} {self.digest}"


def create_token(name: str, scopes: frozenset[str]) -> tuple[str, Token]:
    """A new secret of 256 random bits, and the token to keep; the secret itself is kept nowhere.

    So many random bits can't be guessed, so a plain hash does; a slow one would slow down every request.
    """
    secret = f"ds_{secrets.token_urlsafe(32)}"
    return secret, Token(name, scopes, _digest(secret))


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file; empty lines and those that start with # are comments.

    Raises ValueError where a line is no token, OSError where the file can't be read.
    """
    tokens = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 3 or not set(parts[1].split(",")) <= set(SCOPES) or len(parts[2]) != 64:
            raise ValueError(
                f"{path}:{number}: expected NAME SCOPE[,SCOPE] SHA256; make one with `datastorage token`"
            )
        tokens.append(Token(parts[0], frozenset(parts[1].split(",")), parts[2]))
    return tuple(tokens)


class Gate:
    """Lets a request through, or says why not. Without tokens everybody may pass."""

    def __init__(self, tokens: tuple[Token, ...] | None) -> None:
        self._tokens = tokens

    def admit(self, authorization: str | None, scope: Scope) -> str:
        """The name of who calls; raises Problem 401 (no or an unknown token) or 403 (not for this)."""
        if self._tokens is None:
            return "anybody"
        kind, _, secret = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not secret:
            raise Problem(401, "token-missing", "send Authorization: Bearer TOKEN")
        digest = _digest(secret.strip())
        # Every token is compared, in constant time each: nothing is learnt from how long it takes.
        found = [token for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        if not found:
            raise Problem(401, "token-unknown", "this token is not known here")
        if scope not in found[0].scopes:
            raise Problem(403, "scope-missing", f"this token may not {scope}", scope=scope)
        return found[0].name


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
