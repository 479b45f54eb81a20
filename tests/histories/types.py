"""Operations on enums, domains and sequences."""

from __future__ import annotations

from tests.histories.model import Choices, Enum, Model, Thing, literal, quoted
from tests.histories.tables import Sql


def create_enum(m: Model, c: Choices) -> Sql:
    schema = c.pick(m.schemas)
    values = ["low", "High", "o'clock"][: 1 + c.number(3)]
    enum = m.add(Enum("enum", m.fresh(schema, c), schema, values=values))
    return [f"CREATE TYPE {m.ref(enum, c)} AS ENUM ({', '.join(map(literal, values))})"]


def grow_enum(m: Model, c: Choices) -> Sql:
    enums = [t for t in m.things if isinstance(t, Enum)]
    if not enums:
        return None
    enum = c.pick(enums)
    enum.added.append(f"value {m.next()}")
    place = f" BEFORE {literal(enum.values[0])}" if c.one_in(3) else ""
    return [f"ALTER TYPE {m.ref(enum, c)} ADD VALUE {literal(enum.added[-1])}{place}"]


def rename_value(m: Model, c: Choices) -> Sql:
    enums = [t for t in m.things if isinstance(t, Enum)]
    if not enums:
        return None
    enum = c.pick(enums)
    old, enum.values[0] = enum.values[0], f"renamed {m.next()}"
    return [f"ALTER TYPE {m.ref(enum, c)} RENAME VALUE {literal(old)} TO {literal(enum.values[0])}"]


def create_domain(m: Model, c: Choices) -> Sql:
    schema = c.pick(m.schemas)
    domain = m.add(Thing("domain", m.fresh(schema, c), schema))
    return [f"CREATE DOMAIN {m.ref(domain, c)} AS integer CHECK (VALUE >= 0)"]


def alter_domain(m: Model, c: Choices) -> Sql:
    if not m.of("domain"):
        return None
    domain = m.ref(c.pick(m.of("domain")), c)
    return [
        c.pick(
            (
                f"ALTER DOMAIN {domain} ADD CONSTRAINT d{m.next()} CHECK (VALUE > -1)",
                f"ALTER DOMAIN {domain} SET DEFAULT {m.next()}",
            )
        )
    ]


def rename_type(m: Model, c: Choices) -> Sql:
    types = [t for t in m.things if t.kind in ("enum", "domain")]
    if not types:
        return None
    type_ = c.pick(types)
    old, type_.name = m.ref(type_, c), m.fresh(type_.schema, c)
    return [f"ALTER {'TYPE' if type_.kind == 'enum' else 'DOMAIN'} {old} RENAME TO {quoted(type_.name)}"]


def drop_type(m: Model, c: Choices) -> Sql:
    types = [t for t in m.things if t.kind in ("enum", "domain") and not m.blocked(t)]
    if not types:
        return None
    type_ = c.pick(types)
    cascade = " CASCADE" if m.dependents(type_) else ""
    text = f"DROP {'TYPE' if type_.kind == 'enum' else 'DOMAIN'} {m.ref(type_, c)}{cascade}"
    m.drop(type_)
    return [text]


def create_sequence(m: Model, c: Choices) -> Sql:
    schema = c.pick(m.schemas)
    sequence = m.add(Thing("sequence", m.fresh(schema, c), schema))
    cycle = " CYCLE MAXVALUE 9999" if c.one_in(3) else ""
    made = f"CREATE SEQUENCE {m.ref(sequence, c)} START {100 + m.next()}{cycle}"
    tables = [r for r in m.relations("table") if r.schema == schema]
    if not tables or c.one_in(2):
        return [made]
    table = c.pick(tables)
    sequence.owner, sequence.needs = table, {table.key}
    return [made, f"ALTER SEQUENCE {m.ref(sequence, c)} OWNED BY {m.ref(table, c)}.{quoted(table.key.name)}"]


def alter_sequence(m: Model, c: Choices) -> Sql:
    if not m.of("sequence"):
        return None
    sequence = c.pick(m.of("sequence"))
    return [
        c.pick(
            (
                f"ALTER SEQUENCE {m.ref(sequence, c)} INCREMENT BY {1 + c.number(5)}",
                f"SELECT nextval({literal(m.ref(sequence))})",
                f"SELECT setval({literal(m.ref(sequence))}, {500 + m.next()})",
            )
        )
    ]
