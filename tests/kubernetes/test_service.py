"""PostgreSQL in a namespace as a target: it is found, and logged in to."""

from __future__ import annotations

import base64
import selectors
from contextlib import closing

import pytest
from tests.kubernetes import manifests
from tests.kubernetes.conftest import TestCluster
from tests.kubernetes.standin.server import StandIn

from pgslate.errors import PrivilegeError, ServiceNotFoundError, TargetError, UsageError
from pgslate.targets.kubernetes import service_target, split_address
from pgslate.targets.kubernetes.discovery import find_backend
from pgslate.targets.target import Target


def test_a_namespace_is_all_that_has_to_be_said(target: Target) -> None:
    with target.connect() as connection:
        row = connection.execute("SELECT current_user, current_database()").fetchone()
    assert row == ("slm_user", "action_history")


def test_the_label_says_where_and_holds_no_password(target: Target, postgres: str) -> None:
    assert target.label == f"kubernetes {postgres}/postgresql, database action_history as slm_user"
    assert manifests.PASSWORD not in repr(target)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("test", ("test", None)),
        ("test/postgresql", ("test", "postgresql")),
        ("test/db:5432", ("test", "db:5432")),
        ("test/db:pg", ("test", "db:pg")),
    ],
)
def test_an_address_is_a_namespace_and_perhaps_a_service(address: str, parts: tuple[str, str | None]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize("address", ["", "/db", "test/", "test/db:", "Test", "a b", "postgresql://host/db"])
def test_what_is_no_address_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        split_address(address)
    assert "NAMESPACE/SERVICE" in caught.value.fix


def test_the_connection_that_proved_the_server_is_the_first_one_given_out(
    cluster: TestCluster, postgres: str
) -> None:
    with service_target(postgres, api=cluster.api, environ={}, patience=cluster.patience) as target:
        opened = target._opened  # type: ignore[attr-defined]  # what it is about
        with closing(target.connect(autocommit=True)) as first, closing(target.connect()) as second:
            assert first is opened
            assert first.autocommit
            assert second.info.backend_pid != first.info.backend_pid


def test_a_first_connection_that_broke_is_not_given_out(
    cluster: TestCluster, postgres: str, faults: StandIn
) -> None:
    with service_target(postgres, api=cluster.api, environ={}, patience=cluster.patience) as target:
        opened = target._opened  # type: ignore[attr-defined]  # what is to break
        for websocket in list(faults.forwards):
            websocket.sock.reset()
        with selectors.PollSelector() as selector:
            selector.register(opened.fileno(), selectors.EVENT_READ)
            assert selector.select(5)
        with closing(target.connect()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_needs_more_said_before_is_a_new_one(cluster: TestCluster, postgres: str) -> None:
    with (
        service_target(postgres, api=cluster.api, environ={}, patience=cluster.patience) as target,
        closing(target.connect(options="-c statement_timeout=1234")) as connection,
    ):
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1234ms",)


# finding


def finds(cluster: TestCluster, namespace: str, service: str | None = None) -> tuple[str, str, int | str]:
    backend = find_backend(cluster.api, namespace, service)
    return backend.service, backend.selector, backend.port


def test_a_port_may_be_given_by_name_or_number(cluster: TestCluster, postgres: str) -> None:
    wanted = ("postgresql", "app=postgresql", "postgresql")
    assert finds(cluster, postgres, "postgresql") == wanted
    assert finds(cluster, postgres, "postgresql:5432") == wanted
    assert finds(cluster, postgres, "postgresql:postgresql") == wanted
    with pytest.raises(ServiceNotFoundError, match="has no port 1234") as caught:
        finds(cluster, postgres, "postgresql:1234")
    assert "5432 (postgresql)" in caught.value.fix


def test_with_no_service_named_the_only_one_with_that_port_is_taken(
    cluster: TestCluster, namespace: str
) -> None:
    web = manifests.service(namespace, "web")
    web["spec"]["ports"] = [{"port": 80}]
    cluster.apply(web, manifests.service(namespace, "orders-db"))
    assert finds(cluster, namespace)[0] == "orders-db"
    cluster.apply(manifests.service(namespace, "users-db"))
    with pytest.raises(ServiceNotFoundError, match="orders-db, users-db") as caught:
        finds(cluster, namespace)
    assert caught.value.candidates == (f"{namespace}/orders-db", f"{namespace}/users-db")
    cluster.apply(manifests.service(namespace, "postgresql"))
    assert finds(cluster, namespace)[0] == "postgresql"


def test_a_service_with_several_ports_wants_one_named_unless_one_is_postgresqls(
    cluster: TestCluster, namespace: str
) -> None:
    service = manifests.service(namespace, "db")
    service["spec"]["ports"] = [{"name": "a", "port": 1}, {"name": "b", "port": 2, "targetPort": 5432}]
    cluster.apply(service)
    assert finds(cluster, namespace, "db")[2] == 5432
    service["spec"]["ports"] = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    cluster.apply(service)
    with pytest.raises(ServiceNotFoundError, match="several ports") as caught:
        finds(cluster, namespace, "db")
    assert f"--kube {namespace}/db:a" in caught.value.fix


def test_pods_with_the_label_do_where_there_is_no_service(cluster: TestCluster, namespace: str) -> None:
    secret, deployment, _ = manifests.postgres(namespace, "audit-db")
    cluster.apply(secret, deployment)
    with service_target(
        namespace, service="audit-db", api=cluster.api, environ={}, patience=cluster.patience
    ) as target:
        target.connect().close()


def test_a_service_without_a_selector_leads_to_the_pods_of_its_endpoints(
    cluster: TestCluster, namespace: str
) -> None:
    service = manifests.service(namespace, "by-hand")
    del service["spec"]["selector"]
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "by-hand-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": "by-hand"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "postgresql", "port": 6432}],
        "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "db-0"}}],
    }
    cluster.apply(service, piece)
    backend = find_backend(cluster.api, namespace, "by-hand")
    assert (backend.pod_names, backend.port) == (("db-0",), 6432)


def test_a_name_for_something_outside_is_no_service_to_forward_to(
    cluster: TestCluster, namespace: str
) -> None:
    service = manifests.service(namespace, "far")
    service["spec"] = {"type": "ExternalName", "externalName": "db.example.org"}
    cluster.apply(service)
    with pytest.raises(ServiceNotFoundError) as caught:
        finds(cluster, namespace, "far")
    assert "--dsn host=db.example.org" in caught.value.fix


def test_a_service_that_lives_in_another_namespace_is_pointed_to(
    cluster: TestCluster, namespace: str, postgres: str
) -> None:
    with pytest.raises(ServiceNotFoundError, match="has no service 'postgresql'") as caught:
        service_target(namespace, service="postgresql", api=cluster.api)
    assert f"{postgres}/postgresql" in caught.value.candidates
    assert f"use --kube {caught.value.candidates[0]}" in caught.value.fix


def test_a_namespace_that_is_not_there_is_said_with_those_that_are(cluster: TestCluster) -> None:
    with pytest.raises(ServiceNotFoundError, match="no namespace 'pgslate-no-such'") as caught:
        service_target("pgslate-no-such", service="no-such-service", api=cluster.api)
    assert "default" in caught.value.fix


# logging in


def notes_of(cluster: TestCluster, namespace: str, **given: str | dict[str, str]) -> list[str]:
    lines: list[str] = []
    settings = {"environ": {}, **given}
    with service_target(
        namespace,
        api=cluster.api,
        patience=cluster.patience,
        note=lines.append,
        **settings,  # type: ignore[arg-type]  # a test's shorthand
    ):
        return lines


def test_where_each_setting_came_from_is_said_and_the_password_is_not(
    cluster: TestCluster, postgres: str
) -> None:
    lines = notes_of(cluster, postgres)
    said = "\n".join(lines)
    assert "user 'slm_user' from POSTGRES_USER of container postgresql of pod postgresql-" in said
    assert (
        "password from POSTGRES_PASSWORD in secret 'postgresql-secret', POSTGRES_PASSWORD of container"
        in said
    )
    assert "database 'action_history' from POSTGRES_DB of container postgresql" in said
    assert manifests.PASSWORD not in said


def test_what_is_given_wins_over_the_environment_and_that_over_the_pod(
    cluster: TestCluster, postgres: str
) -> None:
    lines = notes_of(
        cluster,
        postgres,
        database="postgres",
        environ={"PGDATABASE": "action_history", "PGPASSWORD": manifests.PASSWORD},
    )
    assert "database 'postgres' from what was given" in lines
    assert "password from the environment's PGPASSWORD" in lines


def test_a_wrong_password_is_refused_at_once_and_its_origin_said(cluster: TestCluster, postgres: str) -> None:
    with pytest.raises(TargetError, match="refuses user 'slm_user'") as caught:
        notes_of(cluster, postgres, password="not-the-one")
    assert "password from what was given" in caught.value.message
    assert "not-the-one" not in str(caught.value)


def test_a_database_that_is_not_there_is_said_at_once(cluster: TestCluster, postgres: str) -> None:
    with pytest.raises(TargetError, match="has no database 'nowhere'") as caught:
        notes_of(cluster, postgres, environ={"PGDATABASE": "nowhere"})
    assert "the environment's PGDATABASE" in caught.value.message


def test_a_secret_that_may_not_be_read_is_named_where_a_password_is_missing(
    cluster: TestCluster, postgres: str, faults: StandIn
) -> None:
    faults.faults.forbidden.add(("get", "secrets"))
    with pytest.raises(TargetError, match="wants a password") as caught:
        notes_of(cluster, postgres)
    assert "may not get secrets" in caught.value.message
    assert "PGPASSWORD" in caught.value.fix
    assert notes_of(cluster, postgres, password=manifests.PASSWORD)


@pytest.mark.parametrize(
    ("verb", "resource"), [("list", "pods"), ("get", "services"), ("create", "pods/portforward")]
)
def test_a_right_that_is_missing_is_named(
    cluster: TestCluster, postgres: str, faults: StandIn, verb: str, resource: str
) -> None:
    faults.faults.forbidden.add((verb, resource))
    with pytest.raises(PrivilegeError, match=f"may not {verb} {resource} in the namespace") as caught:
        service_target(postgres, service="postgresql", environ={}, api=cluster.api, patience=cluster.patience)
    assert (caught.value.right, caught.value.exit_status) == (verb, 3)
    assert f"--verb={verb} --resource={resource}" in caught.value.fix


def test_settings_come_from_references_of_every_kind(cluster: TestCluster, namespace: str) -> None:
    from pgslate.targets.kubernetes.login import find_login

    def secret(name: str, **data: str) -> manifests.Json:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": encoded,
        }

    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace},
        "data": {"DB": "orders"},
    }
    cluster.apply(secret("account", POSTGRES_USER="owner"), secret("files", pw="from a file\n"), config)
    pod = {
        "metadata": {"name": "db-0", "namespace": namespace},
        "spec": {
            "containers": [
                {
                    "name": "db",
                    "envFrom": [{"secretRef": {"name": "account"}}],
                    "env": [
                        {"name": "POSTGRES_PASSWORD_FILE", "value": "/run/secrets/pg/password"},
                        {
                            "name": "POSTGRES_DB",
                            "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "DB"}},
                        },
                    ],
                    "volumeMounts": [{"name": "pg", "mountPath": "/run/secrets/pg"}],
                }
            ],
            "volumes": [
                {
                    "name": "pg",
                    "secret": {"secretName": "files", "items": [{"key": "pw", "path": "password"}]},
                }
            ],
        },
    }
    login = find_login(cluster.api, pod, environ={})
    assert login.password
    assert (login.user.value, login.password.value, login.database.value) == (
        "owner",
        "from a file",
        "orders",
    )
    assert login.password.source == "pw in secret 'files', mounted for POSTGRES_PASSWORD_FILE"


def test_the_secret_of_an_operator_is_known(cluster: TestCluster, namespace: str) -> None:
    from pgslate.targets.kubernetes.login import find_login

    values = {"username": "app", "password": "generated", "dbname": "app"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "orders-app", "namespace": namespace},
        "stringData": values,
    }
    cluster.apply(secret)
    pod = {
        "metadata": {"name": "orders-1", "namespace": namespace, "labels": {"cnpg.io/cluster": "orders"}},
        "spec": {"containers": [{"name": "postgres", "env": []}]},
    }
    login = find_login(cluster.api, pod, environ={})
    assert login.password
    assert login.password.value == "generated"
    assert login.provenance()[1] == "password from password in secret 'orders-app'"
