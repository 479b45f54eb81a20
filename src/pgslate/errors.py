"""Every error that pgslate raises, in one tree. The data of each error are attributes.

    PgslateError                    message, place, fix
    ├── UsageError                  exit 2: the request makes no sense
    │   ├── ConfigError             file, key
    │   └── UnknownTableError       table
    ├── CatalogError                exit 2: a folder of migrations can't be read
    │   ├── SqlSyntaxError
    │   ├── DuplicateVersionError   files
    │   ├── CodeMigrationError      files
    │   └── LockVersionError
    ├── TargetError                 exit 3: the target can't be reached, or can't be used; applied
    │   ├── ServerNotReadyError     attempts
    │   │   └── PodNotReadyError    reasons
    │   ├── ConnectionLostError
    │   ├── ClusterError            status
    │   │   ├── KubeconfigError
    │   │   ├── ClusterAuthError
    │   │   └── ServiceNotFoundError    candidates
    │   ├── MissingExtensionError   extensions, migrations
    │   └── PrivilegeError          right, on
    ├── ApplyError                  exit 4: a migration failed, or may not run
    │   ├── MigrationFailedError    migration, statement, sqlstate, detail, hint, applied
    │   ├── LockTimeoutError        holder
    │   ├── LockLostError
    │   ├── InterruptedRunError     exit 130: Ctrl-C; applied
    │   ├── PartitionBlockedError   partition, blockers
    │   └── LedgerError             migrations
    │       ├── MissingMigrationError
    │       ├── EditedMigrationError    applied_checksum, current_checksum
    │       ├── OutOfOrderError
    │       ├── PartlyAppliedError
    │       └── UnfinishedMigrationError
    ├── ProofError                  exit 4: a slice could not be proved; differences
    │   └── FormUnavailableError    tables, form, cause
    ├── UnseenError                 exit 4: tracing can't see all of a migration, and no hint adds it; places
    └── VerificationError           exit 1: the database is not as it should be; differences
        └── MissingTablesError      tables

Every error can be pickled, since errors cross the workers of pytest-xdist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pgslate.schema.difference import Difference

_WIDEST = 200
"""The longest line that is shown whole, in characters."""


# Every error, statement and page that is shown has its passwords masked: servers and migrations quote them.
# Inside an SQL string, as in the text that a DO block executes, quotes are doubled.
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
        """The source line with a caret under the column, or "" where the line is not known.

        A long line is cut to the characters around the column.

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
    """pgslate could not do what it was asked for: the message says what failed, ``fix`` says what to do.

    ``place`` is the place in a file, if there is one. Each kind adds its own data as attributes.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, place: Place | None = None, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.fix = fix

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
    """The error that was pickled: the workers of pytest-xdist send errors to their controller."""
    error = kind.__new__(kind)
    Exception.__init__(error, data["message"])
    error.__dict__.update(data)
    return error


class UsageError(PgslateError):
    """The request makes no sense: a wrong option, a wrong combination, an unknown name."""


class ConfigError(UsageError):
    """``pgslate.toml`` (or ``[tool.pgslate]``) is missing, can't be read, or has an unknown key.

    ``file`` is its path and ``key`` the key, "" where the error is not about one.
    """

    def __init__(
        self, message: str, *, file: str = "", key: str = "", place: Place | None = None, fix: str = ""
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.file = file
        self.key = key


class UnknownTableError(UsageError):
    """No migration makes this table, or a later one drops it; ``table`` is the name that was asked for."""

    def __init__(self, message: str, *, table: str, place: Place | None = None, fix: str = "") -> None:
        super().__init__(message, place=place, fix=fix)
        self.table = table


class CatalogError(PgslateError):
    """A folder of migrations can't be read."""


class SqlSyntaxError(CatalogError):
    """A statement of a migration doesn't parse; ``place`` points at the token."""


class DuplicateVersionError(CatalogError):
    """Two files claim one version; ``files`` names them."""

    def __init__(
        self, message: str, *, files: tuple[str, ...], place: Place | None = None, fix: str = ""
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.files = files


class CodeMigrationError(CatalogError):
    """Migrations written in a programming language lie among the SQL; ``files`` names them."""

    def __init__(
        self, message: str, *, files: tuple[str, ...], place: Place | None = None, fix: str = ""
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.files = files


class LockVersionError(CatalogError):
    """Another version of pgslate wrote the lock, and this one can't use it."""


class TargetError(PgslateError):
    """The target can't be reached, or can't be used.

    ``applied`` are the versions that stay applied, where the error ended a run.
    """

    exit_status = 3

    def __init__(
        self, message: str, *, applied: tuple[str, ...] = (), place: Place | None = None, fix: str = ""
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.applied = applied


class ServerNotReadyError(TargetError):
    """No connection within the timeout; ``attempts`` has the answer to each attempt."""

    def __init__(
        self, message: str, *, attempts: tuple[str, ...] = (), place: Place | None = None, fix: str = ""
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.attempts = attempts


class PodNotReadyError(ServerNotReadyError):
    """The pods behind a Kubernetes service are not ready; ``reasons`` has one sentence for each reason."""

    def __init__(
        self,
        message: str,
        *,
        reasons: tuple[str, ...],
        attempts: tuple[str, ...] = (),
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, attempts=attempts, place=place, fix=fix)
        self.reasons = reasons


class ConnectionLostError(TargetError):
    """The server, or the way to it, ended the connection in the middle of the work."""


class ClusterError(TargetError):
    """The Kubernetes API server can't be reached, or refuses; ``status`` is its HTTP status, or 0."""

    def __init__(self, message: str, *, status: int = 0, place: Place | None = None, fix: str = "") -> None:
        super().__init__(message, place=place, fix=fix)
        self.status = status


class KubeconfigError(ClusterError):
    """No cluster is configured, or a kubeconfig file is wrong."""


class ClusterAuthError(ClusterError):
    """The API server refuses our credentials, or there are none to give."""


class ServiceNotFoundError(ClusterError):
    """The namespace has no such service; ``candidates`` are ``namespace/service`` that might be meant."""

    def __init__(
        self,
        message: str,
        *,
        candidates: tuple[str, ...] = (),
        status: int = 0,
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, status=status, place=place, fix=fix)
        self.candidates = candidates


class MissingExtensionError(TargetError):
    """The server has no such extension to install; ``extensions`` and the ``migrations`` that need them."""

    def __init__(
        self,
        message: str,
        *,
        extensions: tuple[str, ...],
        migrations: tuple[str, ...],
        applied: tuple[str, ...] = (),
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, applied=applied, place=place, fix=fix)
        self.extensions = extensions
        self.migrations = migrations


class PrivilegeError(TargetError):
    """The role lacks a privilege: it lacks ``right`` on the object ``on``."""

    def __init__(
        self,
        message: str,
        *,
        right: str,
        on: str,
        applied: tuple[str, ...] = (),
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, applied=applied, place=place, fix=fix)
        self.right = right
        self.on = on


class ApplyError(PgslateError):
    """A plan could not be carried out."""

    exit_status = 4


class MigrationFailedError(ApplyError):
    """PostgreSQL refused a statement of a migration.

    ``migration`` is its version, ``statement`` its text; ``sqlstate``, ``detail`` and ``hint`` are
    PostgreSQL's, "" where it gave none. ``applied`` are the versions that stay applied.
    """

    def __init__(
        self,
        message: str,
        *,
        migration: str,
        statement: str,
        sqlstate: str,
        detail: str = "",
        hint: str = "",
        applied: tuple[str, ...] = (),
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.migration = migration
        self.statement = statement
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        self.applied = applied


class LockTimeoutError(ApplyError):
    """Somebody held a lock for longer than the timeout; ``holder`` says who, "" where that is unknown."""

    def __init__(self, message: str, *, holder: str, place: Place | None = None, fix: str = "") -> None:
        super().__init__(message, place=place, fix=fix)
        self.holder = holder


class LockLostError(ApplyError):
    """The connection that held the lock ended during the run; nothing after the last commit was kept."""


class InterruptedRunError(ApplyError):
    """Ctrl-C cancelled the running statement; ``applied`` are the versions that stay applied."""

    exit_status = 130

    def __init__(
        self, message: str, *, applied: tuple[str, ...] = (), place: Place | None = None, fix: str = ""
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.applied = applied


class PartitionBlockedError(ApplyError):
    """A ``partition`` can't be made; ``blockers`` names the objects that are in its way."""

    def __init__(
        self,
        message: str,
        *,
        partition: str,
        blockers: tuple[str, ...],
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.partition = partition
        self.blockers = blockers


class LedgerError(ApplyError):
    """The ledger and the catalog contradict each other; ``migrations`` names the versions."""

    def __init__(
        self,
        message: str,
        *,
        migrations: tuple[str, ...] = (),
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.migrations = migrations


class MissingMigrationError(LedgerError):
    """The ledger has a migration that the catalog no longer has."""


class EditedMigrationError(LedgerError):
    """A migration was edited after it was applied: its checksum was ``applied_checksum``, and is
    ``current_checksum``."""

    def __init__(
        self,
        message: str,
        *,
        migrations: tuple[str, ...],
        applied_checksum: str,
        current_checksum: str,
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, migrations=migrations, place=place, fix=fix)
        self.applied_checksum = applied_checksum
        self.current_checksum = current_checksum


class OutOfOrderError(LedgerError):
    """Somebody inserted a migration below the last applied version."""


class PartlyAppliedError(LedgerError):
    """The database holds parts of migrations (the statements or objects form), and can't take the rest."""


class UnfinishedMigrationError(LedgerError):
    """A run was cut off in a statement outside a transaction, and nobody can tell how that ended."""


class ProofError(PgslateError):
    """A slice's outcome differs from the whole catalog's, and no widening of the slice mended it.

    ``differences`` lists each difference in a definition.
    """

    exit_status = 4

    def __init__(
        self,
        message: str,
        *,
        differences: tuple[Difference, ...] = (),
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.differences = differences


class FormUnavailableError(ProofError):
    """PostgreSQL can't make these tables in one of the forms; in the others it can.

    ``cause`` names the object that can't be made, and says why.
    """

    def __init__(
        self,
        message: str,
        *,
        tables: tuple[str, ...],
        form: str,
        cause: str,
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.tables = tables
        self.form = form
        self.cause = cause


class UnseenError(PgslateError):
    """Tracing can't see everything that migrations do, and no hint adds it.

    ``places`` are (file, line, description).
    """

    exit_status = 4

    def __init__(
        self,
        message: str,
        *,
        places: tuple[tuple[str, int, str], ...],
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.places = places


class VerificationError(PgslateError):
    """The database is not as it should be; ``differences`` lists each difference."""

    exit_status = 1

    def __init__(
        self,
        message: str,
        *,
        differences: tuple[Difference, ...],
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, place=place, fix=fix)
        self.differences = differences


class MissingTablesError(VerificationError):
    """Required tables are missing from the database; ``tables`` names them."""

    def __init__(
        self,
        message: str,
        *,
        tables: tuple[str, ...],
        differences: tuple[Difference, ...],
        place: Place | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(message, differences=differences, place=place, fix=fix)
        self.tables = tables


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
