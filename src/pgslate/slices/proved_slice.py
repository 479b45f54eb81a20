"""A slice from the names of tables, proved: its proof is the lock's, the cache's, or is made now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.slices.proof_cache import kept_proof
from pgslate.slices.selection import select
from pgslate.slices.slice import Form, Slice, is_touched, slice_of, whole
from pgslate.trace.effects import Trace


def proved_slice(
    catalog: Catalog,
    trace: Trace,
    tables: Sequence[str],
    form: Form = "files",
    *,
    prelude: Sequence[PreludeFile] = (),
    telling: Callable[[str], None] | None = None,
) -> Slice:
    """The slice of ``trace`` for ``tables``; for none, the whole catalog.

    Args:
        catalog: The catalog that was traced.
        trace: Its trace. A trace of a lock brings its proofs along.
        tables: Names of relations, ``schema.table`` or bare.
        form: "files", "statements" or "objects".
        prelude: The SQL that a proof runs before the first migration.
        telling: Called with a sentence before a proof is made, since that may take seconds.

    Raises:
        UnknownTableError: No migration makes a table of that name; with "did you mean".
        ProofError: The lock says that the slice could not be proved.
    """
    if not tables:
        return replace(whole(catalog, trace, form=form), prelude=tuple(prelude))
    units = select(catalog, trace, tables)

    def tell() -> None:
        if telling:
            telling(f"proving the slice for {', '.join(trace.units[unit].name for unit in units)}")

    known = trace.proved | trace.unproved.keys()
    widening = None
    if any((form, unit) not in known and is_touched(catalog, trace, unit) for unit in units):
        widening, changing = kept_proof(catalog, prelude, trace, units, form, telling=tell)
        trace = replace(trace, changing={**trace.changing, **changing})
    found = slice_of(catalog, trace, units, tables=tuple(tables), form=form, widening=widening)
    return replace(found, prelude=tuple(prelude))


def in_form(slice_: Slice, form: Form) -> Slice:
    """The slice for the same tables in another form. Raises as ``proved_slice`` does."""
    if slice_.form == form:
        return slice_
    found = proved_slice(slice_.catalog, slice_.trace, slice_.tables, form, prelude=slice_.prelude)
    return replace(
        found, policies=slice_.policies, partitions=slice_.partitions, project_path=slice_.project_path
    )
