"""The configuration: ``pgslate.toml``, or ``[tool.pgslate]`` in ``pyproject.toml``, as frozen data.

catalog = "migrations"             # relative to this file
format = "goose"
skip_code = false
ignore = ["drafts/*"]              # files that are no migrations
versions = "names"                 # where files share a number, and run in the order of their names
defines = { schema = "app" }

[prelude]
files = ["roles.sql"]              # what the catalog expects to be there already

[session]
search_path = "app, public"        # what every migration's session begins with

[bundles]
audit = ["audit_events"]

[contracts.gateway]
tables = ["audit_events"]          # "*" is every table
indexes = ["idx_audit_events_correlation"]

[partitions.audit_events]
every = "month"
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pgslate.catalog.catalog import VERSIONS
from pgslate.errors import ConfigError, Place, UsageError

if TYPE_CHECKING:
    from pgslate.partitions.policy import PartitionPolicy

FILE_NAME = "pgslate.toml"
_PYPROJECT = "pyproject.toml"
_SETTING = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Contract:
    """A service's named set of tables, and the indexes its queries rely on.

    The table ``*`` stands for every table of the catalog.
    """

    name: str
    tables: tuple[str, ...]
    indexes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration file says; every path in it is absolute.

    ``file`` is None where there is no configuration. ``catalog`` is the folder of migrations, ``ignore`` the
    paths or patterns of files in it that are none, ``versions`` as for ``Catalog.load``. ``prelude`` are SQL
    files to run before the first migration. ``session`` are the settings that every migration's session
    begins with. ``defines`` are the values of template variables. ``allow`` are names of objects
    that a database may hold though no migration makes them.
    """

    file: Path | None = None
    catalog: Path | None = None
    format: str | None = None
    skip_code: bool = False
    ignore: tuple[str, ...] = ()
    versions: str = "numbers"
    prelude: tuple[Path, ...] = ()
    session: Mapping[str, str] = field(default_factory=dict)
    defines: Mapping[str, str] = field(default_factory=dict)
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    bundles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partitions: Mapping[str, PartitionPolicy] = field(default_factory=dict)
    allow: tuple[str, ...] = ()

    @staticmethod
    def load(file: str | Path) -> Config:
        """Read a ``pgslate.toml``, or the ``[tool.pgslate]`` of a ``pyproject.toml``.

        Raises ConfigError where it can't be read or says something unknown, with "did you mean".
        """
        path = Config.file_of(file)
        document = _read(path)
        if path.name == _PYPROJECT:
            document = document.get("tool", {}).get("pgslate")
            if document is None:
                raise ConfigError(f"{path} has no [tool.pgslate]", fix="add the table, or name another file")
        return _Reader(path).config(document)

    @staticmethod
    def find(start: str | Path = ".") -> Config:
        """The nearest configuration, from the folder ``start`` upward; an empty one where there is none."""
        file = Config.nearest(start)
        return Config.load(file) if file is not None else Config()

    @staticmethod
    def file_of(named: str | Path) -> Path:
        """The file that ``load`` reads: what is named, or ``pgslate.toml`` in a folder."""
        path = Path(named).absolute()
        return path / FILE_NAME if path.is_dir() else path

    @staticmethod
    def nearest(start: str | Path = ".") -> Path | None:
        """The file that ``find`` reads, or None. Raises ConfigError for a ``pyproject.toml`` on the way."""
        here = Path(start).absolute()
        for folder in (here, *here.parents):
            if os.path.lexists(folder / FILE_NAME):  # a dangling link is no reason to take another catalog
                return _of_this_user(folder / FILE_NAME)
            pyproject = folder / _PYPROJECT
            if pyproject.is_file() and "pgslate" in _read(pyproject).get("tool", {}):
                return _of_this_user(pyproject)
        return None

    def contract(self, name: str) -> Contract:
        """The contract of that name. Raises UsageError, which says which there are."""
        if name not in self.contracts:
            raise self._unknown("contract", name, self.contracts)
        return self.contracts[name]

    def bundle(self, name: str) -> tuple[str, ...]:
        """The tables of the bundle of that name. Raises UsageError, which says which there are."""
        if name not in self.bundles:
            raise self._unknown("bundle", name, self.bundles)
        return self.bundles[name]

    def _unknown(self, what: str, name: str, known: Mapping[str, Any]) -> UsageError:
        add = f"add [{what}s.{name}] to pgslate.toml" if what == "contract" else "add it under [bundles]"
        if known:
            where = f" in {self.file}" if self.file else ""
            return UsageError(f"there is no {what} {name!r}{where}", fix=suggestion(name, known))
        if self.file:
            return UsageError(f"there is no {what} {name!r}: {self.file} has none", fix=add)
        return UsageError(
            f"there is no {what} {name!r}: this catalog has no configuration file",
            fix=f"{add}, or name its file with --config",
        )


def suggestion(word: str, known: Iterable[str]) -> str:
    """What ``word`` may have been meant for, or all that is known.

    >>> suggestion("gatway", ["aianalysis", "gateway"])
    'did you mean gateway?'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    return f"did you mean {', '.join(close)}?" if close else f"use one of {', '.join(names)}"


def _of_this_user(path: Path) -> Path:
    """Raise ConfigError for a file that was found, and that another user could have put there.

    What it says chooses the SQL that runs, and of some formats the Python. Files of root, and as root those
    of the user behind sudo, are taken.
    """
    try:
        owner = path.stat().st_uid
    except OSError:  # reading it says what is wrong
        return path
    trusted = {os.geteuid(), 0} | ({int(os.environ["SUDO_UID"])} if _is_sudo() else set())
    if owner in trusted:
        return path
    raise ConfigError(
        f"{path} belongs to another user (uid {owner}), who would choose what is run as you",
        file=str(path),
        fix=f"look at it, then take it by name: --config {shlex.quote(str(path))}",
    )


def _is_sudo() -> bool:
    return os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit()


def _read(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is not a file", file=str(path), fix="make it one, or name another file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8: {error.reason} at byte {error.start}", fix="save it as UTF-8"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path} can't be read: {reason}", fix="check the path given to --config") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_reason(error), place=_place(path, text, error), fix="correct the TOML") from None


def _reason(error: tomllib.TOMLDecodeError) -> str:
    """tomllib's words without its place, which the error has as its own."""
    return "not TOML: " + str(error).partition(" (at ")[0]


def _place(path: Path, text: str, error: tomllib.TOMLDecodeError) -> Place:
    position = str(error).rpartition("(at ")[2].rstrip(")")
    if position.startswith("line ") and ", column " in position:
        line, column = (int(part) for part in position.removeprefix("line ").split(", column "))
    else:
        line, column = text.count("\n") + 1, 1
    lines = text.split("\n")
    return Place(str(path), line, column, lines[line - 1].rstrip("\r") if line <= len(lines) else "")


class _Reader:
    """Checks a document key by key; every complaint names the file and the key."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._prefix = "tool.pgslate." if file.name == _PYPROJECT else ""

    def config(self, document: Any) -> Config:
        table = self._table("", document)
        known = (
            "catalog",
            "format",
            "skip_code",
            "ignore",
            "versions",
            "prelude",
            "session",
            "defines",
            "define",
            "contracts",
            "bundles",
            "partitions",
            "verify",
        )
        self._known("", table, known)
        if "define" in table and "defines" in table:
            raise self._wrong("define", "stands beside [defines]", "keep one of them")
        catalog = self._text("catalog", table.get("catalog"))
        return Config(
            file=self._file,
            catalog=self._path(catalog) if catalog else None,
            format=self._text("format", table.get("format")),
            skip_code=self._truth("skip_code", table.get("skip_code", False)),
            ignore=self._texts("ignore", table.get("ignore", ())),
            versions=self._one_of("versions", table.get("versions", "numbers"), VERSIONS),
            prelude=self._prelude(table.get("prelude", ())),
            session=self._session(table.get("session", _NOTHING)),
            defines=self._values("defines", table.get("defines", table.get("define", _NOTHING))),
            contracts=self._contracts(table.get("contracts", _NOTHING)),
            bundles=self._bundles(table.get("bundles", _NOTHING)),
            partitions=self._partitions(table.get("partitions", _NOTHING)),
            allow=self._allow(table.get("verify", _NOTHING)),
        )

    def _allow(self, value: Any) -> tuple[str, ...]:
        """The names of objects that may be in a database though no migration makes them."""
        table = self._table("verify", value)
        self._known("verify", table, ("allow",))
        return self._texts("verify.allow", table.get("allow", ()))

    def _prelude(self, value: Any) -> tuple[Path, ...]:
        key = "prelude"
        if isinstance(value, dict):
            self._known(key, value, ("files",))
            key, value = "prelude.files", value.get("files", ())
        files = tuple(self._path(name) for name in self._texts(key, value))
        for file in files:
            if not file.is_file():
                raise self._wrong(key, f"names a file that isn't there: {file}", "correct the path")
        return files

    def _session(self, session: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in self._table("session", session).items():
            if isinstance(value, dict):  # app.tenant = "x" is a table in TOML
                inner = self._values(f"session.{name}", value)
                found.update({f"{name}.{under}": each for under, each in inner.items()})
            else:
                found.update(self._values("session", {name: value}))
        for name in found:
            if not _SETTING.fullmatch(name):
                raise self._wrong(f"session.{name}", "is no setting's name", 'as in search_path = "app"')
        return found

    def _values(self, key: str, value: Any) -> dict[str, str]:
        table = self._table(key, value)
        for name, value in table.items():
            if isinstance(value, dict | list):
                raise self._wrong(f"{key}.{name}", "is not a value", 'write it as NAME = "value"')
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in table.items()
        }

    def _contracts(self, contracts: Any) -> dict[str, Contract]:
        found = {}
        for name, contract in self._table("contracts", contracts).items():
            key = f"contracts.{name}"
            table = self._table(key, contract)
            self._known(key, table, ("tables", "indexes"))
            if "tables" not in table:
                raise self._wrong(key, "names no tables", 'add tables = ["..."], or ["*"] for all')
            parts = {part: self._texts(f"{key}.{part}", table[part]) for part in table}
            found[name] = Contract(name, **parts)
        return found

    def _bundles(self, bundles: Any) -> dict[str, tuple[str, ...]]:
        return {
            name: self._texts(f"bundles.{name}", tables)
            for name, tables in self._table("bundles", bundles).items()
        }

    def _partitions(self, value: Any) -> dict[str, PartitionPolicy]:
        table = self._table("partitions", value)
        if not table:
            return {}
        from pgslate.partitions.policy import PartitionPolicy

        found = {}
        for name, policy in table.items():
            key = f"partitions.{name}"
            try:
                found[name] = PartitionPolicy.parse(name, self._table(key, policy))
            except ConfigError as error:  # it names the table, but can't know the file
                raise ConfigError(f"{self._file}: {error.message}", fix=error.fix) from None
        return found

    def _known(self, key: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for name in table:
            if name not in known:
                where = f"{key}.{name}" if key else name
                raise self._wrong(where, "is unknown", suggestion(name, known))

    def _table(self, key: str, value: Any) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        raise self._wrong(key, f"should be a table, not {_kind(value)}", f"write it as [{self._prefix}{key}]")

    def _text(self, key: str, value: Any) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        raise self._wrong(key, f"should be text, not {_kind(value)}", f'write it as {key} = "..."')

    def _truth(self, key: str, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        raise self._wrong(key, f"should be true or false, not {_kind(value)}", f"write it as {key} = true")

    def _one_of(self, key: str, value: Any, known: tuple[str, ...]) -> str:
        if value in known:
            return str(value)
        raise self._wrong(key, f"can't be {value!r}", f"use one of {', '.join(known)}")

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if isinstance(value, list | tuple) and all(isinstance(one, str) and one for one in value):
            return tuple(value)
        raise self._wrong(
            key, "should be a list of names", f'write it as {key.rpartition(".")[2]} = ["...", "..."]'
        )

    def _path(self, name: str) -> Path:
        return (self._file.parent / Path(name).expanduser()).resolve()

    def _wrong(self, key: str, what: str, fix: str) -> ConfigError:
        whole = f"{self._prefix}{key}".rstrip(".")
        return ConfigError(f"{self._file}: {whole} {what}", fix=fix, file=str(self._file), key=whole)


def _kind(value: Any) -> str:
    if value == "":
        return "empty text"
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a table",
    }
    return next((name for kind, name in names.items() if isinstance(value, kind)), "that")
