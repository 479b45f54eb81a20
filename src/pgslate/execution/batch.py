"""One message with many statements: sent in one round trip, and known by its answers which of them failed.

PostgreSQL answers a simple query (manual, "Message Flow", 54.2.2.1) with one CommandComplete a statement, in
order, and stops at the first that fails. So the number of answers says which it was; the position in an error
counts characters of the whole message, and is absent from most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.waiting import Ready, Wait

from pgslate.catalog.sqlstates import NOTHING_GRANTED

_COPY_CHUNK = 1 << 18
"""Bytes of COPY data given to libpq at a time, so that its buffer stays small."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement of a message: its ``text`` without semicolon; the ``data`` of a COPY ... FROM stdin.

    ``asks`` marks one that selects a value, which ``send`` gives back.
    """

    text: str
    data: str | None = None
    asks: bool = False


class RefusedError(Exception):
    """The server refused a piece of a message.

    ``piece`` is its index, ``offset`` the character of its text that the error points at, or None where the
    server didn't say. Where ``error`` is about the connection, ``piece`` is the one it was lost at.
    """

    def __init__(self, error: psycopg.Error, piece: int, offset: int | None = None) -> None:
        super().__init__(error, piece, offset)
        self.error = error
        self.piece = piece
        self.offset = offset


def send(connection: psycopg.Connection[Any], pieces: Sequence[Piece]) -> list[str]:
    """Run all ``pieces`` in one round trip, and one more for each COPY; gives what those that ask selected.

    Raises RefusedError for the first that fails, and for a GRANT or REVOKE that did nothing; what ran before
    it stands as far as the transaction lets it. KeyboardInterrupt cancels what is running.
    """
    separator = "\n;\n"  # on a line of its own: a piece may end in a comment
    message = separator.join(piece.text for piece in pieces)
    talk = _Talk(connection, pieces)
    connection.add_notice_handler(talk.notice)
    try:
        connection.pgconn.send_query(message.encode())
        failed = connection.wait(talk.results())
    except psycopg.Error as error:
        # before it ends a connection the server says why, with an SQLSTATE
        why = talk.failed and error_from_result(talk.failed, encoding=connection.info.encoding)
        raise RefusedError(why or error, min(talk.done, len(pieces) - 1)) from error
    except KeyboardInterrupt:
        _settle(connection)
        raise
    finally:
        connection.remove_notice_handler(talk.notice)
    if failed is not None:
        refusal = error_from_result(failed, encoding=connection.info.encoding)
        raise RefusedError(refusal, *_culprit(connection, refusal, pieces, talk.done, len(separator)))
    if talk.nothing_granted is not None:
        raise RefusedError(*talk.nothing_granted)
    return talk.answers


def _settle(connection: psycopg.Connection[Any]) -> None:
    """Cancel what still runs and read its answers. psycopg does, but not where Ctrl-C hit code of ours."""
    if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
        connection.cancel_safe(timeout=5.0)
        connection.wait(_Talk(connection, ()).results())


class NothingGrantedError(psycopg.DatabaseError):
    """A GRANT or REVOKE changed nothing, since the role may not; PostgreSQL says so only in a warning."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class _Talk:
    """The server's side of one message: what it answered so far."""

    def __init__(self, connection: psycopg.Connection[Any], pieces: Sequence[Piece]) -> None:
        self.done = 0
        self.answers: list[str] = []
        self.failed: pq.abc.PGresult | None = None
        self.nothing_granted: tuple[NothingGrantedError, int] | None = None
        self._pgconn = connection.pgconn
        self._pieces = pieces

    def notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.sqlstate in NOTHING_GRANTED and self.nothing_granted is None:
            message = diagnostic.message_primary or ""  # it is gone when the handler returns
            error = NothingGrantedError(message, diagnostic.sqlstate or "")
            self.nothing_granted = (error, self._warned(message))

    @property
    def _piece(self) -> Piece:
        """The one that is being answered; a script in one piece has more answers than pieces."""
        return self._pieces[self.done] if self.done < len(self._pieces) else Piece("")

    def _warned(self, message: str) -> int:
        """The piece that a GRANT's warning is of: libpq may hand it out before the answer that it follows."""
        name = re.search(r'"(.+)"', message)
        candidates = range(self.done, min(self.done + 2, len(self._pieces)))
        granting = [n for n in candidates if re.search(r"\b(grant|revoke)\b", self._pieces[n].text, re.I)]
        naming = [n for n in granting if name and name[1] in self._pieces[n].text]
        return next(iter((*naming, *granting, self.done)))

    def results(self) -> PQGen[pq.abc.PGresult | None]:
        """Read every answer; comes back with the one that is an error, or None."""
        yield from self._flush()
        while True:
            if self._pgconn.is_busy():
                yield from self._read()
            result = self._pgconn.get_result()
            if result is None:
                return self.failed
            match result.status:
                case pq.ExecStatus.FATAL_ERROR:
                    self.failed = self.failed or result
                case pq.ExecStatus.COPY_IN:
                    yield from self._give(self._piece.data)
                case pq.ExecStatus.COPY_OUT:
                    yield from self._skip()
                case _:
                    if self._piece.asks:
                        self.answers.append((result.get_value(0, 0) or b"").decode())
                    self.done += 1

    def _flush(self) -> PQGen[None]:
        while self._pgconn.flush():
            ready = yield Wait.RW
            if ready & Ready.R:
                self._pgconn.consume_input()

    def _read(self) -> PQGen[None]:
        while True:
            while not (yield Wait.R):
                continue
            self._pgconn.consume_input()
            if not self._pgconn.is_busy():
                return

    def _give(self, data: str | None) -> PQGen[None]:
        raw = (data or "").encode()
        for start in range(0, len(raw), _COPY_CHUNK):
            self._pgconn.put_copy_data(raw[start : start + _COPY_CHUNK])
            yield from self._flush()
        self._pgconn.put_copy_end()
        yield from self._flush()

    def _skip(self) -> PQGen[None]:
        while True:
            size, _ = self._pgconn.get_copy_data(1)
            if size < 0:
                return
            if size == 0:
                yield from self._read_some()

    def _read_some(self) -> PQGen[None]:
        while not (yield Wait.R):
            continue
        self._pgconn.consume_input()


def _culprit(
    connection: psycopg.Connection[Any],
    error: psycopg.Error,
    pieces: Sequence[Piece],
    done: int,
    between: int,
) -> tuple[int, int | None]:
    """The piece that failed and the offset in it. Before anything is run, the whole message is parsed.

    So where nothing was answered, a position in a later piece is a syntax error there.
    """
    reported = error.diag.statement_position
    if reported is None:
        return min(done, len(pieces) - 1), None
    position = int(reported) - 1
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        # such a server counts bytes
        whole = ("\n" * between).join(piece.text for piece in pieces).encode()
        position = len(whole[:position].decode(errors="ignore"))
    start = 0
    for number, piece in enumerate(pieces):
        end = start + len(piece.text)
        if start <= position <= end:
            return (number, position - start) if number == done or done == 0 else (done, None)
        start = end + between
    return min(done, len(pieces) - 1), None
