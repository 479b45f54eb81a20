"""A project: a catalog and what the configuration says about it; from the names that users give to a slice.

``Project.open()`` is how the command line and the pytest plugin begin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.catalog.prelude import PreludeFile
from pgslate.errors import ConfigError, UsageError
from pgslate.project.configuration import Config, Contract, suggestion
from pgslate.project.defines import check_defines
from pgslate.project.own_folder import configuration, is_anothers_beside, is_own, usual_folder
from pgslate.schema.identifiers import parts, qualified

if TYPE_CHECKING:
    from pgslate.partitions.policy import PartitionPolicy
    from pgslate.slices.slice import Form, Slice
    from pgslate.targets.target import Target
    from pgslate.trace.effects import Trace

EVERYTHING = "*"
LOCK_NAME = "pgslate.lock"

Progress = Callable[[int, int, Migration, int], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for: ``tables`` (empty: everything), and partitions that no migration makes.

    ``partitions`` are their names, by the table whose policy makes them. ``contracts`` are those that were
    named.
    """

    tables: tuple[str, ...] = ()
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contracts: tuple[Contract, ...] = ()


@dataclass(frozen=True)
class Project:
    """A catalog with its configuration; ``prelude`` is the SQL to run before the first migration.

    ``progress`` is called for each migration that is traced, ``note`` with a line on other slow work.
    """

    catalog: Catalog
    config: Config = field(default_factory=Config)
    progress: Progress | None = field(default=None, repr=False, compare=False)
    note: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def open(
        catalog: str | Path | None = None,
        *,
        format: str | None = None,  # the word the configuration uses
        defines: Mapping[str, str] | None = None,
        skip_code: bool = False,
        config: str | Path | None = None,
        start: str | Path = ".",
        progress: Progress | None = None,
    ) -> Project:
        """Read the configuration (``config``, or the nearest one from ``start`` upward) and its catalog.

        For a ``catalog`` that isn't the nearest configuration's own, that configuration says nothing: the
        nearest one from the folder upward counts, if the folder is its own. What is given here wins over what
        the file says. ``progress`` is called for each migration where the catalog has to be traced. Raises
        ConfigError and CatalogError.
        """
        configured = configuration(catalog, config=config, start=start)
        configured = replace(configured, defines={**configured.defines, **(defines or {})})
        folder = (
            Path(catalog)
            if catalog is not None
            else configured.catalog or usual_folder(configured.file, start)
        )
        check_defines(defines or {}, folder)
        found = Catalog.load(
            folder,
            format=format or configured.format,
            defines=configured.defines,
            skip_code=skip_code or configured.skip_code,
            ignore=configured.ignore,
            versions=configured.versions,
        )
        return Project(replace(found, settings=configured.session), configured, progress)

    @cached_property
    def prelude(self) -> tuple[PreludeFile, ...]:
        """The prelude files, in order, and what makes the tool's own table, if that is needed.

        Raises ConfigError where a file can't be read.
        """
        try:
            files = tuple(
                PreludeFile(self._spelled(file), file.read_text(encoding="utf-8"))
                for file in self.config.prelude
            )
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"a prelude file can't be read: {error}", fix="see [prelude] in pgslate.toml"
            ) from None
        own = self.catalog.bookkeeping
        return (*files, PreludeFile(f"the table that {self.catalog.format} keeps", own)) if own else files

    @property
    def home(self) -> Path:
        """The configuration's file, or the folder of migrations where that is not the configuration's own."""
        file, folder = self.config.file, self.catalog.root.resolve()
        return file if file is not None and is_own(self.config, folder) else folder

    @property
    def lock_file(self) -> Path:
        """Where the lock is: beside the configuration, else beside the catalog.

        It is in the catalog where the lock beside it would be another's: a configuration lies there too.
        """
        home = self.home
        if home != self.config.file and is_anothers_beside(home):
            return home / LOCK_NAME
        return home.with_name(LOCK_NAME)

    @property
    def policies(self) -> Mapping[str, PartitionPolicy]:
        """The partition policies, by table as the configuration names it."""
        return self.config.partitions

    @cached_property
    def trace(self) -> Trace:
        """The catalog's trace: from the lock, the cache, or made now on an embedded server."""
        return self.trace_in(None)

    def trace_in(self, scratch: Target | None) -> Trace:
        """The trace, made in the empty database ``scratch`` where the lock and the cache haven't it."""
        return self._traced(scratch, self.lock_file)

    def trace_for_lock(self, scratch: Target | None) -> Trace:
        """The same without a look at the lock, which is to be written anew and may be damaged."""
        return self._traced(scratch, None)

    def _traced(self, scratch: Target | None, lock: Path | None) -> Trace:
        from pgslate.slices.lockfile import locked_trace
        from pgslate.trace.trace_cache import trace_of

        found = locked_trace(self.catalog, self.prelude, lock) if lock is not None else None
        if found is None:
            found = trace_of(self.catalog, prelude=self.prelude, scratch=scratch, progress=self.progress)
        if self.config.partitions or self.config.contracts or self.config.bundles:
            from pgslate.project.configured_names import check_names

            check_names(self.config, self.catalog, found)
        self.__dict__["trace"] = found
        return found

    def selection(
        self, tables: Sequence[str] = (), *, contracts: Iterable[str] = (), bundles: Iterable[str] = ()
    ) -> Selection:
        """The tables, contracts and bundles that were asked for, as one selection.

        A name that no migration makes, but a partition policy would, selects its parent table, and asks for
        that partition. Raises UsageError for unknown contracts and bundles, and for a contract's index that
        no migration makes. Unknown tables are found by ``slice``.
        """
        named = tuple(self.config.contract(name) for name in contracts)
        asked = [
            *tables,
            *(t for c in named for t in c.tables),
            *(t for b in bundles for t in self.config.bundle(b)),
        ]
        for contract in named:
            self._check_indexes(contract)
        if EVERYTHING in asked:
            asked = [EVERYTHING, *(name for name in asked if self._rolling(name))]
        wanted: dict[str, None] = {}
        partitions: dict[str, dict[str, None]] = {}
        for name in asked:
            policy = self._rolling(name)
            wanted[policy.table if policy else name] = None
            if policy:
                partitions.setdefault(policy.table, {})[name] = None
        selected = () if EVERYTHING in wanted else tuple(wanted)
        return Selection(
            selected, {table: tuple(sorted(names)) for table, names in partitions.items()}, named
        )

    def slice(
        self,
        *tables: str,
        contract: str | Sequence[str] = (),
        bundle: str | Sequence[str] = (),
        form: Form = "files",
    ) -> Slice:
        """The slice for tables, contracts and bundles (for none of them: everything), proved.

        The proof is the lock's, or the cache's, or is made now where a server can be started.

        Args:
            tables: Names of relations, ``schema.table`` or bare; also of partitions that a policy makes.
            contract: One or several names of contracts in the configuration.
            bundle: One or several names of bundles in the configuration.
            form: "files", "statements" or "objects".

        Raises:
            UnknownTableError: No migration makes a table of that name; with "did you mean".
            UsageError: There is no such contract or bundle, or a contract's index is made by no migration.
            ProofError: The lock says that the slice could not be proved.
        """
        chosen = self.selection(tables, contracts=_names(contract), bundles=_names(bundle))
        return self.slice_for(chosen, form=form)

    def slice_for(self, selection: Selection, *, form: Form = "files") -> Slice:
        """The slice for a selection; raises as ``slice`` does."""
        from pgslate.slices.proved_slice import proved_slice

        found = proved_slice(
            self.catalog, self.trace, selection.tables, form, prelude=self.prelude, telling=self.note
        )
        return replace(
            found,
            policies=self._policies_of(found),
            partitions=selection.partitions,
            allow=self.config.allow,
            project_path=self.home,
        )

    def contract_tables(self) -> dict[str, tuple[str, ...]]:
        """The tables of every contract, by its name; ``*`` alone where it is all of them.

        A partition that only a policy makes stands for its table.
        """
        found: dict[str, tuple[str, ...]] = {}
        for name in sorted(self.config.contracts):
            chosen = self.selection(contracts=[name])
            found[name] = tuple(sorted(chosen.tables)) or (EVERYTHING,)
        return found

    def _policies_of(self, found: Slice) -> tuple[PartitionPolicy, ...]:
        """The partition policies of tables that the slice requires, sorted by table."""
        units = (found.trace.units[unit] for unit in found.required)
        tables = [qualified(unit.name) for unit in units if unit.kind == "table"]
        policies = [p for p in self.policies.values() if any(p.is_of(*table) for table in tables)]
        return tuple(sorted(policies, key=lambda policy: policy.table))

    def _spelled(self, file: Path) -> str:
        """A path as the configuration has it: relative to its own file."""
        return os.path.relpath(file, self.config.file.parent.resolve()) if self.config.file else str(file)

    def _rolling(self, name: str) -> PartitionPolicy | None:
        """The policy of a partition that only a policy makes."""
        for policy in self.policies.values():
            if policy.window_of(name) is not None and not self._is_made(name):
                return policy
        return None

    def _is_made(self, name: str) -> bool:
        bare = parts(name)[-1]
        return any(
            unit.dropped is None and unit.kind == "table" and parts(unit.name)[-1] == bare
            for unit in self.trace.units
        )

    def _check_indexes(self, contract: Contract) -> None:
        if not contract.indexes:
            return
        made = {parts(name)[-1] for kind, name in self.trace.schema.objects if kind == "index"}
        for index in contract.indexes:
            if parts(index)[-1] not in made:
                raise UsageError(
                    f"contract {contract.name} relies on the index {index!r}, which no migration makes",
                    fix=suggestion(index, made) if made else "correct it in pgslate.toml",
                )


def _names(tables: str | Sequence[str]) -> Sequence[str]:
    return (tables,) if isinstance(tables, str) else tables
