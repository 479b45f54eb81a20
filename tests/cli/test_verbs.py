"""The verbs, run in a small project on a real server: what they print, to whom, and their exit status."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pgslate.targets.target import Target

from .conftest import Run


def test_plan_needs_no_target_and_says_what_is_left_out(project: Path, run: Run) -> None:
    ran = run("plan", "events")
    assert ran.status == 0
    assert "events: 2 of 3 migrations" in ran.out
    assert "001_users.sql" in ran.out.split("not run")[0]
    assert "002_teams.sql" in ran.out.split("not run")[1]


def test_numbered_files_that_are_left_out_are_named(project: Path, run: Run) -> None:
    (project / "db" / "old").mkdir()
    (project / "db" / "old" / "000_first.sql").write_text("SELECT 1;")
    assert "left out: old/000_first.sql" in run("plan", "users").err


def test_plan_as_json_is_what_programs_rely_on(project: Path, run: Run) -> None:
    said = run("plan", "events", "--format", "json").json
    assert said["tables"] == ["events"]
    assert said["form"] == "files"
    assert said["migrations"][0] == {
        "version": "001",
        "file": "001_users.sql",
        "statements": 1,
        "of": 1,
        "reasons": ["creates table public.users, needed by table public.events (constraint)"],
    }
    assert said["excluded"] == [
        {"version": "002", "file": "002_teams.sql", "reason": "only touches public.teams"}
    ]


def test_plan_against_a_target_leaves_out_what_is_applied(project: Path, run: Run, database: Target) -> None:
    run("apply", "users", "--dsn", database.dsn)
    said = run("plan", "events", "--dsn", database.dsn, "--format", "json").json
    assert [each["version"] for each in said["migrations"]] == ["003"]
    assert "applied at" in said["excluded"][0]["reason"]


def test_apply_applies_verifies_and_does_nothing_the_second_time(
    project: Path, run: Run, database: Target
) -> None:
    first = run("apply", "users", "--dsn", database.dsn)
    assert (first.status, "applied 1 migration" in first.out, "verified" in first.out) == (0, True, True)
    second = run("apply", "users", "--dsn", database.dsn)
    assert (second.status, "nothing to do" in second.out) == (0, True)


def test_apply_as_json_prints_one_document(project: Path, run: Run, database: Target) -> None:
    said = run("apply", "--bundle", "people", "--dsn", database.dsn, "--format", "json").json
    assert [each["file"] for each in said["applied"]] == ["001_users.sql", "002_teams.sql"]
    assert said["verified"] is True


def test_apply_makes_the_partitions_of_the_policy_and_those_asked_for(
    project: Path, run: Run, database: Target
) -> None:
    ran = run("apply", "events_y2031m07", "--as-of", "2030-01-31", "--dsn", database.dsn, "--format", "json")
    assert ran.json["partitions"] == [
        "public.events_y2030m01",
        "public.events_y2030m02",
        "public.events_y2031m07",
    ]


def test_a_migration_that_fails_says_where_and_exits_4(project: Path, run: Run, database: Target) -> None:
    run("plan", "users")  # traced before the file breaks: only applying meets it
    (project / "db" / "004_broken.sql").write_text(
        "CREATE TABLE x (i int);\nALTER TABLE nowhere ADD c int;\n"
    )
    ran = run("apply", "--dsn", database.dsn, "--format", "json")
    assert ran.status == 4
    assert ran.json["error"] == "MigrationFailedError"
    assert ran.json["place"].startswith("004_broken.sql:2:")
    assert "42P01" in ran.json["message"]
    assert ran.json["fix"]


def test_sql_that_does_not_parse_is_shown_with_a_caret(project: Path, run: Run) -> None:
    (project / "db" / "004_broken.sql").write_text("CREATE TABLE x (i int);\nCREATE TABEL y (i int);\n")
    ran = run("plan")
    assert ran.status == 2
    assert "004_broken.sql:2:8" in ran.err
    assert "    CREATE TABEL y (i int)" in ran.err
    assert "           ^" in ran.err


def test_verify_exits_1_and_says_what_to_do(project: Path, run: Run, database: Target) -> None:
    run("apply", "--dsn", database.dsn)
    with database.connect(autocommit=True) as connection:
        connection.execute("ALTER TABLE users ALTER COLUMN name DROP NOT NULL")
    ran = run("verify", "users", "--dsn", database.dsn, "--format", "json")
    assert ran.status == 1
    assert ran.json["ok"] is False
    assert ran.json["differences"][0]["object"] == "public.users.name"
    assert "SET NOT NULL" in ran.json["differences"][0]["fix"]
    assert run("verify", "teams", "--dsn", database.dsn).status == 0


def test_a_partitioned_table_that_was_dropped_is_told_so_before_partitions_are_made(
    project: Path, run: Run, database: Target
) -> None:
    run("apply", "events", "--dsn", database.dsn)
    with database.connect(autocommit=True) as connection:
        connection.execute("DROP TABLE events CASCADE")
    ran = run("apply", "events", "--dsn", database.dsn)
    assert (ran.status, "somebody dropped it since" in ran.err) == (1, True)


@pytest.mark.parametrize("verb", ["apply", "verify"])
def test_a_table_that_was_dropped_after_its_migration_is_told_so(
    project: Path, run: Run, database: Target, verb: str
) -> None:
    run("apply", "--dsn", database.dsn)
    with database.connect(autocommit=True) as connection:
        connection.execute("DROP TABLE teams")
    ran = run(verb, "teams", "--dsn", database.dsn)
    assert (ran.status, "table public.teams" in ran.out + ran.err) == (1, True)
    assert (
        "somebody dropped it since: make it again, from what `pgslate snapshot public.teams`"
        in ran.out + ran.err
    )


def test_verify_finds_a_file_that_was_edited_after_it_was_applied(
    project: Path, run: Run, database: Target
) -> None:
    run("apply", "--dsn", database.dsn)
    (project / "db" / "002_teams.sql").write_text("CREATE TABLE teams (id bigint NOT NULL PRIMARY KEY);\n")
    ran = run("verify", "users", "--dsn", database.dsn)
    assert ran.status == 1
    assert "--accept-edited 002_teams.sql" in ran.out


def test_an_edited_file_is_refused_until_it_is_accepted(project: Path, run: Run, database: Target) -> None:
    run("apply", "--dsn", database.dsn)
    (project / "db" / "002_teams.sql").write_text("CREATE TABLE teams (id bigint NOT NULL PRIMARY KEY);\n")
    refused = run("apply", "--dsn", database.dsn)
    assert (refused.status, "--accept-edited 002_teams.sql" in refused.err) == (4, True)
    assert run("apply", "--dsn", database.dsn, "--accept-edited", "002_teams.sql").status == 0
    assert run("apply", "--dsn", database.dsn).status == 0


def test_a_migration_that_other_means_applied_is_recorded_without_being_run(
    project: Path, run: Run, database: Target
) -> None:
    with database.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE teams (id bigint PRIMARY KEY)")
    ran = run("apply", "teams", "--dsn", database.dsn, "--assume-applied", "002_teams.sql")
    assert ran.status == 0
    said = run("status", "--dsn", database.dsn, "--format", "json").json
    assert [(each["version"], each["form"]) for each in said["applied"]] == [("002", "assumed")]


def test_status_shows_what_is_applied_pending_and_edited(project: Path, run: Run, database: Target) -> None:
    run("apply", "users", "--dsn", database.dsn)
    (project / "db" / "004_new.sql").write_text("CREATE TABLE fresh (i int);\n")
    said = run("status", "--dsn", database.dsn, "--format", "json").json
    assert [each["version"] for each in said["applied"]] == ["001"]
    assert [each["file"] for each in said["pending"]] == ["004_new.sql"]
    assert "1 migration applied, 1 pending, 2 left out" in run("status", "--dsn", database.dsn).out


def test_why_explains_a_table_with_file_and_line(project: Path, run: Run) -> None:
    ran = run("why", "events")
    assert "001_users.sql:1  CREATE TABLE users" in ran.out
    assert "needed by table events (constraint)" in ran.out


def test_why_explains_a_migration_by_its_tables_and_contracts(project: Path, run: Run) -> None:
    said = run("why", "001", "--format", "json").json
    assert [use["table"] for use in said["tables"]] == ["public.users", "public.events"]
    assert said["contracts"] == ["audit"]


def test_a_file_that_only_other_files_need_is_explained_by_them(tmp_path: Path, run: Run) -> None:
    files = {
        "1_ab.sql": "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int);",
        "2_b.sql": "ALTER TABLE b ADD COLUMN x int;",
        "3_c.sql": "CREATE TABLE c (id int REFERENCES a);\nALTER TABLE b ADD COLUMN y int;",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    said = run("plan", "c", "--catalog", str(tmp_path), "--format", "json").json
    because = "changes table public.b, used by 3_c.sql:2, which comes with its file"
    assert said["migrations"][1]["reasons"] == [because]
    assert because.replace("public.", "") in run("why", "c", "--catalog", str(tmp_path)).out


def test_why_without_a_name_lists_the_tables(project: Path, run: Run) -> None:
    said = run("why", "--format", "json").json
    assert {"table": "public.events", "kind": "table", "migrations": 2} in said["tables"]


def test_partitions_are_listed_and_ensured(project: Path, run: Run, database: Target) -> None:
    run("apply", "--as-of", "2030-01-01", "--dsn", database.dsn)
    later = ("--as-of", "2030-03-01", "--dsn", database.dsn, "--format", "json")
    listed = run("partitions", "list", *later)
    assert (listed.status, listed.json["ok"]) == (1, False)
    made = run("partitions", "ensure", *later)
    assert made.json["tables"][0]["made"] == ["public.events_y2030m03", "public.events_y2030m04"]
    assert run("partitions", "list", *later).status == 0


def test_a_table_without_a_policy_has_no_partitions_to_ensure(project: Path, run: Run) -> None:
    ran = run("partitions", "ensure", "evnts", "--dsn", "postgresql://127.0.0.1:1/x")
    assert (ran.status, "did you mean events?" in ran.err) == (2, True)


def test_a_server_that_is_not_there_exits_3_without_its_password(project: Path, run: Run) -> None:
    dsn = "postgresql://me:hush-hush@127.0.0.1:1/x"
    ran = run("apply", "--dsn", dsn, "--timeout", "0.1", "--format", "json")
    assert ran.status == 3
    assert ran.json["error"] == "ServerNotReadyError"
    assert "hush-hush" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["apply"], "no target"),
        (["plam"], "did you mean plan?"),
        (["plan", "usres"], "did you mean users?"),
        (["plan", "--frm", "files"], "did you mean --form"),
        (["plan", "--form", "tarball"], "not one of"),
        (["plan", "--timeout", "-1"], "no number of seconds"),
        (["plan", "--define", "novalue"], "is not NAME=VALUE"),
        (["plan", "--as-of", "yesterday"], "no day or moment"),
        (["plan", "--contract", "audti"], "did you mean audit?"),
        (["plan", "--catalog", "nowhere"], "nowhere"),
        (["plan", "--config", "nowhere.toml"], "nowhere.toml can't be read"),
        (["plan", "--context", "kind"], "--kube"),
        (["apply", "--embedded", "--dsn", "x"], "more than one target"),
    ],
)
def test_bad_input_exits_2_and_says_what_to_do(project: Path, run: Run, args: list[str], said: str) -> None:
    ran = run(*args)
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.startswith("error: ")
    assert "fix: " in ran.err
    assert "Traceback" not in ran.err
    assert run(*args, "--format", "json").json["fix"]


def test_help_lists_every_verb(run: Run) -> None:
    from pgslate.cli.commands import VERBS

    out = run("--help").out
    assert all(verb in out for verb, _, _ in VERBS)


def test_every_verb_has_help_of_its_own(run: Run) -> None:
    from pgslate.cli.commands import VERBS

    for verb, _, _ in VERBS:
        ran = run(verb, "--help")
        assert (ran.status, "Usage: pgslate" in ran.out) == (0, True)


def test_help_imports_nothing_slow() -> None:
    script = (
        "import sys\nfrom pgslate.cli import main\nmain(['--help'])\n"
        "slow = {'psycopg', 'rich', 'pgparse', 'asyncio', 'pgslate.catalog.catalog'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_embedded_apply_without_a_standing_server_is_thrown_away(project: Path, run: Run) -> None:
    ran = run("apply", "users", "--embedded")
    assert (ran.status, "throw-away" in ran.err) == (0, True)
    assert run("verify", "users", "--embedded").status == 3


def test_a_server_stays_up_grows_and_is_taken_down(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSLATE_STATE", str(project / "state"))
    first = run("up", "users", "--format", "json").json
    try:
        assert run("up", "users", "--quiet").out == first["dsn"] + "\n"
        grown = run("up", "events", "--format", "json").json
        assert (grown["dsn"], grown["started"]) == (first["dsn"], False)
        assert run("verify", "users", "events", "--embedded").status == 0
    finally:
        stopped = run("down", "--format", "json").json["stopped"]
    assert len(stopped) == 1
    assert run("down").out == "nothing was up\n"


@pytest.mark.parametrize("broken", ["db/0_latin.sql", "pgslate.toml", "db"])
def test_down_needs_neither_the_catalog_nor_the_configuration(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setenv("PGSLATE_STATE", str(project / "state"))
    try:
        assert run("up", "teams").status == 0
        if broken == "db":
            shutil.rmtree(project / "db")
        else:
            (project / broken).write_bytes(b"\xff = [")
        assert run("status", "--embedded").status == 2
        assert run("down").out.startswith("stopped ")
    finally:
        run("down", "--all")


def test_down_finds_the_server_of_a_catalog_that_is_gone(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSLATE_STATE", str(project / "state"))
    (project / "pgslate.toml").unlink()
    try:
        assert run("up", "teams", "--catalog", "db").status == 0
        shutil.rmtree(project / "db")
        assert run("down", "--catalog", "db").out.startswith("stopped ")
    finally:
        run("down", "--all")


@pytest.mark.parametrize(
    ("options", "stops"),
    [
        ((), "pgslate down"),
        (("--name", "x 1"), "pgslate down --name 'x 1'"),
        (("--catalog", "db"), "pgslate down --catalog db"),
    ],
)
def test_up_says_what_stops_just_this_server(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], stops: str
) -> None:
    monkeypatch.setenv("PGSLATE_STATE", str(project / "state"))
    try:
        said = run("up", "teams", *options).out
        assert said.endswith(f"; `{stops}` stops it\n")
        assert run(*shlex.split(stops)[1:]).out.startswith("stopped ")
    finally:
        run("down", "--all")


def test_the_second_up_begins_with_what_the_first_kept(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSLATE_STATE", str(project / "state"))
    monkeypatch.setenv("PGSLATE_CACHE", str(project / "cache"))
    for expected in (False, True):
        said = run("up", "teams", "--format", "json").json
        run("down")
        assert (said["started"], said["from_kept"]) == (True, expected)


def test_termination_is_an_interruption(project: Path, database: Target) -> None:
    with database.connect() as blocker:
        (project / "db" / "004_slow.sql").write_text("SELECT pg_advisory_xact_lock(42);\n")
        source = str(Path(__file__).parents[2] / "src")
        environ = {**os.environ, "PYTHONPATH": source}
        command = [sys.executable, "-m", "pgslate"]
        subprocess.run([*command, "plan"], env=environ, check=True, capture_output=True)
        blocker.execute("SELECT pg_advisory_xact_lock(42)")
        process = subprocess.Popen(
            [*command, "apply", "--dsn", database.dsn], env=environ, stderr=subprocess.PIPE, text=True
        )
        wait_until_blocked(database)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, "interrupted" in err, "Traceback" in err) == (130, True, False)


def wait_until_blocked(database: Target) -> None:
    """Until some session waits for an advisory lock."""
    with database.connect(autocommit=True) as connection:
        for _ in range(2000):
            row = connection.execute(
                "SELECT count(*) FROM pg_locks, pg_sleep(0.01) WHERE locktype = 'advisory' AND NOT granted"
            ).fetchone()
            if row and row[0]:
                return
    raise AssertionError("nobody waits")


def test_a_contracts_unknown_table_is_told_with_the_contract(project: Path, run: Run) -> None:
    with (project / "pgslate.toml").open("a") as config:
        config.write('\n[contracts.gateway]\ntables = ["events", "usres"]\n')
    said = run("plan", "--contract", "gateway").err
    assert said.startswith("error: contract gateway: no migration of ")
    assert "did you mean users?" in said


def test_a_long_list_of_what_is_not_run_is_cut_unless_all_is_asked_for(project: Path, run: Run) -> None:
    for number in range(4, 44):
        (project / "db" / f"{number:03}_more.sql").write_text(f"CREATE TABLE more_{number} (id int);")
    said = run("plan", "events").out
    assert "and 12 more, with --verbose" in said
    assert "043_more.sql" not in said
    assert "043_more.sql" in run("plan", "events", "-v").out
    assert len(run("plan", "events", "--format", "json").json["excluded"]) == 41
