"""What the names of files say: a version, a way back, a migration written in a programming language."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgslate.errors import CatalogError, CodeMigrationError
from pgslate.formats.dialects import for_postgresql
from pgslate.formats.listing import Listing, Options

_VERSION = re.compile(
    r"""
    [vV]?
    (?P<version>
        \d{8}T\d{4,6}Z?                             # 20250124T113100Z
      | (?:19|20)\d\d_\d\d_\d\d(?:_\d{4,6})?        # 2024_01_31_120000
      | \d{8}_\d{2,6}(?=[._\- ])                    # 20240131_02
      | \d+(?:[.-]\d+)*[a-z]?                       # 7, 007, 1.2.3, 2024-01-31, 14b
    )
    (?![0-9A-Za-z])
    (?:[._\- ]+(?P<name>.*))?$
    """,
    re.VERBOSE,
)
_UNDO = re.compile(
    r"(^|[._-])(down|undo|rollback|revert|reverse|teardown)\.(p?sql)$|^\d[\w.-]*\.undo\..*sql$|^U[\d._]+__.*\.sql$",
    re.IGNORECASE,
)
_MARKED_UNDO = re.compile(r"(^|\.)(down|undo|rollback|revert|reverse|teardown)\.|^U[\d._]+__", re.IGNORECASE)
# A program's name may well end in _down (00003_take_down.go), and goose runs that for its Up.
_UNDO_CODE = re.compile(r"\.(down|undo|rollback|revert)\.\w+$", re.IGNORECASE)
_UNDO_FOLDERS = frozenset({"down", "downs", "undo", "rollback", "rollbacks", "revert", "reverts"})
_CODE = re.compile(
    r"(?:\d+[\w.-]*|[VRB][\w.]*__\w+)\.(?P<ending>go|js|cjs|mjs|jsx|ts|cts|mts|py|rb|rs|java|kt|php|exs?|sh|ps1)$"
)
_NOT_CODE = re.compile(r"_test\.\w+$|\.(test|spec|d)\.\w+$")
_LANGUAGES = {
    "go": "Go",
    "js": "JavaScript",
    "cjs": "JavaScript",
    "mjs": "JavaScript",
    "jsx": "JavaScript",
    "ts": "TypeScript",
    "cts": "TypeScript",
    "mts": "TypeScript",
    "py": "Python",
    "rb": "Ruby",
    "rs": "Rust",
    "java": "Java",
    "kt": "Kotlin",
    "php": "PHP",
    "ex": "Elixir",
    "exs": "Elixir",
    "sh": "shell",
    "ps1": "PowerShell",
}


def version_and_name(stem: str) -> tuple[str, str] | None:
    """The version a name begins with and what follows, or None where there is no number.

    >>> version_and_name("007_2fa"), version_and_name("v1.2.3-x"), version_and_name("2024_01_31_people")
    (('007', '2fa'), ('1.2.3', 'x'), ('2024_01_31', 'people'))
    >>> version_and_name("20250124T113100Z"), version_and_name("schema")
    (('20250124T113100Z', '20250124T113100Z'), None)
    """
    found = _VERSION.match(stem)
    if found is None:
        return None
    return found["version"], found["name"] or found["version"]


def order_of(version: str) -> tuple[int | str, ...]:
    """What a version sorts by: its numbers by value, its letters after them.

    >>> order_of("1.10"), order_of("014b"), order_of("20250124T113100Z")
    ((1, 10), (14, 'b'), (20250124, 113100))
    """
    parts = re.findall(r"\d+|[a-z]", version)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def is_undo(file: str) -> bool:
    """Whether a file takes a migration back, by its name or by the folder it lies in.

    >>> [is_undo(f) for f in ("1_a.down.sql", "1_a_rollback.sql", "down/1_a.sql", "U1__a.sql")]
    [True, True, True, True]
    >>> is_undo("1_breakdown.sql")
    False
    """
    return bool(_UNDO.search(file.rsplit("/", 1)[-1])) or is_among_undos(file)


def takes_back(file: str, files: Iterable[str]) -> bool:
    """Whether a file takes back one of ``files``: by ``.down.sql``, or by ``_down.sql`` and the number of
    another.

    >>> takes_back("5_a_down.sql", ["5_a.sql", "5_a_down.sql"]), takes_back("5_a.down.sql", [])
    (True, True)

    Raises CatalogError for a file like ``5_scale_down.sql`` whose number no other has: nobody can tell.
    """
    if not is_undo(file):
        return False
    own = _numbered(file)
    if own is None or is_among_undos(file) or _MARKED_UNDO.search(file.rsplit("/", 1)[-1]):
        return True
    if any(_numbered(other) == own and not is_undo(other) for other in files):
        return True
    raise CatalogError(
        f"{file} may be a migration, or take one back that has another number: its name doesn't tell",
        fix="if it is one, give the format: sqlx, which runs it; if not, leave it out:"
        f' ignore = ["{file}"] in pgslate.toml',
    )


def _numbered(file: str) -> str | None:
    """The folder and the number of a file."""
    folder, _, name = file.rpartition("/")
    named = version_and_name(name.rsplit(".", 1)[0])
    return f"{folder}/{named[0]}" if named else None


def is_among_undos(file: str) -> bool:
    """Whether a file lies in a folder of files that take migrations back.

    >>> is_among_undos("down/1_a.sql"), is_among_undos("1_a.down.sql")
    (True, False)
    """
    return any(folder.lower() in _UNDO_FOLDERS for folder in file.split("/")[:-1])


def code_migrations(files: Iterable[str]) -> tuple[str, ...]:
    """The files that are named like migrations, and are programs; those that only take one back are none.

    >>> code_migrations(["001_a.go", "001_a_test.go", "embed.go", "index.ts", "20240101_b.ts", "V2__C.java"])
    ('001_a.go', '20240101_b.ts', 'V2__C.java')
    >>> code_migrations(["001_a.down.go", "001_a.up.go"])
    ('001_a.up.go',)
    """
    return tuple(f for f in files if _is_program(f) and not _UNDO_CODE.search(f))


def _is_program(file: str) -> bool:
    return bool(_CODE.match(file.rsplit("/", 1)[-1])) and not _NOT_CODE.search(file)


def refuse_code(files: tuple[str, ...], options: Options) -> None:
    """Raise CodeMigrationError naming ``files``, unless there are none or they are to be left out."""
    if not files or options.skip_code:
        return
    languages = sorted({_LANGUAGES.get(f.rsplit(".", 1)[-1], "code") for f in files})
    some = ", ".join(files[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
    count = "1 migration is" if len(files) == 1 else f"{len(files)} migrations are"
    raise CodeMigrationError(
        f"{count} written in {' and '.join(languages)}, which pgslate does not run: {some}",
        fix="write them as SQL, or go on without them with --skip-code",
        files=files,
    )


def not_named(file: str, like: str) -> CatalogError:
    """The error for an SQL file whose name says no version."""
    return CatalogError(
        f"{file} has no version number in its name",
        fix=f'name it like {like}, or leave it out: ignore = ["{file}"] in pgslate.toml',
    )


# Files that lie beside migrations and are none: dumps and seeds for other tools to read, and hooks, which say
# what they run before or after (posts.sql and preferences.sql say nothing of the kind).
_BYSTANDERS = re.compile(
    r"^(schema|structure|dump|seeds?|init[-_]?db|current|fixtures?|reset|drop"
    r"|(after|before|post|pre)[-_]?(each)?(migrat\w*|deploy\w*|apply|install|clean|data|hooks?|scripts?|validate))"
    r"([._-].*)?\.sql$",
    re.IGNORECASE,
)


def is_bystander(file: str) -> bool:
    """Whether a file without a number is known to be something else: ``schema.sql``, ``seeds.sql``.

    >>> [is_bystander(f) for f in ("schema.sql", "post-deploy.sql", "add_users.sql", "posts.sql")]
    [True, True, False, False]
    """
    return bool(_BYSTANDERS.match(file))


def left_out(listing: Listing, used: Iterable[str]) -> str:
    """In words, the SQL and code files of the folder that are not among the migrations."""
    taken = set(used)
    rest = [f for f in listing.files if f not in taken]
    undo = [
        f
        for f in rest
        if (f.lower().endswith(".sql") and is_undo(f)) or (_is_program(f) and _UNDO_CODE.search(f))
    ]
    code = code_migrations(f for f in rest if "/" not in f)
    other = [f for f in rest if f.lower().endswith(".sql") and f not in set(undo)]
    parts = []
    if undo:
        parts.append(f"{len(undo)} that take migrations back ({_some(undo)})")
    if other:
        parts.append(f"{len(other)} other SQL files ({_some(other)})" if len(other) > 1 else other[0])
    if code:
        parts.append(f"{len(code)} in code ({_some(code)})")
    return ", ".join(parts)


def passed_over(listing: Listing, used: Iterable[str]) -> tuple[str, ...]:
    """The SQL files that are numbered like migrations, take none back, and are not among those used."""
    taken = set(used)
    return tuple(
        f
        for f in for_postgresql(listing.files)
        if f not in taken
        and f.lower().endswith(".sql")
        and _numbered(f)
        and not is_undo(f)
        and not f.startswith("verify/")  # Sqitch's
    )


def _some(files: Iterable[str]) -> str:
    first, *rest = files
    return f"{first}, ..." if rest else first
