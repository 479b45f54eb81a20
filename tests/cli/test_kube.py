"""`pgslate kube job`: what it prints, and what it refuses; and --kube where no cluster is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Run

ROOT = Path(__file__).parents[2]


def container_of(job: Any) -> Any:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


def test_the_job_of_the_manual_is_what_is_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "datastorage" / "src" / "datastorage")
    written = (ROOT / "deploy" / "manifests" / "job.yaml").read_text()
    login = ("--user", "slm_user", "--database", "action_history")
    assert run("kube", "job", "--contract", "workflowexecution", *login).out == written.partition("\n")[2]


def test_several_contracts_are_one_stream_or_one_list(project: Path, run: Run) -> None:
    (project / "pgslate.toml").write_text('[contracts.a]\ntables=["x"]\n[contracts.b]\ntables=["y"]\n')
    both = ("kube", "job", "--contract", "a", "--contract", "b", "--user", "app")
    names = ["pgslate-a", "pgslate-b"]
    assert [job["metadata"]["name"] for job in yaml.safe_load_all(run(*both).out)] == names
    said = run(*both, "--format", "json").json
    assert (said["kind"], [job["metadata"]["name"] for job in said["items"]]) == ("List", names)


def test_every_part_of_the_job_can_be_said(project: Path, run: Run) -> None:
    job = run(
        *("kube", "job", "--contract", "audit", "--namespace", "test", "--image", "registry/ours:1"),
        *("--form", "objects", "--config-map", "migrations", "--timeout", "90.5", "--format", "json"),
        *("--host", "db.example.org", "--port", "6432", "--secret", "app", "--password-key", "pw"),
        *("--user-key", "user", "--database", "orders"),
    ).json
    container = container_of(job)
    env = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}
    assert (job["metadata"]["namespace"], job["spec"]["activeDeadlineSeconds"]) == ("test", 91)
    assert container["image"] == "registry/ours:1"
    assert container["args"][3:] == ["--catalog", "/catalog", "--form", "objects"]
    assert (env["PGHOST"], env["PGPORT"], env["PGDATABASE"]) == ("db.example.org", "6432", "orders")
    assert env["PGUSER"]["secretKeyRef"] == {"name": "app", "key": "user"}
    assert env["PGPASSWORD"]["secretKeyRef"] == {"name": "app", "key": "pw"}


@pytest.mark.parametrize(
    ("args", "hook"),
    [
        (["--hook"], "post-install,post-upgrade"),
        (["--hook=pre-install,pre-upgrade"], "pre-install,pre-upgrade"),
    ],
)
def test_a_hook_is_after_the_install_unless_said(project: Path, run: Run, args: list[str], hook: str) -> None:
    job = run("kube", "job", "--contract", "audit", "--user", "app", "--format", "json", *args).json
    assert job["metadata"]["annotations"]["helm.sh/hook"] == hook


def test_the_init_container_is_a_part_to_merge(project: Path, run: Run) -> None:
    asked = ("--contract", "audit", "--user", "app", "--init-container", "--format", "json")
    part = run("kube", "job", *asked).json
    assert [each["args"] for each in part["initContainers"]] == [["apply", "--contract", "audit"]]
    assert [volume["name"] for volume in part["volumes"]] == ["tmp"]


def test_where_no_configuration_is_any_contract_may_be_meant(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("kube", "job", "--contract", "elsewhere", "--user", "app").status == 0


def test_a_job_without_a_database_leaves_it_to_libpq(project: Path, run: Run) -> None:
    container = container_of(
        run("kube", "job", "--contract", "audit", "--user", "app", "--format", "json").json
    )
    assert [entry["name"] for entry in container["env"]] == ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["kube", "job"], "--contract"),
        (["kube", "job", "--contract", "audit"], "give --user ROLE"),
        (["kube", "job", "--contract", "audti"], "did you mean audit?"),
        (["kube", "job", "--contract", "audit", "--init-container", "--hook"], "part of a pod"),
        (["kube", "job", "--contract", "audit", "--contract", "audit", "--init-container"], "takes one"),
        (["forward", "Not a name"], "names no service"),
        (["apply", "--kube", "a", "--kube", "a"], "named twice"),
        (["apply", "--kube", "a", "--kube", "b_c"], "names no service"),
        (["apply", "--kube", "a", "--kube", "b", "--dsn", "x"], "more than one target"),
        (["apply", "usres", "--kube", "a", "--kube", "b"], "did you mean users?"),
        (["verify", "--kube", "{contract}"], "no contract is named"),
        (["verify", "--contract", "audit", "--all-contracts", "--kube", "{contract}"], "contradict"),
        (["status", "--kube", "a", "--kube", "b"], "names several"),
        (["apply", "--kube", "a", "--at-once", "0"], "--at-once"),
    ],
)
def test_bad_input_exits_2_and_says_what_to_do(project: Path, run: Run, args: list[str], said: str) -> None:
    ran = run(*args)
    assert (ran.status, said in ran.err) == (2, True), ran.err
    assert "fix: " in ran.err
    assert "Traceback" not in ran.err


def test_all_contracts_are_the_tables_of_every_contract(project: Path, run: Run) -> None:
    with (project / "pgslate.toml").open("a") as file:
        file.write('\n[contracts.people]\ntables = ["teams"]\n')
    said = run("plan", "--all-contracts", "--format", "json").json
    assert said["tables"] == ["events", "teams"]


def test_all_contracts_where_there_are_none_is_an_error(project: Path, run: Run) -> None:
    (project / "pgslate.toml").write_text('catalog = "db"\n')
    ran = run("plan", "--all-contracts")
    assert (ran.status, "[contracts.NAME]" in ran.err) == (2, True)
