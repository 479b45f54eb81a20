"""The command line with --kube: one target, several, and each contract in a namespace of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.kubernetes import manifests
from tests.kubernetes.conftest import TestCluster
from tests.kubernetes.standin.server import StandIn

from pgslate import cli
from pgslate.targets.kubernetes import service_target

SOURCE = Path(__file__).parents[2] / "src"

CONFIG = """\
catalog = "db"

[contracts.buyers]
tables = ["users"]

[contracts.sellers]
tables = ["shops"]
"""


@dataclass(frozen=True)
class Ran:
    """What a command line printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: TestCluster) -> Path:
    """A project of two contracts as the working directory, with the cluster under test as the current one."""
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "001_users.sql").write_text("CREATE TABLE users (id bigint PRIMARY KEY);\n")
    (tmp_path / "db" / "002_shops.sql").write_text("CREATE TABLE shops (id bigint PRIMARY KEY);\n")
    (tmp_path / "pgslate.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PG") and "PGSLATE_TEST" not in name]:
        monkeypatch.delenv(name)
    if cluster.kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    return tmp_path


@pytest.fixture
def run(project: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("plan", "users")`` is the command line ``pgslate plan users``, in the project."""

    def ran(*args: str) -> Ran:
        status = cli.main(args)
        return Ran(status, *capfd.readouterr())

    return ran


@pytest.fixture
def shops(cluster: TestCluster, namespace: str) -> str:
    """A namespace with a PostgreSQL for each contract, under the contract's name."""
    for name in ("buyers", "sellers"):
        cluster.apply(*manifests.postgres(namespace, name))
    return namespace


def tables(cluster: TestCluster, namespace: str, service: str) -> list[str]:
    """The tables in public, but for the ledger's."""
    with (
        service_target(namespace, service=service, kubeconfig=cluster.kubeconfig, environ={}) as target,
        target.connect() as connection,
    ):
        rows = connection.execute(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename IN ('users', 'shops') ORDER BY 1"
        )
        return [row[0] for row in rows]


# one


def test_every_verb_with_a_target_takes_one_in_a_cluster(run: Run, cluster: TestCluster, shops: str) -> None:
    there = ("--kube", f"{shops}/buyers")
    assert run("apply", "users", *there).status == 0
    assert run("verify", "users", *there).status == 0
    assert "1 migration applied, 0 pending, 1 left out" in run("status", *there).out
    assert run("plan", *there, "--format", "json").json["migrations"][0]["version"] == "002"
    assert run("reap", *there).out == "nothing to drop\n"
    assert tables(cluster, shops, "buyers") == ["users"]


def test_kubeconfig_context_user_and_database_are_said(
    run: Run, cluster: TestCluster, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cluster.standin is None:
        pytest.skip("names the stand-in's context")
    monkeypatch.delenv("KUBECONFIG")
    there = ("--kube", f"{postgres}/postgresql:5432", "--kubeconfig", str(cluster.kubeconfig))
    login = ("--context", "standin", "--user", "slm_user", "--database", "postgres", "--timeout", "20")
    assert "postgres as slm_user" in run("status", *there, *login).out
    ran = run("status", *there, "--context", "nowhere")
    assert (ran.status, "nowhere" in ran.err) == (3, True)


def test_a_wait_is_said_while_it_lasts(run: Run, cluster: TestCluster, namespace: str) -> None:
    cluster.apply(manifests.service(namespace, "postgresql"))
    ran = run("status", "--kube", namespace, "--timeout", "1")
    waiting, error, *_ = ran.err.splitlines()
    assert waiting == f"waiting for {namespace}/postgresql: no pods with app=postgresql yet"
    assert error == f"error: no pod of {namespace}/postgresql got ready within 1 s: no endpoints"


def test_verbose_says_where_the_login_is_from_and_never_the_password(run: Run, postgres: str) -> None:
    ran = run("status", "--kube", postgres, "--verbose")
    assert "found service postgresql, pods with app=postgresql" in ran.err
    assert "user 'slm_user' from" in ran.err
    assert "password from" in ran.err
    assert manifests.PASSWORD not in ran.out + ran.err


def test_a_contract_may_stand_for_its_namespace_in_any_verb(run: Run, shops: str) -> None:
    ran = run("plan", "--contract", "sellers", "--kube", f"{shops}/{{contract}}", "--format", "json")
    assert [each["version"] for each in ran.json["migrations"]] == ["002"]


# several


def test_each_contract_goes_where_its_name_leads(run: Run, cluster: TestCluster, shops: str) -> None:
    everywhere = ("--all-contracts", "--kube", f"{shops}/{{contract}}")
    ran = run("apply", *everywhere)
    assert ran.status == 0
    assert ran.out.splitlines()[-1] == "2 of 2 targets done"
    assert tables(cluster, shops, "buyers") == ["users"]
    assert tables(cluster, shops, "sellers") == ["shops"]
    for name in ("buyers", "sellers"):
        (line,) = [line for line in ran.err.splitlines() if line.startswith(f"{shops}/{name}: ")]
        assert ": done in " in line
    said = run("verify", *everywhere, "--at-once", "1", "--format", "json").json
    assert (said["ok"], [each["ok"] for each in said["targets"]]) == (True, [True, True])


def test_a_selection_goes_to_every_target_that_is_named(run: Run, cluster: TestCluster, shops: str) -> None:
    ran = run("apply", "users", "--kube", f"{shops}/buyers", "--kube", f"{shops}/sellers", "--format", "json")
    assert ran.status == 0
    assert [each["target"] for each in ran.json["targets"]] == [f"{shops}/buyers", f"{shops}/sellers"]
    assert [each["verified"] for each in ran.json["targets"]] == [True, True]
    assert tables(cluster, shops, "sellers") == ["users"]


def test_verify_says_which_of_several_differs_and_exits_1(run: Run, shops: str) -> None:
    run("apply", "users", "--kube", f"{shops}/buyers")
    both = ("verify", "users", "--kube", f"{shops}/buyers", "--kube", f"{shops}/sellers")
    ran = run(*both)
    assert ran.status == 1
    assert f"1 of 2 targets done, 1 failed\n  {shops}/sellers: 1 table missing: public.users\n" in ran.out
    assert "  table public.users\n    expected" in ran.out
    targets = run(*both, "--format", "json").json["targets"]
    assert [each["ok"] for each in targets] == [True, False]
    assert targets[1]["differences"][0]["object"] == "public.users"


def test_one_that_fails_stops_no_other_and_decides_the_status(
    run: Run, cluster: TestCluster, shops: str
) -> None:
    ran = run("apply", "users", "--kube", f"{shops}/lenders", "--kube", f"{shops}/buyers", "--format", "json")
    assert ran.status == 3
    assert [each.get("error") for each in ran.json["targets"]] == ["ServiceNotFoundError", None]
    assert f"{shops}/lenders: error: " in ran.err
    assert tables(cluster, shops, "buyers") == ["users"]


def test_verbose_gives_every_line_to_the_target_it_is_about(run: Run, shops: str) -> None:
    ran = run("apply", "--all-contracts", "--kube", f"{shops}/{{contract}}", "--verbose")
    assert f"{shops}/buyers: 001_users.sql: 1 statement" in ran.err
    assert f"{shops}/sellers: 002_shops.sql: 1 statement" in ran.err
    assert manifests.PASSWORD not in ran.out + ran.err


def test_an_interruption_ends_the_wait_for_all(project: Path, cluster: TestCluster, namespace: str) -> None:
    for name in ("one", "two"):  # services that no pod stands behind
        cluster.apply(manifests.service(namespace, name))
    where = [word for name in ("one", "two") for word in ("--kube", f"{namespace}/{name}")]
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "pgslate", "apply", "users", *where, "--verbose"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        waiting = 0
        while waiting < 2:
            waiting += "waiting for " in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert err.count("failed: interrupted") == 2


# forward


@pytest.fixture
def forwarded(project: Path, postgres: str, cluster: TestCluster) -> Iterator[subprocess.Popen[str]]:
    """``pgslate forward`` of the session's PostgreSQL, as a process that writes JSON."""
    command = [sys.executable, "-m", "pgslate", "forward", f"{postgres}/postgresql"]
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("signaled", [signal.SIGINT, signal.SIGTERM])
def test_forward_prints_its_address_and_stays_until_interrupted(
    forwarded: subprocess.Popen[str], signaled: signal.Signals
) -> None:
    assert forwarded.stdout
    host, _, port = forwarded.stdout.readline().strip().partition(":")
    with psycopg.connect(
        host=host, port=int(port), user="slm_user", password=manifests.PASSWORD, dbname="action_history"
    ) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)
    forwarded.send_signal(signaled)
    _, err = forwarded.communicate(timeout=20)
    assert (forwarded.returncode, err) == (0, "")


def test_forward_says_why_it_leads_nowhere(run: Run, namespace: str, faults: StandIn) -> None:
    ran = run("forward", f"{namespace}/postgresql", "--timeout", "1", "--format", "json")
    assert (ran.status, ran.json["error"]) == (3, "ServiceNotFoundError")
