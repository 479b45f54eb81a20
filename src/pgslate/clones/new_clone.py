"""Making: a clone is begun in the book, copied, and given what CREATE DATABASE doesn't copy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from pgslate.clones.database_copy import Copier, drop
from pgslate.clones.properties import repeat
from pgslate.clones.registry import Book
from pgslate.clones.returns import Returns
from pgslate.clones.template import Template


class TemplateGoneError(Exception):
    """The template was dropped, or opened by somebody; it has to be made again."""


@dataclass(frozen=True, slots=True)
class Made:
    """A clone's name, the server's time when it was begun, and the seconds that its copy took: None where
    one was ready."""

    name: str
    now: datetime
    seconds: float | None


class Maker:
    """Makes clones on the connections that it is given, from any thread.

    With ``returns`` they are made so that they can be put back.
    """

    def __init__(self, book: Book, returns: Returns | None) -> None:
        self._book = book
        self._returns = returns
        self._timings: dict[str, dict[str, list[float]]] = {}

    def make(
        self,
        connection: psycopg.Connection[Any],
        template: Template,
        *,
        state: str = "making",
        what: str = "",
    ) -> Made:
        """A clone; the book says ``state`` of it. For ``taken`` one that was ready will do.

        Raises TemplateGoneError, and TargetError where the disk is full.
        """
        began = time.perf_counter()
        begun = self._book.begin(template.name, connection, state=state, what=what)
        if begun is None:
            raise TemplateGoneError(template.name)
        name, properties = begun.name, begun.properties
        if properties is None:
            return Made(name, begun.now, None)
        try:
            Copier(self._book, connection, self._timings).copy(template, name)
            repeat(connection, properties, name)
            seconds = time.perf_counter() - began
            if self._returns is not None:
                self._book.copied(name, properties.oid, connection)
                if state == "making":
                    self._returns.look(connection, name, template.name, properties.oid)
        except BaseException as error:
            if not connection.closed:
                drop(connection, name, force=True)
                self._book.gone(name, connection)
            if isinstance(error, psycopg.errors.ObjectInUse | psycopg.errors.InvalidCatalogName):
                raise TemplateGoneError(template.name) from error
            raise
        return Made(name, begun.now, seconds)
