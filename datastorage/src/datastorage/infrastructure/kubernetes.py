"""An environment in a cluster: a namespace with PostgreSQL, and the service in it or beside it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from psycopg.conninfo import make_conninfo

from datastorage.grants import grant
from datastorage.infrastructure import manifests
from datastorage.infrastructure.migrations import MigrationConfig
from datastorage.infrastructure.process import ServiceProcess
from datastorage.services import needs_vector
from datastorage.services import service as service_named
from pgslate.errors import UsageError
from pgslate.targets.kubernetes import kubernetes
from pgslate.targets.kubernetes.api import path_of
from pgslate.targets.kubernetes.service import open_api
from pgslate.targets.target import Target
from pgslate.verbs.forward import forward

ROLE = "datastorage"

#: What PostgreSQL is run from, without and with pgvector.
IMAGES = {False: "docker.io/library/postgres:17-alpine", True: "docker.io/pgvector/pgvector:pg17"}


class KubernetesEnvironment:
    """A namespace of its own with PostgreSQL in it; ``close``, or the end of its ``with``, deletes it.

    ``image`` holds this package, and the service is deployed from it; without one the service is a process
    on this machine, and only its database is in the cluster. Both are reached through the API server.
    """

    def __init__(
        self,
        service: str,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        image: str | None = None,
        postgres_image: str | None = None,
        workload: manifests.Workload = "StatefulSet",
        timeout: float = 180.0,
    ) -> None:
        """Make the namespace, and start PostgreSQL in it.

        Args:
            service: Which of the seven services the environment is for; its contract decides about pgvector.
            kubeconfig: The kubeconfig file; without it, where kubectl looks for it.
            context: The context of that file; without it, the current one.
            image: The image that the service is deployed from.
            postgres_image: PostgreSQL's image; without it, one of PostgreSQL 17, with pgvector if need be.
            workload: The kind of workload that PostgreSQL runs as.
            timeout: Bounds the wait for each pod, in seconds.

        Raises:
            TargetError: The cluster can't be reached, or a pod doesn't get ready.
        """
        self.service = service_named(service)
        self.namespace = f"datastorage-{service}-{secrets.token_hex(3)}"
        self._kubeconfig, self._context = kubeconfig, context
        self._timeout = timeout
        self._password = secrets.token_urlsafe(16)
        self._stack = ExitStack()
        self._image = image
        self._url = ""
        self._process: ServiceProcess | None = None
        try:
            self._api = open_api(kubeconfig, context)
            self._stack.callback(self._api.close)
            image_of_postgres = postgres_image or IMAGES[needs_vector(self.service)]
            owner_password = secrets.token_urlsafe(16)
            self._api.apply(manifests.namespace(self.namespace))
            self._stack.callback(self._api.delete, path_of("namespaces", name=self.namespace))
            for manifest in (
                manifests.secret(self.namespace, manifests.POSTGRES, {"POSTGRES_PASSWORD": owner_password}),
                *manifests.postgres(self.namespace, image=image_of_postgres, workload=workload),
            ):
                self._api.apply(manifest)
            self._database = self._stack.enter_context(
                kubernetes(
                    self.namespace,
                    service=manifests.POSTGRES,
                    kubeconfig=kubeconfig,
                    context=context,
                    user=manifests.USER,
                    password=owner_password,
                    database=manifests.DATABASE,
                    timeout=timeout,
                )
            )
        except BaseException:
            self._stack.close()
            raise

    @property
    def url(self) -> str:
        """Where the service answers, a port of this machine; empty until it is deployed."""
        return self._url

    @property
    def database(self) -> Target:
        """The database, as its owner, through the API server."""
        return self._database

    def migrations(self, *tables: str) -> MigrationConfig:
        """The configuration that applies and verifies these tables in this database."""
        return MigrationConfig(dsn=self._database.dsn, tables=tables, timeout=self._timeout)

    def grant(self) -> None:
        """Give the service's role its rights on the tables that exist now."""
        with self._database.connect(autocommit=True) as owner:
            grant(owner, ROLE, password=self._password)

    def deploy(self) -> None:
        """Give the service's role its rights, and start the service: in the cluster, or beside it."""
        self.grant()
        self._url = self._serve_there(self._image) if self._image else self._serve_here()

    def logs(self) -> str:
        """The log of every pod of the namespace, and the service's where it is a process on this machine."""
        parts = [f"--- service\n{self._process.logs()}"] if self._process else []
        for pod in self._api.get(path_of("pods", self.namespace)).get("items", []):
            name = pod["metadata"]["name"]
            text = self._api.text(path_of("pods", self.namespace, name, sub="log"))
            parts.append(f"--- pod {name}\n{text}")
        return "\n".join(parts)

    def close(self) -> None:
        """Ends the forwards and the process, and deletes the namespace."""
        self._stack.close()

    def __enter__(self) -> KubernetesEnvironment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve_here(self) -> str:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="datastorage-")))
        arguments = ["--dsn", self._role_dsn(self._database.dsn), "--owner-dsn", self._database.dsn]
        self._process = self._stack.enter_context(
            ServiceProcess([*arguments, "--contract", self.service.name], folder / "service.log")
        )
        return self._process.url

    def _serve_there(self, image: str) -> str:
        inside = make_conninfo(self._database.dsn, host=manifests.POSTGRES, hostaddr="", port=5432)
        values = {"dsn": self._role_dsn(inside), "owner_dsn": inside}
        self._api.apply(manifests.secret(self.namespace, manifests.SERVICE, values))
        for manifest in manifests.datastorage(self.namespace, image=image, contract=self.service.name):
            self._api.apply(manifest)
        forwarder = self._stack.enter_context(
            forward(
                self.namespace,
                f"{manifests.SERVICE}:http",
                kubeconfig=self._kubeconfig,
                context=self._context,
                timeout=self._timeout,
            )
        )
        return f"http://{forwarder.host}:{forwarder.port}"

    def _role_dsn(self, owner: str) -> str:
        return make_conninfo(owner, user=ROLE, password=self._password)


def kind_cluster(name: str = "datastorage-e2e") -> str:
    """The context of a Kind cluster of that name, which is made where it isn't there.

    Raises UsageError where ``kind`` isn't installed or fails.
    """
    kind = shutil.which("kind")
    if kind is None:
        raise UsageError(
            "kind is not installed", fix="see https://kind.sigs.k8s.io, or give --context of a cluster"
        )
    there = subprocess.run([kind, "get", "clusters"], capture_output=True, text=True, check=False)
    if name not in there.stdout.split():
        made = subprocess.run(
            [kind, "create", "cluster", "--name", name], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise UsageError(
                f"kind can't make a cluster: {made.stderr.strip()[-500:]}", fix="see what kind says"
            )
    return f"kind-{name}"
