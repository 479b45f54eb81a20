"""Makes one partition, in a transaction: quietly where nobody uses the table, by attaching where it is busy.

Both ways end in the same definitions. What a partition doesn't take over from its table by itself is copied:
owner, rights, replica identity, and that row security is on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from pgslate.errors import PartitionBlockedError
from pgslate.partitions.coverage import Survey, instant
from pgslate.partitions.existing import PartitionedTable, identity
from pgslate.partitions.policy import Planned

_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")


def raise_if_in_the_way(survey: Survey) -> None:
    """Raise PartitionBlockedError where partitions that stand overlap a window and don't cover it."""
    for each in survey.windows:
        if each.state == "blocked":
            window = each.planned.window
            raise PartitionBlockedError(
                f"{each.planned.name} would cover {window}, which {', '.join(each.by)} overlaps in part",
                fix=f"give {each.by[0]} the bounds of a {survey.policy.every}, or detach it: "
                f"ALTER TABLE {survey.table.qualified} DETACH PARTITION {each.by[0]};",
                partition=identity(survey.table.schema, each.planned.name),
                blockers=each.by,
            )


def make_partition(connection: psycopg.Connection[Any], table: PartitionedTable, planned: Planned) -> str:
    """Make a partition of a table that lacks it, and return its qualified name.

    Raises PartitionBlockedError where the name is taken or the DEFAULT partition has rows of the window, and
    psycopg's LockNotAvailable where the table's users don't let go of it.
    """
    _raise_if_taken(connection, table, planned.name)
    _raise_if_rows_in_default(connection, table, planned)
    lower, upper = (_bound(table, day) for day in (planned.window.start, planned.window.end))
    bound = sql.SQL("FOR VALUES FROM ({}) TO ({})").format(lower, upper)
    return _make(connection, table, planned.name, bound)


def make_default(connection: psycopg.Connection[Any], table: PartitionedTable, name: str) -> str:
    """Make the DEFAULT partition, and return its qualified name; raises what ``make_partition`` raises."""
    _raise_if_taken(connection, table, name)
    return _make(connection, table, name, sql.SQL("DEFAULT"))


def _make(
    connection: psycopg.Connection[Any], table: PartitionedTable, name: str, bound: sql.Composable
) -> str:
    parent = _parent(connection, table)
    own, whole = sql.Identifier(table.schema, name), sql.Identifier(table.schema, table.name)
    placed = sql.SQL("").join(
        sql.SQL(" {} {}").format(word, sql.Identifier(what))
        for word, what in (
            (sql.SQL("USING"), parent.access_method),
            (sql.SQL("TABLESPACE"), parent.tablespace),
        )
        if what
    )
    if _locked_if_quiet(connection, whole):
        connection.execute(sql.SQL("CREATE TABLE {} PARTITION OF {} {}{}").format(own, whole, bound, placed))
        _dress(connection, own, parent)
    else:
        # Comments, extended statistics and identity are not what PARTITION OF would copy. The new table is
        # empty, so that attaching it scans nothing, and no CHECK is needed to spare it the scan.
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING COMMENTS"
                " EXCLUDING STATISTICS){}"
            ).format(own, whole, placed)
        )
        _dress(connection, own, parent)
        connection.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(whole, own, bound))
    _copy_replica_identity(connection, own, parent)
    return identity(table.schema, name)


def _locked_if_quiet(connection: psycopg.Connection[Any], table: sql.Identifier) -> bool:
    """Lock the table, if nobody reads or writes it now, so that nobody has to wait; whether it is locked."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE NOWAIT").format(table))
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _bound(table: PartitionedTable, day: date) -> sql.Composable:
    """A day as a bound of the table's keys: midnight UTC, and the least of every other key."""
    midnight = {
        "date": day.isoformat(),
        "timestamp without time zone": f"{day.isoformat()} 00:00:00",
        "timestamp with time zone": f"{day.isoformat()} 00:00:00+00",
    }[table.key_type]
    return sql.SQL(", ").join([sql.Literal(midnight), *[sql.SQL("MINVALUE")] * (table.keys - 1)])


def _raise_if_taken(connection: psycopg.Connection[Any], table: PartitionedTable, name: str) -> None:
    row = connection.execute(
        """SELECT pg_get_expr(c.relpartbound, c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s""",
        [table.schema, name],
    ).fetchone()
    if row is None:
        return
    qualified = identity(table.schema, name)
    raise PartitionBlockedError(
        f"{qualified} can't be made a partition of {table.qualified}: there is something else of that name"
        + (f", a partition {row[0]}" if row[0] else ""),
        fix="rename it, drop it, or attach it: "
        f"ALTER TABLE {table.qualified} ATTACH PARTITION {qualified} ...;",
        partition=qualified,
        blockers=(qualified,),
    )


def _raise_if_rows_in_default(
    connection: psycopg.Connection[Any], table: PartitionedTable, planned: Planned
) -> None:
    default = table.default
    if default is None or not table.key:
        return
    lower, upper = instant(planned.window.start), instant(planned.window.end)
    naive = table.key_type != "timestamp with time zone"
    query = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {default} WHERE {key} >= %s AND {key} < %s LIMIT 100001) rows"
    ).format(default=sql.Identifier(default.schema, default.name), key=sql.Identifier(table.key))
    bounds = [each.replace(tzinfo=None) if naive else each for each in (lower, upper)]
    row = connection.execute(query, bounds).fetchone()
    if row and row[0]:
        count = f"{row[0]} rows" if row[0] <= 100_000 else "more than 100000 rows"
        raise PartitionBlockedError(
            f"{planned.name} can't be made: the DEFAULT partition {default.qualified} has {count} of"
            f" {planned.window}",
            fix=f"detach {default.qualified}, run pgslate partitions ensure, insert its rows into"
            f" {table.qualified}, truncate it and attach it again as DEFAULT",
            partition=identity(table.schema, planned.name),
            blockers=(default.qualified,),
        )


@dataclass(frozen=True, slots=True)
class _Parent:
    """What a partition doesn't take over from its table by itself."""

    owner: str
    owned: bool
    access_method: str | None
    tablespace: str | None
    row_security: bool
    force_row_security: bool
    replica_identity: str
    identity_index: int
    grants: list[list[str]]


_PARENT = """SELECT pg_get_userbyid(c.relowner)::text AS owner, c.relowner = r.oid AS owned,
    (SELECT amname::text FROM pg_am WHERE pg_am.oid = c.relam) AS access_method,
    (SELECT spcname::text FROM pg_tablespace t WHERE t.oid = c.reltablespace) AS tablespace,
    c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security,
    c.relreplident::text AS replica_identity,
    coalesce((SELECT indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident), 0)::bigint
        AS identity_index,
    coalesce((SELECT jsonb_agg(jsonb_build_array(
                  CASE g.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(g.grantee)::text END, g.privilege_type,
                  CASE WHEN g.is_grantable THEN 'yes' ELSE '' END, g.attname))
     FROM (SELECT '' AS attname, (aclexplode(c.relacl)).*
           UNION ALL SELECT a.attname::text, x.* FROM pg_attribute a, aclexplode(a.attacl) x
           WHERE a.attrelid = c.oid AND NOT a.attisdropped) g
     WHERE g.grantee <> c.relowner), '[]') AS grants
FROM pg_class c JOIN pg_roles r ON r.rolname = current_user
WHERE c.oid = %s::bigint::oid"""


def _parent(connection: psycopg.Connection[Any], table: PartitionedTable) -> _Parent:
    with connection.cursor(row_factory=class_row(_Parent)) as cursor:
        found = cursor.execute(_PARENT, [table.oid]).fetchone()
    if found is None:
        raise psycopg.errors.UndefinedTable(f"{table.qualified} was dropped meanwhile")
    return found


def _dress(connection: psycopg.Connection[Any], own: sql.Identifier, parent: _Parent) -> None:
    """Give a new partition its table's owner and rights, and row security where the table has it.

    Who may read the partition by itself would get around the table's policies; with row security on and no
    policy of its own it can be read through the table alone.
    """
    if not parent.owned:
        connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(own, sql.Identifier(parent.owner)))
    given = connection.execute(
        """SELECT DISTINCT CASE g.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(g.grantee)::text END
        FROM pg_class c, aclexplode(c.relacl) g WHERE c.oid = %s::regclass AND g.grantee <> c.relowner""",
        [own.as_string(connection)],
    ).fetchall()
    for (grantee,) in given:
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(own, _role(grantee)))
    for grantee, privilege, grantable, column in parent.grants:
        if privilege in _PRIVILEGES:
            connection.execute(
                sql.SQL("GRANT {}{} ON {} TO {}{}").format(
                    _privilege(privilege),
                    sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL(""),
                    own,
                    _role(grantee),
                    sql.SQL(" WITH GRANT OPTION" if grantable else ""),
                )
            )
    if parent.row_security:
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(own))
    if parent.force_row_security:
        connection.execute(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(own))


def _copy_replica_identity(connection: psycopg.Connection[Any], own: sql.Identifier, parent: _Parent) -> None:
    if parent.replica_identity in ("f", "n"):
        which: sql.Composable = sql.SQL("FULL" if parent.replica_identity == "f" else "NOTHING")
    elif parent.replica_identity == "i":
        row = connection.execute(
            """SELECT c.relname::text FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid
            JOIN pg_class c ON c.oid = i.indexrelid
            WHERE h.inhparent = %s::bigint::oid AND i.indrelid = %s::regclass""",
            [parent.identity_index, own.as_string(connection)],
        ).fetchone()
        if row is None:
            return
        which = sql.SQL("USING INDEX {}").format(sql.Identifier(row[0]))
    else:
        return
    connection.execute(sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(own, which))


def _role(name: str) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("PUBLIC")


def _privilege(name: str) -> sql.SQL:
    return {each: sql.SQL(each) for each in _PRIVILEGES}[name]
