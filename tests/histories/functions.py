"""Operations on functions and on triggers whose functions write to other tables."""

# ruff: noqa: S608  the SQL written here is the test itself

from __future__ import annotations

from tests.histories.model import Choices, Function, Model, Relation, Thing, quoted
from tests.histories.tables import Sql


def _function(m: Model, function: Function) -> str:
    """A trigger function; the keys it writes are negative, so that they never meet those of an INSERT."""
    assert function.log is not None
    log, key = m.ref(function.log), quoted(function.log.key.name)
    names, values = key, f"least(min({key}), 0) - 1"
    if function.column is not None:
        names, values = f"{key}, {quoted(function.column.name)}", f"{values}, TG_OP"
    return (
        f"CREATE OR REPLACE FUNCTION {m.ref(function)}() RETURNS trigger LANGUAGE plpgsql AS $fn$\n"
        f"BEGIN  -- version {function.version}\n"
        f"    INSERT INTO {log} ({names}) SELECT {values} FROM {log};\n    RETURN NULL;\nEND $fn$"
    )


def create_trigger(m: Model, c: Choices) -> Sql:
    """A function that writes to a table, and a trigger on another that calls it."""
    tables = [r for r in m.relations("table", "partitioned") if r.parent is None]
    logs = [r for r in m.relations("table") if _takes_a_bare_key(m, r)]
    pairs = [(t, log) for t in tables for log in logs if log.rank < t.rank]
    if not pairs:
        return None
    table, log = c.pick(pairs)
    schema = c.pick(m.schemas)
    function = Function("function", f"on_{m.next()}", schema, log=log)
    texts = [
        col
        for col in log.columns[1:]
        if col.type == "text" and col.owner is log and not any(col in t.needs for t in m.things)
    ]
    function.column = c.pick(texts) if texts else None
    m.add(function)
    trigger = m.add(Thing("trigger", f"trigger {m.next()}", owner=table, needs={function}))
    events = c.pick(("INSERT", "INSERT OR UPDATE", "DELETE", "INSERT OR UPDATE OR DELETE"))
    return [
        _function(m, function),
        f"CREATE TRIGGER {quoted(trigger.name)} AFTER {events} ON {m.ref(table, c)}"
        f" FOR EACH ROW EXECUTE FUNCTION {m.ref(function)}()",
    ]


def _takes_a_bare_key(m: Model, relation: Relation) -> bool:
    indexed = any(t.kind == "index" for t in m.of("index", relation))
    required = [col for col in relation.columns[1:] if col.not_null and not col.filled]
    return not indexed and not required and relation.parent is None


def replace_function(m: Model, c: Choices) -> Sql:
    functions = m.functions()
    if not functions:
        return None
    function = c.pick(functions)
    function.version += 1
    return [_function(m, function)]


def rename_logged_table(m: Model, c: Choices) -> Sql:
    """A table that a function's body names is renamed, and the function replaced."""
    tables = [r for r in m.relations("table") if m.loggers(r)]
    if not tables:
        return None
    table = c.pick(tables)
    old, table.name = m.ref(table, c), m.fresh(table.schema, c)
    return [f"ALTER TABLE {old} RENAME TO {quoted(table.name)}", *(_function(m, f) for f in m.loggers(table))]


def drop_trigger(m: Model, c: Choices) -> Sql:
    triggers = m.of("trigger")
    if not triggers:
        return None
    trigger = c.pick(triggers)
    assert trigger.owner is not None
    function = next(iter(trigger.needs))
    if c.one_in(2):
        m.drop(function)
        return [f"DROP FUNCTION {m.ref(function)} CASCADE"]
    m.drop(trigger)
    return [f"DROP TRIGGER {quoted(trigger.name)} ON {m.ref(trigger.owner, c)}"]


def create_routine(m: Model, c: Choices) -> Sql:
    schema = c.pick(m.schemas)
    routine = m.add(Thing("routine", f"f_{m.next()}", schema))
    body = c.pick(("RETURN abs(x)", "AS 'SELECT abs(x)'", "BEGIN ATOMIC SELECT abs(x); END"))
    return [f"CREATE FUNCTION {m.ref(routine, c)}(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE {body}"]
