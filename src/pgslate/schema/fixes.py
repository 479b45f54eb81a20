"""What to do about a difference: SQL that can be run as it is, a command of pgslate, or else a sentence.

pgslate never runs a fix itself. No fix drops a table, a column or another object with data in it: where only
that would help, the fix is a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .acl import ident
from .identifiers import qualified
from .model import SchemaObject, Value
from .wording import column, quoted

_KIND_WORDS = {
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "statistics object": "STATISTICS",
    "table constraint": "CONSTRAINT",
}
"""What statements call a kind, where it isn't the kind's name in capitals."""

_TABLES = ("table", "foreign table", "view", "materialized view")
_STATES = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS", None: "ENABLE"}
_EVENT_STATES = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS", None: "ENABLE"}
_FIELD = re.compile(r'^("(?:[^"]|"")*"|\S+) ')
_HOLDS_ROWS = ("table", "materialized view", "sequence", "foreign table", "schema", "extension", "type")


def make(missing: SchemaObject, whole: SchemaObject | None = None) -> str:
    """How a missing object comes to be; ``whole`` is the object that it is a part of."""
    owner, name = missing.owner[1], part_name(missing)
    definition = missing.get("definition")
    if missing.get("inherited"):
        return f"make it on the parent of {owner}, or attach {owner} to its parent as its migration does"
    match missing.kind:
        case "table column" if whole is not None and whole.get("of_type"):
            return f"add it to type {whole.get('of_type')} again, as its migration does"
        case "table column" | "foreign table column":
            return f"{_alter(missing.owner)} ADD COLUMN {name} {column(missing)};"
        case "table constraint":
            not_valid = " NOT VALID" if missing.get("not_valid") else ""
            return f"ALTER TABLE {owner} ADD CONSTRAINT {name} {definition}{not_valid};"
        case "domain constraint":
            not_valid = " NOT VALID" if missing.get("not_valid") else ""
            return f"ALTER DOMAIN {owner} ADD CONSTRAINT {name} {definition}{not_valid};"
        case "index" if parent := missing.get("partition_of"):
            return f"{str(definition).rstrip(';')}; ALTER INDEX {parent} ATTACH PARTITION {missing.name};"
        case "index" | "statistics object":
            return f"{str(definition).rstrip(';')};"
        case "trigger" | "rule":
            made = f"{str(definition).rstrip(';')};"
            return f"{made} {_state(missing)}" if missing.get("enabled") else made
        case "policy":
            return _policy(missing)
        case "extension":
            return f"CREATE EXTENSION {missing.name} SCHEMA {missing.get('schema') or 'public'};"
        case "schema":
            return f"CREATE SCHEMA {missing.name};"
        case kind if kind in _TABLES:
            return f"pgslate apply {_argument(missing.name)}"
    return f"run `pgslate apply` for the tables that need {missing.kind} {missing.name}"


def rename(missing: SchemaObject, stray: SchemaObject) -> str:
    """How a part that somebody renamed gets its name back."""
    new = bare_name(missing)
    if missing.kind == "table constraint":
        return f"ALTER TABLE {stray.owner[1]} RENAME CONSTRAINT {part_name(stray)} TO {new};"
    return f"ALTER {_word(stray.kind)} {stray.name} RENAME TO {new};"


def bare_name(each: SchemaObject) -> str:
    """An object's name without its schema, quoted as SQL needs it."""
    return part_name(each) if " on " in each.name else ident(qualified(each.name)[1])


def drop(stray: SchemaObject) -> str:
    """What to do about an object that no migration makes."""
    owner, name = stray.owner[1], part_name(stray)
    if stray.get("inherited"):
        return f"see the parent of {owner}, from which it comes"
    keep = f"write a migration that makes it, or allow it: [verify] allow = [{_toml(stray.name)}]"
    match stray.kind:
        case "table column" | "foreign table column":
            return f"{keep} in pgslate.toml; to drop it loses what it holds"
        case "table constraint":
            statement = f"ALTER TABLE {owner} DROP CONSTRAINT {name};"
        case "domain constraint":
            statement = f"ALTER DOMAIN {owner} DROP CONSTRAINT {name};"
        case "index" if constraint := stray.get("constraint"):
            statement = f"ALTER TABLE {owner} DROP CONSTRAINT {constraint};"
        case "index" if stray.get("partition_of"):
            return f"see index {stray.get('partition_of')}, of which it is a part"
        case "index" | "statistics object":
            statement = f"DROP {_word(stray.kind)} {stray.name};"
        case "trigger" | "policy" | "rule":
            statement = f"DROP {stray.kind.upper()} {name} ON {owner};"
        case kind if kind.endswith(" column"):
            return f"undo what was set on column {stray.name}, or write a migration that sets it"
        case kind if kind in _HOLDS_ROWS:
            return f"{keep} in pgslate.toml"
        case "function" | "procedure" | "aggregate" | "view":
            statement = f"DROP {_word(stray.kind)} {stray.name};"
        case _:
            return f"{keep} in pgslate.toml"
    return f"{statement} -- or {keep}"


def change(expected: SchemaObject, found: SchemaObject, attribute: str, *, major: int = 0) -> str:
    """How an attribute of ``found`` comes to be as expected, on a server of this major (0: any)."""
    want, have = expected.get(attribute), found.get(attribute)
    owner, name = expected.owner[1], part_name(expected)
    match attribute:
        case "comment":
            return f"COMMENT ON {_commented(expected)} IS {quoted(str(want)) if want else 'NULL'};"
        case "owner":
            role = ident(str(want)) if want else "CURRENT_USER"
            return f"ALTER {_word(expected.kind)} {expected.name} OWNER TO {role};"
        case "acl" if expected.kind != "default acl":
            return "; ".join(_rights(expected, want, have)) + ";"
        case "inherited" | "local" | "owned_by" if expected.kind != "sequence":
            return f"make it again on {owner} and its parents as their migrations do"
    match expected.kind:
        case "table column" | "foreign table column" | "view column":
            fix = _column(expected, found, attribute, major)
        case "index":
            fix = _index(expected, attribute, want, have)
        case "table constraint" if attribute == "disabled":
            fix = _foreign_key_triggers(expected, "DISABLE" if want else "ENABLE")
        case "table constraint" | "domain constraint":
            fix = _constraint(expected, attribute, want)
        case "trigger" | "rule" if attribute == "enabled":
            fix = _state(expected)
        case "trigger" | "rule" | "policy" if not found.get("inherited"):
            fix = f"DROP {expected.kind.upper()} {name} ON {owner}; {make(expected)}"
        case "statistics object" if attribute == "statistics":
            fix = f"ALTER STATISTICS {expected.name} SET STATISTICS {want or -1};"
        case "statistics object":
            fix = f"DROP STATISTICS {expected.name}; {make(expected)}"
        case kind if kind in _TABLES:
            fix = _relation(expected, found, attribute)
        case "sequence":
            fix = _sequence(expected, attribute, want, major)
        case "function" | "procedure":
            fix = _routine(expected, attribute, want)
        case "type":
            fix = _type(expected, attribute, want, have)
        case "event trigger" if attribute == "enabled":
            state = _EVENT_STATES[want if isinstance(want, str) else None]
            fix = f"ALTER EVENT TRIGGER {expected.name} {state};"
        case "server" | "foreign-data wrapper" if attribute == "options":
            fix = f"ALTER {_word(expected.kind)} {expected.name} {_generic_options(want, have)};"
        case _:
            fix = ""
    return fix or f"make {expected.kind} {expected.name} again as its migration does"


def part_name(each: SchemaObject) -> str:
    """A part's own name: of ``c on public.t`` it is ``c``, of ``public.t.a`` it is ``a``."""
    owner = each.owner[1]
    return each.name.removeprefix(f"{owner}.").removesuffix(f" on {owner}")


def _word(kind: str) -> str:
    return _KIND_WORDS.get(kind, kind.upper())


def _alter(relation: tuple[str, str]) -> str:
    kind, name = relation
    return f"ALTER {kind.upper() if kind in _TABLES else 'TABLE'} {name}"


def _argument(name: str) -> str:
    """A name as an argument of a command in a shell."""
    return name if re.fullmatch(r"[\w.]+", name) else "'" + name.replace("'", "'\\''") + "'"


def _toml(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def _column(expected: SchemaObject, found: SchemaObject, attribute: str, major: int) -> str:
    want, have = expected.get(attribute), found.get(attribute)
    alter = f"{_alter(expected.owner)} ALTER COLUMN {part_name(expected)}"
    match attribute:
        case "type" | "collation":
            collate = f" COLLATE {expected.get('collation')}" if expected.get("collation") else ""
            return (
                "write a migration that changes the type, and look at the values first, since they may be"
                f" rounded or refused: {alter} TYPE {expected.get('type')}{collate}"
            )
        case "not_null" if expected.get("inherited") and not want:
            return ""
        case "not_null":
            return f"{alter} {'SET' if want else 'DROP'} NOT NULL;"
        case "default":
            return f"{alter} SET DEFAULT {want};" if want else f"{alter} DROP DEFAULT;"
        case "identity" if want and have:
            return f"{alter} SET GENERATED {str(want).upper()};"
        case "identity" if want:
            return f"{alter} ADD GENERATED {str(want).upper()} AS IDENTITY;"
        case "identity":
            return f"{alter} DROP IDENTITY;"
        case "generated" if want and have and major >= 17 and not expected.get("virtual"):
            return f"{alter} SET EXPRESSION AS ({want});"
        case "generated" if not want and not found.get("virtual"):
            return f"{alter} DROP EXPRESSION;"
        case "storage" if want:
            return f"{alter} SET STORAGE {str(want).upper()};"
        case "storage" if major >= 16:
            return f"{alter} SET STORAGE DEFAULT;"
        case "statistics":
            return f"{alter} SET STATISTICS {want or -1};"
        case "compression":
            return f"{alter} SET COMPRESSION {want or 'default'};"
        case "options":
            return _storage_options(alter, want, have)
        case "server_options":
            return f"{alter} {_generic_options(want, have)};"
    return ""


def _relation(expected: SchemaObject, found: SchemaObject, attribute: str) -> str:
    want, have = expected.get(attribute), found.get(attribute)
    name, alter = expected.name, _alter(expected.key)
    match attribute:
        case "row_security":
            return f"{alter} {'ENABLE' if want else 'DISABLE'} ROW LEVEL SECURITY;"
        case "force_row_security":
            return f"{alter} {'FORCE' if want else 'NO FORCE'} ROW LEVEL SECURITY;"
        case "replica_identity" if want != "index":
            return f"{alter} REPLICA IDENTITY {str(want or 'default').upper()};"
        case "replica_identity":
            return "see its index that should be the replica identity"
        case "persistence" if want in (None, "unlogged") and have != "temporary":
            return f"{alter} SET {str(want or 'logged').upper()};"
        case "options":
            return _storage_options(alter, want, have)
        case "server_options":
            return f"{alter} {_generic_options(want, have)};"
        case "columns" if expected.kind in ("table", "foreign table"):
            return "nothing, where no statement relies on the order; else make the table again"
        case "definition" if expected.kind == "view" and expected.get("columns") == found.get("columns"):
            return f"CREATE OR REPLACE VIEW {name} AS{want}"
        case "definition" | "columns":
            return f"make it again from what `pgslate snapshot {_argument(name)}` prints of it"
        case "unpopulated":
            return f"REFRESH MATERIALIZED VIEW {name}{' WITH NO DATA' if want else ''};"
        case "partition_of" if want and not have:
            return f"ALTER TABLE {want} ATTACH PARTITION {name} {expected.get('bound')};"
        case "partition_of" if have and not want:
            return f"ALTER TABLE {have} DETACH PARTITION {name};"
        case "bound" if want and have and (parent := found.get("partition_of")):
            detach = f"ALTER TABLE {parent} DETACH PARTITION {name};"
            return f"{detach} ALTER TABLE {parent} ATTACH PARTITION {name} {want};"
        case "bound":
            return f"see what {name} is a partition of"
        case "detaching" if have and (parent := found.get("partition_of")):
            finish = f"ALTER TABLE {parent} DETACH PARTITION {name} FINALIZE;"
            return f"{finish} ALTER TABLE {parent} ATTACH PARTITION {name} {found.get('bound')};"
        case "inherits":
            wanted, held = _texts(want), _texts(have)
            added = [f"{alter} INHERIT {each};" for each in wanted if each not in held]
            return " ".join(added + [f"{alter} NO INHERIT {each};" for each in held if each not in wanted])
        case "of_type":
            return f"{alter} OF {want};" if want else f"{alter} NOT OF;"
        case "access_method" if want or have:
            return f"{alter} SET ACCESS METHOD {want or 'heap'};"
        case "tablespace":
            return f"{alter} SET TABLESPACE {ident(str(want or 'pg_default'))};"
    return ""


def _index(expected: SchemaObject, attribute: str, want: Value, have: Value) -> str:
    name, table = expected.name, expected.owner[1]
    match attribute:
        case "invalid" | "not_ready":
            hint = " -- first remove the duplicates" if "UNIQUE" in str(expected.get("definition")) else ""
            return f"REINDEX INDEX CONCURRENTLY {name};{hint}"
        case "replica_identity":
            identity = f"USING INDEX {ident(qualified(name)[1])}" if want else "DEFAULT"
            return f"ALTER TABLE {table} REPLICA IDENTITY {identity};"
        case "clustered":
            return f"ALTER TABLE {table} " + (
                f"CLUSTER ON {ident(qualified(name)[1])};" if want else "SET WITHOUT CLUSTER;"
            )
        case "tablespace":
            return f"ALTER INDEX {name} SET TABLESPACE {ident(str(want or 'pg_default'))};"
        case "statistics":
            wanted = dict(each.split("=") for each in _texts(want))
            held = dict(each.split("=") for each in _texts(have))
            return " ".join(
                f"ALTER INDEX {name} ALTER COLUMN {number} SET STATISTICS {wanted.get(number, '-1')};"
                for number in sorted({*wanted, *held})
                if wanted.get(number) != held.get(number)
            )
        case "partition_of" if want and not have:
            return f"ALTER INDEX {want} ATTACH PARTITION {name};"
        case "definition" if not expected.get("constraint") and not expected.get("partition_of"):
            return f"DROP INDEX {name}; {make(expected)}"
    return ""


def _constraint(expected: SchemaObject, attribute: str, want: Value) -> str:
    name, owner = part_name(expected), expected.owner[1]
    alter = f"ALTER {'DOMAIN' if expected.kind == 'domain constraint' else 'TABLE'} {owner}"
    if attribute == "not_valid":
        return f"{alter} VALIDATE CONSTRAINT {name};" if not want else "nothing: it was validated since"
    if attribute == "definition" and not expected.get("inherited"):
        return f"{alter} DROP CONSTRAINT {name}; {make(expected)}"
    return ""


def _foreign_key_triggers(expected: SchemaObject, verb: str) -> str:
    """A foreign key is enforced by triggers of both tables."""
    referenced = re.search(r"REFERENCES (.+?)\(", str(expected.get("definition")))
    tables = dict.fromkeys((expected.owner[1], *((referenced[1],) if referenced else ())))
    return " ".join(f"ALTER TABLE {table} {verb} TRIGGER ALL;" for table in tables)


def _state(expected: SchemaObject) -> str:
    enabled = expected.get("enabled")
    state = _STATES[enabled if isinstance(enabled, str) else None]
    return f"ALTER TABLE {expected.owner[1]} {state} {expected.kind.upper()} {part_name(expected)};"


def _sequence(expected: SchemaObject, attribute: str, want: Value, major: int) -> str:
    alter = f"ALTER SEQUENCE {expected.name}"
    down = str(expected.get("increment") or "1").startswith("-")
    match attribute:
        case "type":
            return f"{alter} AS {want or 'bigint'};"
        case "increment":
            return f"{alter} INCREMENT BY {want or 1};"
        case "minimum":
            return f"{alter} MINVALUE {want};" if want else f"{alter} NO MINVALUE;"
        case "maximum":
            return f"{alter} MAXVALUE {want};" if want else f"{alter} NO MAXVALUE;"
        case "start":
            first = want or expected.get("maximum" if down else "minimum") or ("-1" if down else "1")
            return f"{alter} START WITH {first};"
        case "cache":
            return f"{alter} CACHE {want or 1};"
        case "cycle":
            return f"{alter} {'CYCLE' if want else 'NO CYCLE'};"
        case "owned_by" if not expected.get("identity"):
            return f"{alter} OWNED BY {want or 'NONE'};"
        case "persistence" if major >= 15:
            return f"{alter} SET {str(want or 'logged').upper()};"
    return ""


def _routine(expected: SchemaObject, attribute: str, want: Value) -> str:
    words = {
        "volatility": str(want or "volatile").upper(),
        "parallel": f"PARALLEL {str(want or 'unsafe').upper()}",
        "strict": "STRICT" if want else "CALLED ON NULL INPUT",
        "leakproof": "LEAKPROOF" if want else "NOT LEAKPROOF",
        "security_definer": f"SECURITY {'DEFINER' if want else 'INVOKER'}",
        "cost": f"COST {want or (1 if expected.get('language') in ('internal', 'c') else 100)}",
        "rows": f"ROWS {want or 1000}",
    }
    if attribute in words:
        return f"ALTER {expected.kind.upper()} {expected.name} {words[attribute]};"
    if expected.kind == "function":
        return f"run the CREATE OR REPLACE FUNCTION of its migration again, for {expected.name}"
    return ""


def _type(expected: SchemaObject, attribute: str, want: Value, have: Value) -> str:
    domain = f"ALTER DOMAIN {expected.name}"
    match attribute:
        case "labels":
            return _labels(expected.name, _texts(want), _texts(have))
        case "fields":
            return _fields(expected.name, _texts(want), _texts(have))
        case "default" if expected.get("form") == "domain":
            return f"{domain} SET DEFAULT {want};" if want else f"{domain} DROP DEFAULT;"
        case "not_null":
            return f"{domain} {'SET' if want else 'DROP'} NOT NULL;"
    return ""


def _fields(name: str, want: Sequence[str], have: Sequence[str]) -> str:
    """RENAME ATTRIBUTE, where one field of a composite type is called otherwise, and nothing else differs."""
    changed = [(was, now) for was, now in zip(have, want, strict=False) if was != now]
    if len(want) != len(have) or len(changed) != 1:
        return ""
    (was, was_type), (now, now_type) = (_FIELD.split(each, maxsplit=1)[1:] for each in changed[0])
    return f"ALTER TYPE {name} RENAME ATTRIBUTE {was} TO {now} CASCADE;" if was_type == now_type else ""


def _labels(name: str, want: Sequence[str], have: Sequence[str]) -> str:
    """ADD VALUE for each label that is missing, where those that are there stand in the right order."""
    changed = [(was, now) for was, now in zip(have, want, strict=False) if was != now]
    if len(want) == len(have) and len(changed) == 1:
        return f"ALTER TYPE {name} RENAME VALUE {quoted(changed[0][0])} TO {quoted(changed[0][1])};"
    if [label for label in want if label in have] != list(have):
        return "rename or add values, until the labels are as expected; none of them can be dropped"
    added = []
    for number, label in enumerate(want):
        if label not in have:
            place = (
                f"AFTER {quoted(want[number - 1])}" if number else f"BEFORE {quoted(have[0])}" if have else ""
            )
            added.append(f"ALTER TYPE {name} ADD VALUE {quoted(label)} {place}".rstrip() + ";")
    return " ".join(added)


def _texts(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _options(value: Value) -> dict[str, str]:
    split = (each.partition("=") for each in _texts(value))
    return {name: text for name, _, text in split}


def _storage_options(alter: str, want: Value, have: Value) -> str:
    """SET and RESET for options as a relation or a column has them."""
    wanted, held = _options(want), _options(have)
    given = [f"{name} = {quoted(text)}" for name, text in wanted.items() if held.get(name) != text]
    gone = [name for name in held if name not in wanted]
    statements = [f"{alter} SET ({', '.join(given)});"] if given else []
    return " ".join([*statements, *([f"{alter} RESET ({', '.join(gone)});"] if gone else [])])


def _generic_options(want: Value, have: Value) -> str:
    """OPTIONS (...) for options as foreign-data objects have them."""
    wanted, held = _options(want), _options(have)
    changes = [
        f"{'SET' if name in held else 'ADD'} {ident(name)} {quoted(text)}"
        for name, text in wanted.items()
        if held.get(name) != text
    ]
    changes += [f"DROP {ident(name)}" for name in held if name not in wanted]
    return f"OPTIONS ({', '.join(changes)})"


def _policy(policy: SchemaObject) -> str:
    words = [f"CREATE POLICY {part_name(policy)} ON {policy.owner[1]}"]
    if policy.get("restrictive"):
        words.append("AS RESTRICTIVE")
    if command := policy.get("command"):
        words.append(f"FOR {str(command).upper()}")
    if roles := _texts(policy.get("roles")):
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
        case kind if kind.endswith(" column"):
            return f"COLUMN {each.name}"
        case "cast":
            return f"CAST {each.name}"
    return f"{_word(each.kind)} {each.name}"


def _rights(expected: SchemaObject, want: Value, have: Value) -> list[str]:
    """REVOKE and GRANT statements that lead from the rights found to those expected."""
    wanted, held = _single_rights(want), _single_rights(have)
    grants = {right[1:] for right in wanted - held if right[0] == "+"}
    grants |= {right[1:] for right in held - wanted if right[0] == "-"}
    revokes = {right[1:] for right in held - wanted if right[0] == "+"}
    revokes |= {right[1:] for right in wanted - held if right[0] == "-"}
    return [
        *(_grant(expected, "REVOKE {} ON {} FROM {}", *each) for each in _by_grantee(revokes)),
        *(_grant(expected, "GRANT {} ON {} TO {}", *each) for each in _by_grantee(grants)),
    ]


def _single_rights(acl: Value) -> set[tuple[str, str, str]]:
    """``("+", grantee, privilege)`` for each right of an ACL's lines."""
    split = [(line[0], *line[1:].rpartition("=")) for line in _texts(acl)]
    return {(sign, grantee, each) for sign, grantee, _, listed in split for each in listed.split(",")}


def _by_grantee(rights: Iterable[tuple[str, str]]) -> list[tuple[str, bool, list[str]]]:
    """The privileges by grantee, and by whether they come with the option to grant them."""
    found: dict[tuple[str, bool], list[str]] = {}
    for grantee, privilege in sorted(rights):
        found.setdefault((grantee, privilege.endswith("*")), []).append(privilege.rstrip("*"))
    return [(grantee, option, privileges) for (grantee, option), privileges in found.items()]


def _grant(each: SchemaObject, statement: str, grantee: str, option: bool, privileges: list[str]) -> str:
    columns = f" ({part_name(each)})" if each.kind.endswith(" column") else ""
    owner = each.get("owner")
    if grantee == "OWNER":
        grantee = ident(str(owner)) if owner else "CURRENT_USER"
    grant = statement.format(", ".join(p + columns for p in privileges), _granted(each), grantee)
    return grant + (" WITH GRANT OPTION" if option and grant.startswith("GRANT") else "")


def _granted(each: SchemaObject) -> str:
    """An object as GRANT names it."""
    if each.kind.endswith(" column"):
        return each.owner[1]
    if each.kind in _TABLES:
        return each.name
    if each.kind == "aggregate":
        return f"FUNCTION {each.name}"
    if each.kind == "server":
        return f"FOREIGN SERVER {each.name}"
    return f"{_word(each.kind)} {each.name}"
