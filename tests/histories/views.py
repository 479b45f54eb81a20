"""Operations on views and materialized views, and on views over them."""

# ruff: noqa: S608  the SQL written here is the test itself

from __future__ import annotations

from tests.histories.model import Choices, Column, Model, Relation, quoted
from tests.histories.tables import Sql


def _select(m: Model, view: Relation) -> str:
    """The view's query, over the names that its tables and columns have now."""
    parts, sources = [], list(dict.fromkeys(relation for relation, _, _ in view.selects))
    alias = {relation: f"t{number}" for number, relation in enumerate(sources)}
    for relation, col, name in view.selects:
        parts.append(f"{alias[relation]}.{quoted(col.name)} AS {quoted(name)}")
    tables = " CROSS JOIN ".join(f"{m.ref(r)} {alias[r]}" for r in sources)
    return f"SELECT {', '.join(parts)} FROM {tables}"


def create_view(m: Model, c: Choices, *, kind: str = "view") -> Sql:
    sources = [r for r in m.relations("table", "partitioned", "view", "materialized view") if r.columns]
    if not sources:
        return None
    schema = c.pick(m.schemas)
    view = Relation(kind, m.fresh(schema, c), schema)
    tables = m.relations("table")
    first = c.pick(sources)
    second = [c.pick(tables)] if first.kind == "table" and c.one_in(2) else []
    for relation in dict.fromkeys([first, *second]):
        for col in dict.fromkeys([relation.key, c.pick(relation.columns)]):
            name = f"{col.name[:40]}{len(view.columns) or ''}"
            view.selects.append((relation, col, name))
            view.needs |= {relation, col}
            view.columns.append(Column("column", name, owner=view, sort=col.sort, needs=set(), type=col.type))
    view.origin = view.name
    m.add(view)
    return [f"CREATE {kind.upper()} {m.ref(view, c)} AS {_select(m, view)}"]


def create_materialized_view(m: Model, c: Choices) -> Sql:
    return create_view(m, c, kind="materialized view")


def refresh(m: Model, c: Choices) -> Sql:
    views = m.relations("materialized view")
    return [f"REFRESH MATERIALIZED VIEW {m.ref(c.pick(views), c)}"] if views else None


def replace_view(m: Model, c: Choices) -> Sql:
    views = [
        v
        for v in m.relations("view")
        if all(name == col.name for (_, _, name), col in zip(v.selects, v.columns, strict=True))
    ]
    if not views:
        return None
    view = c.pick(views)
    relation = view.selects[-1][0]
    col, name = c.pick(relation.columns), f"more{m.next()}"
    view.selects.append((relation, col, name))
    view.needs.add(col)
    view.columns.append(Column("column", name, owner=view, sort=col.sort, type=col.type))
    return [f"CREATE OR REPLACE VIEW {m.ref(view, c)} AS {_select(m, view)}"]


def drop_view(m: Model, c: Choices) -> Sql:
    views = [v for v in m.relations("view", "materialized view") if not m.blocked(v)]
    if not views:
        return None
    view = c.pick(views)
    cascade = " CASCADE" if m.leaning(view) else ""
    m.drop(view)
    return [f"DROP {view.kind.upper()} {m.ref(view, c)}{cascade}"]


def rename_view(m: Model, c: Choices) -> Sql:
    views = m.relations("view", "materialized view")
    if not views:
        return None
    view = c.pick(views)
    old, view.name = m.ref(view, c), m.fresh(view.schema, c)
    return [f"ALTER {view.kind.upper()} {old} RENAME TO {quoted(view.name)}"]
