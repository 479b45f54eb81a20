"""Operations on schemas, rights, policies, and what else stands around tables."""

# ruff: noqa: S608  the SQL written here is the test itself

from __future__ import annotations

from tests.histories.model import ROLES, Choices, Model, Thing, quoted
from tests.histories.tables import Sql


def create_schema(m: Model, c: Choices) -> Sql:
    free = [s for s in ("app", "App", "über uns") if s not in m.schemas]
    if not free:
        return None
    m.schemas.append(c.pick(free))
    return [f"CREATE SCHEMA {'IF NOT EXISTS ' if c.one_in(3) else ''}{quoted(m.schemas[-1])}"]


def drop_schema(m: Model, c: Choices) -> Sql:
    inside = {s: [t for t in m.things if t.schema == s] for s in m.schemas[1:] if s != m.path}
    free = [s for s, things in inside.items() if not m.blocked(*things)]
    if not free:
        return None
    schema = c.pick(free)
    m.drop(*inside[schema])
    m.schemas.remove(schema)
    return [f"DROP SCHEMA {quoted(schema)} CASCADE"]


def set_path(m: Model, c: Choices) -> Sql:
    m.path = c.pick(m.schemas)
    other = "" if m.path == "public" else ", public"
    return [f"SET {'LOCAL ' if c.one_in(3) else ''}search_path TO {quoted(m.path)}{other}"]


def grant(m: Model, c: Choices) -> Sql:
    things = m.relations("table", "partitioned", "view", "materialized view")
    if not things:
        return None
    thing, role = c.pick(things), quoted(c.pick(ROLES))
    right = c.pick(("SELECT", "INSERT, UPDATE", "ALL"))
    if c.one_in(4):
        return [f"REVOKE {right} ON {m.ref(thing, c)} FROM {role}"]
    columns = f" ({quoted(thing.key.name)})" if right == "SELECT" and c.one_in(4) else ""
    return [f"GRANT {right}{columns} ON {m.ref(thing, c)} TO {role}"]


def grant_schema(m: Model, c: Choices) -> Sql:
    schema, role = quoted(c.pick(m.schemas)), quoted(c.pick(ROLES))
    return [
        c.pick(
            (
                f"GRANT USAGE ON SCHEMA {schema} TO {role}",
                f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
            )
        )
    ]


def default_privileges(m: Model, c: Choices) -> Sql:
    schema, role = c.pick(m.schemas), quoted(c.pick(ROLES))
    default = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {quoted(schema)}"
    if c.one_in(3):
        return [f"{default} REVOKE SELECT ON TABLES FROM {role}"]
    return [f"{default} GRANT SELECT ON TABLES TO {role}"]


_NOTING = """CREATE OR REPLACE FUNCTION public.note_table() RETURNS event_trigger LANGUAGE plpgsql AS $note$
DECLARE made record;
BEGIN
    FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
        IF made.object_type = 'table' THEN
            EXECUTE format('COMMENT ON TABLE %s IS %L', made.object_identity, 'noted');
        END IF;
    END LOOP;
END $note$"""


def event_trigger(m: Model, c: Choices) -> Sql:
    """One that comments on every new table; made, switched off, or dropped."""
    there = m.of("event trigger")
    if not there:
        m.add(Thing("event trigger", "note_table"))
        return [
            _NOTING,
            "CREATE EVENT TRIGGER note_table ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
            " EXECUTE FUNCTION public.note_table()",
        ]
    if c.one_in(3):
        return [f"ALTER EVENT TRIGGER note_table {c.pick(('DISABLE', 'ENABLE'))}"]
    m.drop(*there)
    return ["DROP EVENT TRIGGER note_table"]


def policy(m: Model, c: Choices) -> Sql:
    tables = m.relations("table", "partitioned")
    if not tables:
        return None
    table = c.pick(tables)
    made = m.add(Thing("policy", f"policy {m.next()}", owner=table, needs={table.key}))
    test, others = f"{quoted(table.key.name)} > 0", [r for r in m.relations("table") if r is not table]
    if others and c.one_in(2):
        other = c.pick(others)
        made.needs |= {other, other.key}
        test = f"EXISTS (SELECT FROM {m.ref(other, c)} o WHERE o.{quoted(other.key.name)} > 0)"
    where = m.ref(table, c)
    return [
        f"ALTER TABLE {where} {c.pick(('ENABLE', 'FORCE'))} ROW LEVEL SECURITY",
        f"CREATE POLICY {quoted(made.name)} ON {where} FOR SELECT TO {quoted(c.pick(ROLES))} USING ({test})",
    ]


def drop_policy(m: Model, c: Choices) -> Sql:
    policies = m.of("policy")
    if not policies:
        return None
    chosen = c.pick(policies)
    assert chosen.owner is not None
    m.drop(chosen)
    return [f"DROP POLICY {quoted(chosen.name)} ON {m.ref(chosen.owner, c)}"]


def table_option(m: Model, c: Choices) -> Sql:
    tables = m.relations("table")
    if not tables:
        return None
    table = c.pick(tables)
    option = c.pick(("SET (fillfactor = 70)", "REPLICA IDENTITY FULL", "DISABLE ROW LEVEL SECURITY"))
    return [f"ALTER TABLE {m.ref(table, c)} {option}"]


def temporary_table(m: Model, c: Choices) -> Sql:
    """A table that the migration copies through, gone at its end."""
    tables = m.relations("table")
    if not tables:
        return None
    name = f"scratch_{m.next()}"
    return [
        f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT * FROM {m.ref(c.pick(tables), c)}",
        f"DELETE FROM {name}",
    ]
