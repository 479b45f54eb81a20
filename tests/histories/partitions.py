"""Operations on partitions, which come and go, and on tables that inherit."""

from __future__ import annotations

from tests.histories.model import Choices, Column, Model, Relation, Thing, literal, quoted
from tests.histories.tables import Sql, declared
from tests.histories.tables import column as new_column


def create_partitioned(m: Model, c: Choices) -> Sql:
    schema = c.pick(m.schemas)
    table = Relation("partitioned", m.fresh(schema, c), schema, rank=m.next())
    table.origin = table.name
    key = Column("column", "id", owner=table, not_null=True, type="bigint")
    other = new_column(m, c, table, simple=True)
    table.columns = [key, other]
    m.add(table)
    lines = ["id bigint NOT NULL", declared(m, other, c)]
    if c.one_in(2):
        lines.append("PRIMARY KEY (id)")
        m.add(Thing("key", "", owner=table, needs={key}))
    return [f"CREATE TABLE {m.ref(table, c)} ({', '.join(lines)}) PARTITION BY RANGE (id)"]


def _new_partition(m: Model, c: Choices, parent: Relation) -> Relation:
    number = max([p.bounds[1] for p in m.children(parent) if p.bounds], default=10_000)
    schema = c.pick(m.schemas)
    part = Relation(
        "partition", m.fresh(schema, c), schema, owner=parent, parent=parent, bounds=(number, number + 10_000)
    )
    part.columns, part.origin = list(parent.columns), part.name
    return m.add(part)


def create_partition(m: Model, c: Choices) -> Sql:
    parents = m.relations("partitioned")
    if not parents:
        return None
    parent = c.pick(parents)
    part = _new_partition(m, c, parent)
    assert part.bounds is not None
    low, high = part.bounds
    where, bounds = m.ref(parent, c), f"FOR VALUES FROM ({low}) TO ({high})"
    match c.number(3):
        case 0:
            return [f"CREATE TABLE {m.ref(part, c)} PARTITION OF {where} {bounds}"]
        case 1:
            return [
                f"CREATE TABLE {m.ref(part, c)} (LIKE {where} INCLUDING {c.pick(('CONSTRAINTS', 'ALL'))})",
                f"ALTER TABLE {where} ATTACH PARTITION {m.ref(part, c)} {bounds}",
            ]
        case _:
            name, to, text = (
                literal(part.name),
                f"{quoted(part.schema)}.%I",
                f"FOR VALUES FROM ({low}) TO (%s)",
            )
            make = f"format('CREATE TABLE {to} PARTITION OF {_inner(where)} {text}'"
            body = f"BEGIN\n    EXECUTE {make}, {name}, high);\nEND"
            return [f"DO $do$\nDECLARE high bigint := {high};\n{body} $do$"]


def _inner(text: str) -> str:
    """The text as it stands inside format's string."""
    return text.replace("'", "''").replace("%", "%%")


def detach_partition(m: Model, c: Choices) -> Sql:
    referenced = {t for fk in m.of("fk") for t in fk.needs}
    parts = [
        p
        for p in m.relations("partition")
        if p.parent and p.parent not in referenced and not m.of("fk", p.parent)
    ]
    if not parts:
        return None
    part = c.pick(parts)
    assert part.parent is not None
    text = f"ALTER TABLE {m.ref(part.parent, c)} DETACH PARTITION {m.ref(part, c)}"
    keyed = bool(m.of("key", part.parent))
    copies = {
        col: Column(
            "column",
            col.name,
            owner=part,
            needs=set(col.needs),
            type=col.type,
            sort=col.sort,
            not_null=col.not_null,
        )
        for col in part.columns
    }
    part.kind, part.owner, part.parent, part.bounds, part.rank = "table", None, None, None, m.next()
    part.columns = list(copies.values())
    if keyed:
        m.add(Thing("key", "", owner=part, needs={part.key}))
    return [text]


def inherit(m: Model, c: Choices) -> Sql:
    parents = [r for r in m.relations("table") if r.parent is None]
    if not parents:
        return None
    parent, schema = c.pick(parents), c.pick(m.schemas)
    child = Relation("table", m.fresh(schema, c), schema, rank=m.next(), parent=parent, needs={parent})
    child.columns, child.origin = list(parent.columns), child.name
    m.add(child)
    return [f"CREATE TABLE {m.ref(child, c)} (extra{m.next()} integer) INHERITS ({m.ref(parent, c)})"]
