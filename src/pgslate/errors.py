"""Every error pgslate raises: what failed, where, and what to do.

    PgslateError
    ├── UsageError                  exit 2: what was asked makes no sense
    │   ├── ConfigError
    │   └── UnknownTableError
    ├── CatalogError                exit 2: a folder of migrations can't be read
    │   ├── SqlSyntaxError
    │   ├── DuplicateVersionError
    │   ├── CodeMigrationError
    │   └── LockVersionError
    ├── TargetError                 exit 3: the target can't be reached, or can't be used
    │   ├── ServerNotReadyError
    │   │   └── PodNotReadyError
    │   ├── ClusterError
    │   │   ├── KubeconfigError
    │   │   ├── ClusterAuthError
    │   │   └── ServiceNotFoundError
    │   ├── MissingExtensionError
    │   └── PrivilegeError
    ├── ApplyError                  exit 4: a migration failed, or may not run
    │   ├── MigrationFailedError
    │   ├── LockTimeoutError
    │   ├── LockLostError
    │   ├── InterruptedRunError     exit 130: Ctrl-C
    │   ├── PartitionBlockedError
    │   └── LedgerError
    │       ├── MissingMigrationError
    │       ├── EditedMigrationError
    │       ├── OutOfOrderError
    │       ├── PartlyAppliedError
    │       └── UnfinishedMigrationError
    ├── ProofError                  exit 4: a slice could not be proved
    ├── UnseenError                 exit 4: tracing can't see all of a migration, and no hint says it
    └── VerificationError           exit 1: the answer is no
        └── MissingTablesError

Each carries its data as attributes and can be pickled, since errors cross the workers of pytest-xdist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

_WIDEST = 200
"""Characters of a line that are shown."""


# Passwords are masked in every error, statement and page that is shown: servers and migrations quote them.
# In a string, as in what a DO block executes, quotes are doubled.
_VALUE = r"""''[^']+''|[eE]?'(?:[^'\\]|\\.|'')*'|"[^"]*"|[^\s&]+"""
_PASSWORDS = (
    # A connection string's or a JSON document's key; SQL's PASSWORD '...'.
    re.compile(rf"""(password["']?\s*[=:]\s*|password\s*(?=[eE]?')|password\s+(?="))({_VALUE})""", re.I),
    re.compile(r"(://[^\s:/@]*:)(\S+)(?=@)"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: line and column count from 1; ``text`` is the source line, for the caret."""

    file: str
    line: int
    column: int = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def caret(self) -> str:
        """The source line with a caret under the column, or nothing where the line is not known.

        Of a long line, what is around the column.

        >>> print(Place("a.sql", 1, 8, "SELECT FROM x").caret())
        SELECT FROM x
               ^
        """
        if not self.text:
            return ""
        text, before = self.text, self.column - 1
        if len(text) > _WIDEST:
            start = max(0, before - _WIDEST // 2)
            text, before = text[start : start + _WIDEST], before - start
        lead = "".join(c if c == "\t" else " " for c in text[:before])
        return f"{text}\n{lead}^"


class PgslateError(Exception):
    """Something pgslate was asked for could not be done; the message says what, ``fix`` says what to do.

    ``place`` is where in which file, if there is one. Data specific to an error are its attributes.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, place: Place | None = None, fix: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.fix = fix
        self.__dict__.update(data)

    def __str__(self) -> str:
        parts = [f"{self.place}: {self.message}" if self.place else self.message]
        if self.place and self.place.text:
            parts.append(self.place.caret())
        if self.fix:
            parts.append(f"fix: {self.fix}")
        return without_passwords("\n".join(parts))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))

    def as_json(self) -> dict[str, Any]:
        """The error for programs: ``error``, ``message``, ``place`` (or null) and ``fix``."""
        return {
            "error": type(self).__name__,
            "message": without_passwords(self.message),
            "place": str(self.place) if self.place else None,
            "fix": without_passwords(self.fix),
        }


def _rebuild(kind: type[PgslateError], data: dict[str, Any]) -> PgslateError:
    error = kind.__new__(kind)
    Exception.__init__(error, data["message"])
    error.__dict__.update(data)
    return error


class UsageError(PgslateError):
    """What was asked for makes no sense: a wrong option, a wrong combination, an unknown name."""


class ConfigError(UsageError):
    """``pgslate.toml`` (or ``[tool.pgslate]``) is missing, can't be read, or says something unknown."""


class UnknownTableError(UsageError):
    """No migration makes this table, or a later one drops it; ``table`` is the name asked for."""

    table: str


class CatalogError(PgslateError):
    """A folder of migrations can't be read."""


class SqlSyntaxError(CatalogError):
    """A statement of a migration doesn't parse; ``place`` points at the token."""


class DuplicateVersionError(CatalogError):
    """Two files claim one version; ``files`` names them."""

    files: tuple[str, ...]


class CodeMigrationError(CatalogError):
    """Migrations written in a programming language stand among the SQL; ``files`` names them."""

    files: tuple[str, ...]


class LockVersionError(CatalogError):
    """A lock was written by another version of pgslate, and is of no use to this one."""


class TargetError(PgslateError):
    """The target can't be reached, or can't be used."""

    exit_status = 3


class ServerNotReadyError(TargetError):
    """No connection within the timeout; ``attempts`` says what each try answered."""

    attempts: tuple[str, ...]


class PodNotReadyError(ServerNotReadyError):
    """The pods behind a Kubernetes service are not ready; ``reasons`` says why, one sentence each."""

    reasons: tuple[str, ...]


class ClusterError(TargetError):
    """The Kubernetes API server can't be reached, or refuses; ``status`` is its HTTP status, or 0."""

    status: int = 0


class KubeconfigError(ClusterError):
    """No cluster is configured, or a kubeconfig file is wrong."""


class ClusterAuthError(ClusterError):
    """The API server doesn't take our credentials, or there are none to give."""


class ServiceNotFoundError(ClusterError):
    """The namespace has no such service; ``candidates`` are ``namespace/service`` that might be meant."""

    candidates: tuple[str, ...] = ()


class MissingExtensionError(TargetError):
    """The server has no such extension to install; ``extensions`` and the ``migrations`` that need them."""

    extensions: tuple[str, ...]
    migrations: tuple[str, ...]


class PrivilegeError(TargetError):
    """The role lacks a right; ``right`` and ``on`` name it."""

    right: str
    on: str


class ApplyError(PgslateError):
    """A plan could not be carried out."""

    exit_status = 4


class MigrationFailedError(ApplyError):
    """A statement of a migration failed.

    ``migration`` (version), ``statement`` (its text), ``sqlstate``, ``detail``, ``hint``, and ``applied``:
    the versions that stand all the same.
    """

    migration: str
    statement: str
    sqlstate: str
    detail: str
    hint: str
    applied: tuple[str, ...]


class LockTimeoutError(ApplyError):
    """Another runner held the lock for longer than the timeout; ``holder`` says who."""

    holder: str


class PartitionBlockedError(ApplyError):
    """A partition can't be made: ``blockers`` names what is in the way of ``partition``."""

    partition: str
    blockers: tuple[str, ...]


class LockLostError(ApplyError):
    """The connection that held the lock ended during the run; what was not committed by then is not kept."""


class InterruptedRunError(ApplyError):
    """Ctrl-C: what was running was cancelled; ``applied`` are the versions that stand."""

    exit_status = 130
    applied: tuple[str, ...]


class LedgerError(ApplyError):
    """The ledger and the catalog contradict each other; ``migrations`` names the versions."""

    migrations: tuple[str, ...]


class MissingMigrationError(LedgerError):
    """The ledger says a migration was applied that the catalog no longer has."""


class EditedMigrationError(LedgerError):
    """A migration was edited after it was applied; ``applied_checksum`` and ``current_checksum``."""

    applied_checksum: str
    current_checksum: str


class OutOfOrderError(LedgerError):
    """A migration was inserted below the last applied version."""


class PartlyAppliedError(LedgerError):
    """The database holds parts of migrations (the statements or objects form), and more is asked of it."""


class UnfinishedMigrationError(LedgerError):
    """A run was cut off in a statement outside a transaction, and nobody can tell how that ended."""


class ProofError(PgslateError):
    """A slice's outcome differs from the whole catalog's, and no widening mended it."""

    exit_status = 4


class UnseenError(PgslateError):
    """Tracing can't see all that migrations do, and no hint says it; ``places`` are (file, line, what)."""

    exit_status = 4
    places: tuple[tuple[str, int, str], ...]


class VerificationError(PgslateError):
    """What is there is not what should be; ``differences`` lists how."""

    exit_status = 1
    differences: tuple[Any, ...]


class MissingTablesError(VerificationError):
    """Tables that should be there are not; ``tables`` names them."""

    tables: tuple[str, ...]


def without_passwords(text: str) -> str:
    """The text with each password in it masked.

    >>> without_passwords("can't reach postgresql://me:secret@host/db: password authentication failed")
    "can't reach postgresql://me:***@host/db: password authentication failed"
    >>> without_passwords("ALTER ROLE app PASSWORD 'it''s'; host=db password='a b' user=me")
    'ALTER ROLE app PASSWORD ***; host=db password=*** user=me'
    """
    for pattern in _PASSWORDS:
        text = pattern.sub(r"\1***", text)
    return text
