"""Operations on keys, constraints, indexes and statistics."""

from __future__ import annotations

from tests.histories.model import Choices, Column, Model, Relation, Thing, quoted
from tests.histories.tables import Sql, own_columns


def add_foreign_key(m: Model, c: Choices) -> Sql:
    """A new column that refers to a table: its own, an older or a younger one, so that there are cycles."""
    tables = m.relations("table", "partitioned")
    targets = [key.owner for key in m.of("key") if isinstance(key.owner, Relation)]
    if not tables or not targets:
        return None
    table, target = c.pick(tables), c.pick(targets)
    col = Column("column", m.fresh_column(table, c), owner=table, type=target.key.type, foreign=True)
    for relation in [table, *m.children(table)]:
        relation.columns.append(col)
    name = f"fk_{m.next()}"
    key = next(k for k in m.of("key", target))
    m.add(Thing("fk", name, owner=table, needs={target, key, col}))
    where, other = m.ref(table, c), m.ref(target, c)
    action = c.pick(("", " ON DELETE CASCADE", " ON DELETE SET NULL", " DEFERRABLE"))
    if c.one_in(2):
        refers = f"CONSTRAINT {name} REFERENCES {other}{action}"
        return [f"ALTER TABLE {where} ADD COLUMN {quoted(col.name)} {col.type} {refers}"]
    valid = table.kind == "table" and c.one_in(3)
    add = f"ADD CONSTRAINT {name} FOREIGN KEY ({quoted(col.name)}) REFERENCES {other} (id){action}"
    return [
        f"ALTER TABLE {where} ADD COLUMN {quoted(col.name)} {col.type}",
        f"ALTER TABLE {where} {add}{' NOT VALID' if valid else ''}",
        *([f"ALTER TABLE {where} VALIDATE CONSTRAINT {name}"] if valid else []),
    ]


def add_check(m: Model, c: Choices) -> Sql:
    """A check that every row keeps: the keys of rows that triggers write are a little below zero."""
    chosen = own_columns(m, c)
    if chosen is None or chosen[1].sort not in ("int", "text") or chosen[1].needs or m.children(chosen[0]):
        return None
    table, col = chosen
    name = quoted(col.name)
    check = m.add(Thing("check", f"check_{m.next()}", owner=table, needs={col}))
    test = f"{name} > -1000" if col.sort == "int" else f"length({name}) < 1000"
    routines = m.of("routine")
    if routines and col.sort == "int" and c.one_in(2):
        routine = c.pick(routines)
        check.needs.add(routine)
        test = f"{m.ref(routine, c)}({name}::bigint) > -1000"
    return [f"ALTER TABLE {m.ref(table, c)} ADD CONSTRAINT {check.name} CHECK ({test})"]


def _may_be_unique(m: Model, relation: Relation, col: Column) -> bool:
    """Whether every row so far and to come has a value of its own: no defaults, no writing trigger."""
    empty = not m.has_rows(relation)
    return relation.kind == "table" and empty and not m.loggers(relation) and not col.filled and not col.needs


def add_unique(m: Model, c: Choices) -> Sql:
    chosen = own_columns(m, c)
    if chosen is None or chosen[1].sort not in ("int", "text") or chosen[1].foreign:
        return None
    table, col = chosen
    if not _may_be_unique(m, table, col):
        return None
    columns: set[Thing] = {col}
    if c.one_in(4):
        columns = {table.key}  # once more, beside the primary key
    elif c.one_in(4):
        columns.add(table.key)
    made = m.add(Thing("unique", m.fresh(table.schema, c), table.schema, owner=table, needs=columns))
    names = ", ".join(sorted(quoted(each.name) for each in columns))
    rest = c.pick(("", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"))
    return [f"ALTER TABLE {m.ref(table, c)} ADD CONSTRAINT {quoted(made.name)} UNIQUE ({names}){rest}"]


def drop_constraint(m: Model, c: Choices) -> Sql:
    constraints = [t for t in m.things if t.kind in ("fk", "check", "unique") and t.name and t.owner]
    if not constraints:
        return None
    chosen = c.pick(constraints)
    assert chosen.owner is not None
    if chosen.kind == "fk":
        for col in chosen.needs:
            if isinstance(col, Column):
                col.foreign = False
    m.drop(chosen)
    exists = "IF EXISTS " if c.one_in(3) else ""
    return [f"ALTER TABLE {m.ref(chosen.owner, c)} DROP CONSTRAINT {exists}{quoted(chosen.name)}"]


def rename_constraint(m: Model, c: Choices) -> Sql:
    constraints = [t for t in m.things if t.kind in ("fk", "check") and t.name and t.owner]
    if not constraints:
        return None
    chosen = c.pick(constraints)
    assert isinstance(chosen.owner, Relation)
    old, chosen.name = chosen.name, f"Renamed {m.next()}"
    return [f"ALTER TABLE {m.ref(chosen.owner, c)} RENAME CONSTRAINT {quoted(old)} TO {quoted(chosen.name)}"]


def _indexed(m: Model, c: Choices, *, kinds: tuple[str, ...]) -> tuple[Thing, str] | None:
    found = [
        (r, col)
        for r in m.relations(*kinds)
        for col in r.columns
        if col.sort in ("int", "text", "date")
        and not col.foreign
        and not (r.kind == "table" and col.owner is not r)
    ]
    if not found:
        return None
    relation, col = c.pick(found)
    index = m.add(Thing("index", m.fresh(relation.schema, c), relation.schema, owner=relation, needs={col}))
    name = quoted(col.name)
    routines = m.of("routine")
    what, where, unique = name, "", ""
    match c.number(5):
        case 1 if col.sort == "text":
            what = f"lower({name})"
        case 1 if routines and col.sort == "int":
            routine = c.pick(routines)
            index.needs.add(routine)
            what = f"{m.ref(routine, c)}({name}::bigint)"
        case 2:
            where = f" WHERE {name} IS NOT NULL"
        case 3 if _may_be_unique(m, relation, col):
            unique = "UNIQUE "
        case _:
            what = f"{name} DESC NULLS LAST" if c.one_in(3) else name
    return index, f"{unique}INDEX %s{quoted(index.name)} ON {m.ref(relation, c)} ({what}){where}"


def create_index(m: Model, c: Choices) -> Sql:
    made = _indexed(m, c, kinds=("table", "partitioned", "materialized view"))
    return ["CREATE " + made[1] % ("IF NOT EXISTS " if c.one_in(3) else "")] if made else None


def create_index_concurrently(m: Model, c: Choices) -> Sql:
    if m.path != "public":
        return None
    made = _indexed(m, c, kinds=("table", "materialized view"))
    return ["CREATE " + made[1] % f"CONCURRENTLY {'IF NOT EXISTS ' if c.one_in(3) else ''}"] if made else None


def drop_index(m: Model, c: Choices) -> Sql:
    if not m.of("index"):
        return None
    index = c.pick(m.of("index"))
    m.drop(index)
    return [f"DROP INDEX {'IF EXISTS ' if c.one_in(3) else ''}{m.ref(index, c)}"]


def rename_index(m: Model, c: Choices) -> Sql:
    if not m.of("index"):
        return None
    index = c.pick(m.of("index"))
    old, index.name = m.ref(index, c), m.fresh(index.schema, c)
    return [f"ALTER INDEX {old} RENAME TO {quoted(index.name)}"]


def create_statistics(m: Model, c: Choices) -> Sql:
    tables = [r for r in m.relations("table") if len([x for x in r.columns if x.sort in ("int", "text")]) > 1]
    if not tables:
        return None
    table = c.pick(tables)
    columns = [col for col in table.columns if col.sort in ("int", "text")][:2]
    made = m.add(Thing("statistics", f"stats_{m.next()}", table.schema, owner=table, needs=set(columns)))
    names = ", ".join(quoted(col.name) for col in columns)
    return [f"CREATE STATISTICS {m.ref(made, c)} (ndistinct, dependencies) ON {names} FROM {m.ref(table, c)}"]
