"""The archive that ``pg_dump --format=custom`` writes: its table of contents, and the rows of each table.

Every entry stands in it with its length before it. So a name, a comment, a function body or a row may hold
any text, and nothing has to be searched for.

Source: ``ReadHead``, ``ReadToc``, ``ReadStr`` and ``ReadInt`` in src/bin/pg_dump/pg_backup_archiver.c;
``_PrintTocData`` in src/bin/pg_dump/pg_backup_custom.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_CUSTOM = 1
_ROWS, _LARGE_OBJECTS = 1, 3
_COMPRESSED = 15  # from version 1.15 on one byte names the algorithm


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One entry of the table of contents.

    ``number`` is unique in the archive, and ``needs`` are the numbers of entries that must be run before it;
    some of these may be missing, as objects that PostgreSQL itself makes are. ``system_catalog`` and ``oid``
    are those of the object, 0 where the entry is no object of its own. ``create`` and ``drop`` are SQL.
    """

    number: int
    type: str
    name: str
    schema: str
    owner: str
    system_catalog: int
    oid: int
    create: str
    drop: str
    tablespace: str
    access_method: str
    is_partitioned: bool
    needs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """The entries in the order in which they can be run, and by entry's number the SQL that inserts rows."""

    entries: tuple[ArchiveEntry, ...]
    rows: Mapping[int, str]


def read_archive(data: bytes) -> Archive:
    """The contents of an uncompressed archive whose rows are INSERT statements, in UTF-8.

    Raises ValueError where ``data`` isn't such an archive.
    """
    reader = _Reader(data)
    version = reader.head()
    entries = tuple(_entry(reader, version) for _ in range(reader.integer()))
    return Archive(entries, dict(reader.rows()))


def _entry(reader: _Reader, version: int) -> ArchiveEntry:
    number = reader.integer()
    reader.integer()  # whether data follow
    system_catalog, oid = int(reader.text()), int(reader.text())
    name, type_ = reader.text(), reader.text()
    reader.integer()  # the section
    create, drop = reader.text(), reader.text()
    reader.text()  # the COPY statement, which is empty where rows are INSERT statements
    schema, tablespace = reader.text(), reader.text()
    access_method = reader.text() if version >= 14 else ""
    is_partitioned = version >= 16 and reader.integer() == ord("p")
    owner = reader.text()
    reader.text()  # whether rows have OIDs
    needs = tuple(map(int, reader.texts()))
    reader.offset()
    return ArchiveEntry(
        number=number,
        type=type_,
        name=name,
        schema=schema,
        owner=owner,
        system_catalog=system_catalog,
        oid=oid,
        create=create,
        drop=drop,
        tablespace=tablespace,
        access_method=access_method,
        is_partitioned=is_partitioned,
        needs=needs,
    )


class _Reader:
    """Reads an archive from its beginning to its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._integer_size = self._offset_size = 4

    def head(self) -> int:
        """Read what stands before the table of contents; return the format's minor version."""
        if self._take(5) != b"PGDMP":
            raise ValueError("not an archive of pg_dump")
        major, minor, _ = self._take(3)
        self._integer_size, self._offset_size, format_ = self._take(3)
        if major != 1 or minor < 11 or format_ != _CUSTOM:
            raise ValueError(f"an archive of version {major}.{minor}, format {format_}")
        compression = self._take(1)[0] if minor >= _COMPRESSED else self.integer()
        if compression:
            raise ValueError("a compressed archive")
        for _ in range(7):  # the time at which it was made
            self.integer()
        for _ in range(3):  # the database's name, the server's version and pg_dump's
            self.text()
        return minor

    def rows(self) -> Iterator[tuple[int, str]]:
        """The numbers of the entries with rows, and these. Large objects are passed over."""
        while self._at < len(self._data):
            (kind,) = self._take(1)
            number = self.integer()
            if kind == _ROWS:
                yield number, self._chunks().decode()
            elif kind == _LARGE_OBJECTS:
                while self.integer():
                    self._chunks()
            else:
                raise ValueError(f"a block of kind {kind}")

    def integer(self) -> int:
        sign, *digits = self._take(1 + self._integer_size)
        value = int.from_bytes(digits, "little")
        return -value if sign else value

    def offset(self) -> None:
        self._take(1 + self._offset_size)

    def text(self) -> str:
        """The next string; "" where there is none."""
        return self._string() or ""

    def texts(self) -> Iterator[str]:
        """The strings up to one that isn't there."""
        while (found := self._string()) is not None:
            yield found

    def _string(self) -> str | None:
        length = self.integer()
        return self._take(length).decode() if length >= 0 else None

    def _chunks(self) -> bytes:
        found = []
        while length := self.integer():
            found.append(self._take(length))
        return b"".join(found)

    def _take(self, length: int) -> bytes:
        found = self._data[self._at : self._at + length]
        if len(found) < length:
            raise ValueError("an archive that ends too early")
        self._at += length
        return found
