"""What runs in a cluster: the library's Job, the plain manifests and the chart; all say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.kubernetes.conftest import TestCluster
from tests.kubernetes.helm import Chart, merged
from tests.kubernetes.test_kubectl import Kubectl, kubectl, needs_kubectl

from pgslate.cli.commands import root
from pgslate.errors import UsageError
from pgslate.targets.kubernetes.manifests import Database, init_container_manifest, job_manifest, to_yaml
from pgslate.targets.url import url_with

Json = dict[str, Any]

__all__ = ["kubectl"]  # the fixture

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "pgslate"
MANIFESTS = sorted((DEPLOY / "manifests").glob("*.yaml"))
LOGIN = Database(user="app")


def chart(**values: Any) -> Chart:
    """The chart, with the one value that it asks for."""
    return Chart(CHART, **merged({"database": {"user": "app"}}, values))


def objects(file: Path) -> list[Json]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def pod_of(manifest: Json) -> Json:
    pod = manifest["spec"]["template"]["spec"]
    assert isinstance(pod, dict)
    return pod


def env_of(pod: Json) -> dict[str, Json]:
    (container,) = pod["containers"]
    return {entry["name"]: entry for entry in container["env"]}


def test_the_job_applies_the_contract_with_nothing_but_libpqs_variables() -> None:
    job = job_manifest("gateway", namespace="test", database=LOGIN)
    (container,) = pod_of(job)["containers"]
    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == ("pgslate-gateway", "test")
    assert container["args"] == ["apply", "--contract", "gateway"]
    assert sorted(env_of(pod_of(job))) == ["PGHOST", "PGPASSWORD", "PGPORT", "PGUSER"]


def test_the_job_needs_no_cluster_dns_and_another_host_wins() -> None:
    env = env_of(pod_of(job_manifest("gateway", database=Database(service="orders-db", user="app"))))
    assert env["PGHOST"]["value"] == "$(ORDERS_DB_SERVICE_HOST)"
    elsewhere = Database(host="db.example.org", port=6432, user="app")
    env = env_of(pod_of(job_manifest("gateway", database=elsewhere)))
    assert (env["PGHOST"]["value"], env["PGPORT"]["value"]) == ("db.example.org", "6432")


def test_the_password_stays_in_its_secret_and_so_may_the_rest() -> None:
    database = Database(secret="orders-app", password_key="password", user_key="username", name_key="dbname")
    env = env_of(pod_of(job_manifest("gateway", database=database)))
    for variable, key in (("PGPASSWORD", "password"), ("PGUSER", "username"), ("PGDATABASE", "dbname")):
        assert env[variable]["valueFrom"]["secretKeyRef"] == {"name": "orders-app", "key": key}


def test_a_job_without_a_role_is_refused() -> None:
    with pytest.raises(UsageError, match="no role to log in as"):
        job_manifest("gateway", database=Database(name="orders"))


def test_the_chart_asks_for_the_role() -> None:
    with pytest.raises(ValueError, match=r"give database\.user"):
        Chart(CHART).render("apply.yaml")


def test_a_catalog_can_come_from_a_config_map() -> None:
    pod = pod_of(job_manifest("gateway", config_map="migrations", form="statements", database=LOGIN))
    assert pod["containers"][0]["args"][3:] == ["--catalog", "/catalog", "--form", "statements"]
    assert {"name": "catalog", "configMap": {"name": "migrations"}} in pod["volumes"]


def test_a_hook_says_when_helm_runs_it() -> None:
    job = job_manifest("gateway", hook="post-install,post-upgrade", database=LOGIN)
    annotations = job["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "post-install,post-upgrade"


def test_the_init_container_is_the_jobs() -> None:
    part = init_container_manifest("gateway", config_map="migrations", database=LOGIN)
    (container,) = part["initContainers"]
    assert (
        container == pod_of(job_manifest("gateway", config_map="migrations", database=LOGIN))["containers"][0]
    )
    assert [volume["name"] for volume in part["volumes"]] == ["tmp", "catalog"]


@pytest.mark.parametrize("contract", ["", "a b", "x" * 60, "../etc"])
def test_a_contract_whose_name_kubernetes_refuses_is_refused_here(contract: str) -> None:
    with pytest.raises(UsageError, match="can't be the name of a Job"):
        job_manifest(contract, database=LOGIN)


def test_the_committed_job_is_what_the_library_makes() -> None:
    written = (DEPLOY / "manifests" / "job.yaml").read_text()
    made = job_manifest("workflowexecution", database=Database(user="slm_user", name="action_history"))
    assert written.partition("apiVersion")[2] == to_yaml(made).partition("apiVersion")[2]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_every_pod_runs_without_rights_and_without_a_writable_root(file: Path) -> None:
    for manifest in objects(file):
        if "template" in manifest["spec" if "spec" in manifest else "metadata"]:
            check_pod(pod_of(manifest))


def test_an_image_that_was_loaded_onto_the_node_is_not_pulled() -> None:
    (container,) = pod_of(job_manifest("gateway", database=LOGIN))["containers"]
    assert container["imagePullPolicy"] == "IfNotPresent"


def check_pod(pod: Json) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in [*pod.get("containers", []), *pod.get("initContainers", [])]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["limits"]["memory"]
        assert container["imagePullPolicy"] == "IfNotPresent"


def test_the_role_is_just_what_the_library_asks_for() -> None:
    role, _ = objects(DEPLOY / "manifests" / "rbac.yaml")
    granted = {(verb, what) for rule in role["rules"] for what in rule["resources"] for verb in rule["verbs"]}
    assert granted == {
        ("get", "services"),
        ("list", "services"),
        ("get", "pods"),
        ("list", "pods"),
        ("watch", "pods"),
        ("get", "pods/portforward"),
        ("create", "pods/portforward"),
        ("list", "events"),
        ("get", "pods/log"),
        ("list", "endpointslices"),
        ("get", "secrets"),
    }


@needs_kubectl
@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_kubectl_takes_the_manifests(
    cluster: TestCluster, kubectl: Kubectl, namespace: str, file: Path
) -> None:
    check = ("apply", "--server-side", "--dry-run=server", "-n", namespace)
    validate = () if cluster.standin is None else ("--validate=false",)
    for manifest in objects(file):
        done = kubectl(*check, *validate, "-f", "-", stdin=yaml.safe_dump(manifest))
        assert f"{manifest['metadata']['name']} serverside-applied (server dry run)" in done


# the chart


def test_the_charts_job_is_the_librarys_but_for_its_name() -> None:
    (job,) = chart().render("apply.yaml")
    made = job_manifest("workflowexecution", hook="post-install,post-upgrade", database=LOGIN)
    assert job["metadata"]["name"] == "demo-workflowexecution"
    assert job["metadata"]["annotations"] == made["metadata"]["annotations"]
    ours, library = pod_of(job), pod_of(made)
    for pod in (ours, library):
        pod["containers"][0].pop("resources")
    assert ours == library
    assert {**job["spec"], "template": None} == {**made["spec"], "template": None}


def test_the_chart_makes_a_job_for_each_contract() -> None:
    ours = chart(apply={"contracts": ["gateway", "notification"], "hook": "", "form": "objects"})
    jobs = ours.render("apply.yaml")
    assert [job["metadata"]["name"] for job in jobs] == ["demo-gateway", "demo-notification"]
    assert "annotations" not in jobs[0]["metadata"]
    assert pod_of(jobs[0])["containers"][0]["args"][-2:] == ["--form", "objects"]


def test_the_charts_serve_has_replicas_behind_a_service() -> None:
    deployment, service = chart(serve={"enabled": True, "replicas": 3}).render("serve.yaml")
    assert deployment["spec"]["replicas"] == 3
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    check_pod(pod_of(deployment))


def test_the_charts_service_is_named_as_it_is_and_needs_no_cluster_dns() -> None:
    (job,) = chart(database={"service": "orders-db"}).render("apply.yaml")
    library = env_of(
        pod_of(job_manifest("workflowexecution", database=Database(service="orders-db", user="app")))
    )
    assert env_of(pod_of(job)) == library
    assert library["PGPORT"]["value"] == "$(ORDERS_DB_SERVICE_PORT)"


@pytest.mark.parametrize("host", ["", "db.example.org"])
def test_the_chart_lets_its_pods_out_to_the_database_only(host: str) -> None:
    (policy,) = chart(database={"host": host}).render("networkpolicy.yaml")
    database = policy["spec"]["egress"][0]
    expected = (
        {"ipBlock": {"cidr": "0.0.0.0/0"}}
        if host
        else {"podSelector": {"matchLabels": {"app": "postgresql"}}}
    )
    assert database == {"to": [expected], "ports": [{"protocol": "TCP", "port": 5432}]}


def test_the_charts_role_is_the_manifests_and_only_for_those_named() -> None:
    assert chart().render("rbac.yaml") == []
    role, binding = chart(users={"groups": ["team-a"]}).render("rbac.yaml")
    assert role["rules"] == objects(DEPLOY / "manifests" / "rbac.yaml")[0]["rules"]
    assert [subject["name"] for subject in binding["subjects"]] == ["team-a"]


def test_the_chart_makes_nothing_where_all_is_switched_off() -> None:
    ours = chart(apply={"enabled": False}, networkPolicy={"enabled": False})
    assert [ours.render(file.name) for file in sorted((CHART / "templates").glob("*.yaml"))] == [
        [],
        [],
        [],
        [],
    ]


# what the manifests say to pgslate is what it takes


def parsed(args: list[str]) -> dict[str, Any]:
    """The options of a container's arguments, as the command line reads them."""
    name, *rest = args
    command = root.get_command(click.Context(root), name)
    assert command
    return command.make_context(name, list(rest)).params


@pytest.mark.parametrize("of_chart", [False, True], ids=["manifest", "chart"])
def test_serve_is_started_as_it_wants_to_be(of_chart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment, *_ = (
        chart(serve={"enabled": True}).render("serve.yaml")
        if of_chart
        else objects(DEPLOY / "manifests" / "serve.yaml")
    )
    (container,) = pod_of(deployment)["containers"]
    assert "PGSLATE_TOKEN" in {entry["name"] for entry in container["env"]}
    monkeypatch.setenv("PGSLATE_TOKEN", "one")
    said = parsed(container["args"])
    assert (said["host"], said["port"], said["token"]) == ("0.0.0.0", 8432, "one")
    advertised = said["advertise"]
    for variable, value in (("PGHOST", "10.0.0.7"), ("PGPORT", "5432"), ("PGUSER", "slm_user")):
        advertised = advertised.replace(f"$({variable})", value)
    assert url_with(advertised, dbname="x") == "postgresql://slm_user@10.0.0.7:5432/x"


def test_the_jobs_arguments_are_those_of_apply() -> None:
    job = job_manifest("gateway", config_map="migrations", form="objects", database=LOGIN)
    (container,) = pod_of(job)["containers"]
    said = parsed(container["args"])
    assert (said["contract"], said["catalog"], said["form"]) == (("gateway",), "/catalog", "objects")
