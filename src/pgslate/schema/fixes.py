"""What to do about a difference: the statement that mends it, where there is one, or who makes it.

These are sentences for a reader, never run by pgslate: a schema changes by migrations.
"""

from __future__ import annotations

from .model import SchemaObject, Value
from .wording import column, quoted

_TABLE_WORDS = {
    "table": "TABLE",
    "foreign table": "FOREIGN TABLE",
    "view": "VIEW",
    "materialized view": "MATERIALIZED VIEW",
}
_TRIGGER_STATES = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def make(missing: SchemaObject) -> str:
    """How a missing object comes to be."""
    owner, name = missing.owner[1], part_name(missing)
    table = f"ALTER {_TABLE_WORDS.get(missing.owner[0], 'TABLE')} {owner}"
    definition = missing.get("definition")
    match missing.kind:
        case "table column" | "foreign table column":
            return f"{table} ADD COLUMN {name} {column(missing)};"
        case "table constraint":
            return f"{table} ADD CONSTRAINT {name} {definition};"
        case "domain constraint":
            return f"ALTER DOMAIN {owner} ADD CONSTRAINT {name} {definition};"
        case "index" | "trigger" | "statistics object" | "rule":
            return f"{str(definition).rstrip(';')};"
        case "policy":
            return _policy(missing)
        case "extension":
            return f"CREATE EXTENSION {missing.name};"
        case "schema":
            return f"CREATE SCHEMA {missing.name};"
        case "table" | "view" | "materialized view" | "foreign table":
            return f"pgslate apply {missing.name}"
    return f"pgslate apply makes {missing.kind} {missing.name} with the tables that need it"


def drop(stray: SchemaObject) -> str:
    """How an object that shouldn't be there goes, or is kept for good."""
    owner, name = stray.owner[1], part_name(stray)
    table = f"ALTER {_TABLE_WORDS.get(stray.owner[0], 'TABLE')} {owner}"
    match stray.kind:
        case "table column" | "foreign table column":
            statement = f"{table} DROP COLUMN {name};"
        case "table constraint":
            statement = f"{table} DROP CONSTRAINT {name};"
        case "domain constraint":
            statement = f"ALTER DOMAIN {owner} DROP CONSTRAINT {name};"
        case "index" if stray.get("constraint"):
            statement = f"{table} DROP CONSTRAINT {stray.get('constraint')};"
        case "index":
            statement = f"DROP INDEX {stray.name};"
        case "trigger" | "policy" | "rule":
            statement = f"DROP {stray.kind.upper()} {name} ON {owner};"
        case "statistics object":
            statement = f"DROP STATISTICS {stray.name};"
        case kind if kind.endswith(" column"):
            return f"undo what was set on column {stray.name}, or write a migration that sets it"
        case _:
            statement = f"DROP {stray.kind.upper()} {stray.name};"
    return f"{statement} or write a migration that makes it"


def change(expected: SchemaObject, attribute: str, found: Value) -> str:
    """How an attribute comes to be as expected."""
    value = expected.get(attribute)
    name, owner = part_name(expected), expected.owner[1]
    if attribute == "comment":
        return f"COMMENT ON {_commented(expected)} IS {quoted(str(value)) if value else 'NULL'};"
    if attribute == "owner":
        return f"ALTER {expected.kind.upper()} {expected.name} OWNER TO {value or '<the role that applies>'};"
    if attribute == "acl":
        return "; ".join(_rights(expected, value, found)) + ";"
    match expected.kind:
        case "table column" | "foreign table column":
            return _column(expected, attribute, f"ALTER TABLE {owner} ALTER COLUMN {name}")
        case "index" if attribute in ("invalid", "not_ready"):
            hint = " (first remove the duplicates)" if "UNIQUE" in str(expected.get("definition")) else ""
            return f"REINDEX INDEX CONCURRENTLY {expected.name};{hint}"
        case "index":
            return f"DROP INDEX {expected.name}; {make(expected)}"
        case "table constraint" if attribute == "not_valid" and not value:
            return f"ALTER TABLE {owner} VALIDATE CONSTRAINT {name};"
        case "domain constraint" if attribute == "not_valid" and not value:
            return f"ALTER DOMAIN {owner} VALIDATE CONSTRAINT {name};"
        case "table constraint" if attribute == "disabled":
            return f"ALTER TABLE {owner} ENABLE TRIGGER ALL; (of the table it references, too)"
        case "table constraint" if attribute == "definition":
            return f"ALTER TABLE {owner} DROP CONSTRAINT {name}; {make(expected)}"
        case "trigger" | "rule" if attribute == "enabled":
            state = _TRIGGER_STATES.get(str(value), "ENABLE")
            return f"ALTER TABLE {owner} {state} {expected.kind.upper()} {name};"
        case "trigger" | "rule" | "policy":
            return f"DROP {expected.kind.upper()} {name} ON {owner}; {make(expected)}"
        case "table":
            return _table(expected, attribute, value)
        case "view":
            return f"CREATE OR REPLACE VIEW {expected.name} AS{expected.get('definition')}"
        case "materialized view" if attribute == "unpopulated":
            return f"REFRESH MATERIALIZED VIEW {expected.name}{' WITH NO DATA' if value else ''};"
        case "function" | "procedure":
            return f"run the CREATE OR REPLACE {expected.kind.upper()} {expected.name} of its migration again"
        case "type" if attribute == "labels":
            return f"ALTER TYPE {expected.name} ADD VALUE or RENAME VALUE, until the labels are as expected"
    return f"ALTER {expected.kind.upper()} {expected.name}, or make it again as its migration does"


def part_name(each: SchemaObject) -> str:
    """A part's own name: of ``c on public.t`` it is ``c``, of ``public.t.a`` it is ``a``."""
    owner = each.owner[1]
    return each.name.removeprefix(f"{owner}.").removesuffix(f" on {owner}")


def _column(expected: SchemaObject, attribute: str, alter: str) -> str:
    value = expected.get(attribute)
    match attribute:
        case "type" | "collation":
            collate = f" COLLATE {expected.get('collation')}" if expected.get("collation") else ""
            return f"{alter} TYPE {expected.get('type')}{collate};"
        case "not_null":
            return f"{alter} {'SET' if value else 'DROP'} NOT NULL;"
        case "not_null_comment":
            return (
                f"COMMENT ON CONSTRAINT ... ON {expected.owner[1]} (that of NOT NULL) as its migration does"
            )
        case "default":
            return f"{alter} SET DEFAULT {value};" if value else f"{alter} DROP DEFAULT;"
        case "identity":
            return (
                f"{alter} ADD GENERATED {str(value).upper()} AS IDENTITY;"
                if value
                else f"{alter} DROP IDENTITY;"
            )
        case "generated" if not value:
            return f"{alter} DROP EXPRESSION;"
        case "storage" if value:
            return f"{alter} SET STORAGE {str(value).upper()};"
        case "storage":
            return f"{alter} SET STORAGE to what its type has"
        case "statistics":
            return f"{alter} SET STATISTICS {value or -1};"
        case "compression":
            return f"{alter} SET COMPRESSION {value or 'default'};"
        case "options" if isinstance(value, tuple):
            return f"{alter} SET ({', '.join(value)});"
    return f"{alter} ..., or make the column again as its migration does"


def _table(expected: SchemaObject, attribute: str, value: Value) -> str:
    alter = f"ALTER TABLE {expected.name}"
    match attribute:
        case "row_security":
            return f"{alter} {'ENABLE' if value else 'DISABLE'} ROW LEVEL SECURITY;"
        case "force_row_security":
            return f"{alter} {'FORCE' if value else 'NO FORCE'} ROW LEVEL SECURITY;"
        case "replica_identity" if value != "index":
            return f"{alter} REPLICA IDENTITY {str(value or 'default').upper()};"
        case "persistence":
            return f"{alter} SET {str(value or 'logged').upper()};"
        case "options" if isinstance(value, tuple):
            return f"{alter} SET ({', '.join(value)});"
        case "options":
            return f"{alter} RESET (...);"
        case "columns":
            return "nothing, where no statement relies on the order; else make the table again"
        case "partition_of" if value:
            return f"ALTER TABLE {value} ATTACH PARTITION {expected.name} {expected.get('bound')};"
        case "inherits" if isinstance(value, tuple):
            return f"{alter} INHERIT {', '.join(value)};"
        case "inherits":
            return f"{alter} NO INHERIT ...;"
        case "access_method":
            return f"{alter} SET ACCESS METHOD {value or 'heap'};"
        case "tablespace":
            return f"{alter} SET TABLESPACE {value or 'pg_default'};"
    return f"make table {expected.name} again as its migrations do"


def _policy(policy: SchemaObject) -> str:
    words = [f"CREATE POLICY {part_name(policy)} ON {policy.owner[1]}"]
    if policy.get("restrictive"):
        words.append("AS RESTRICTIVE")
    if command := policy.get("command"):
        words.append(f"FOR {str(command).upper()}")
    if isinstance(roles := policy.get("roles"), tuple):
        words.append(f"TO {', '.join(roles)}")
    if using := policy.get("using"):
        words.append(f"USING ({using})")
    if check := policy.get("check"):
        words.append(f"WITH CHECK ({check})")
    return " ".join(words) + ";"


def _commented(each: SchemaObject) -> str:
    """An object as COMMENT ON names it."""
    match each.kind:
        case "table constraint":
            return f"CONSTRAINT {part_name(each)} ON {each.owner[1]}"
        case "domain constraint":
            return f"CONSTRAINT {part_name(each)} ON DOMAIN {each.owner[1]}"
        case "trigger" | "policy" | "rule":
            return f"{each.kind.upper()} {part_name(each)} ON {each.owner[1]}"
        case "statistics object":
            return f"STATISTICS {each.name}"
        case kind if kind.endswith(" column"):
            return f"COLUMN {each.name}"
    return f"{each.kind.upper()} {each.name}"


def _rights(expected: SchemaObject, value: Value, found: Value) -> list[str]:
    """REVOKE and GRANT statements that lead from the rights found to those expected."""
    want, have = _single_rights(value), _single_rights(found)
    grants = {right[1:] for right in want - have if right[0] == "+"}
    grants |= {right[1:] for right in have - want if right[0] == "-"}
    revokes = {right[1:] for right in have - want if right[0] == "+"}
    revokes |= {right[1:] for right in want - have if right[0] == "-"}
    return [
        *(_grant(expected, "REVOKE {} {} FROM {}", *each) for each in _by_grantee(revokes)),
        *(_grant(expected, "GRANT {} {} TO {}", *each) for each in _by_grantee(grants)),
    ]


def _single_rights(acl: Value) -> set[tuple[str, str, str]]:
    """``("+", grantee, privilege)`` for each right of an ACL's lines."""
    lines = acl if isinstance(acl, tuple) else ()
    split = [(line[0], *line[1:].rpartition("=")) for line in lines]
    return {(sign, grantee, each) for sign, grantee, _, listed in split for each in listed.split(",")}


def _by_grantee(rights: set[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    grantees = sorted({grantee for grantee, _ in rights})
    return [(grantee, sorted(p for g, p in rights if g == grantee)) for grantee in grantees]


def _grant(each: SchemaObject, statement: str, grantee: str, privileges: list[str]) -> str:
    column = f" ({part_name(each)})" if each.kind.endswith(" column") else ""
    listed = ", ".join(privilege.rstrip("*") + column for privilege in privileges)
    role = "<its owner>" if grantee == "OWNER" else grantee
    option = " WITH GRANT OPTION" if any("*" in p for p in privileges) and "GRANT" in statement[:5] else ""
    return statement.format(listed, f"ON {_granted(each)}", role) + option


def _granted(each: SchemaObject) -> str:
    """An object as GRANT names it."""
    if each.kind.endswith(" column"):
        return each.owner[1]
    if each.kind in _TABLE_WORDS:
        return each.name
    return f"{each.kind.upper()} {each.name}"
