"""The tables that a configuration names must be there: checked as soon as the catalog's trace is known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pgslate.catalog.catalog import Catalog
from pgslate.errors import ConfigError, UnknownTableError
from pgslate.partitions.policy import PartitionPolicy
from pgslate.project.configuration import Config
from pgslate.schema.identifiers import parts, qualified
from pgslate.slices.selection import select
from pgslate.trace.effects import Trace, relations

EVERYTHING = "*"


def check_names(config: Config, catalog: Catalog, trace: Trace) -> None:
    """Raise ConfigError for a policy of no table, or of one that is not partitioned by range.

    Raises UnknownTableError for a contract or a bundle with a table that no migration makes. Both say what
    the name may have been meant for.
    """
    for policy in config.partitions.values():
        _check_policy(config, policy, trace)
    named = [(f"contract {name}", contract.tables) for name, contract in config.contracts.items()]
    named += [(f"bundle {name}", tables) for name, tables in config.bundles.items()]
    known: set[str] = set()
    for unit in relations(trace) if named else ():
        schema, name = qualified(trace.units[unit].name)
        known |= {name, f"{schema}.{name}"}
    for owner, tables in named:
        for table in tables:
            if table not in known and not _is_by_policy(table, config.partitions.values()):
                _check_table(owner, table, catalog, trace)


def _check_policy(config: Config, policy: PartitionPolicy, trace: Trace) -> None:
    alive = [info for info in trace.units if info.dropped is None and info.kind == "table"]
    tables = [info.name for info in alive if policy.is_of(*qualified(info.name))]
    keys = [str(found.get("partition_key") or "") for t in tables if (found := trace.schema.get("table", t))]
    key = f"[partitions.{policy.table}]"
    if any(each.upper().startswith("RANGE") for each in keys):
        return
    if not tables:
        close = difflib.get_close_matches(
            policy.table.rpartition(".")[2], _partitioned(trace) or [parts(one.name)[-1] for one in alive]
        )
        meant = f"did you mean {', '.join(close)}?" if close else "`pgslate why` lists the tables there are"
        raise ConfigError(
            f"{key}: no such table", file=str(config.file or ""), key=f"partitions.{policy.table}", fix=meant
        )
    how = f"is partitioned by {keys[0]}" if keys and keys[0] else "is not partitioned"
    raise ConfigError(
        f"{key}: the table {tables[0]} {how}",
        file=str(config.file or ""),
        key=f"partitions.{policy.table}",
        fix="remove the policy, or make the table with PARTITION BY RANGE (a column of time)",
    )


def _partitioned(trace: Trace) -> list[str]:
    return [parts(each.name)[-1] for each in trace.schema if each.get("partition_key")]


def _check_table(owner: str, table: str, catalog: Catalog, trace: Trace) -> None:
    if table == EVERYTHING:
        return
    try:
        select(catalog, trace, [table])
    except UnknownTableError as error:
        error.message = f"{owner}: {error.message}"
        raise


def _is_by_policy(name: str, policies: Iterable[PartitionPolicy]) -> bool:
    return any(policy.window_of(name) is not None for policy in policies)
