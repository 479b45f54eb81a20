"""A service in a Kubernetes namespace as a target: found, waited for, forwarded to, logged in to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from pgslate.errors import PgslateError, ServerNotReadyError, TargetError, UsageError
from pgslate.plain_text import silent
from pgslate.targets.kubernetes import kubeconfig as kubeconfigs
from pgslate.targets.kubernetes.api import Api, HttpApi
from pgslate.targets.kubernetes.discovery import Backend, ReadyPods, find_backend, list_pods
from pgslate.targets.kubernetes.forwarded_target import ForwardedTarget
from pgslate.targets.kubernetes.forwarder import Forwarder
from pgslate.targets.kubernetes.login import Login, find_login
from pgslate.targets.kubernetes.readiness import Patience, not_ready, wait_for_pod
from pgslate.targets.kubernetes.relay import DEFAULT_PACE, Pace
from pgslate.targets.target import Target

Note = Callable[[str], None]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def split_address(address: str) -> tuple[str, str | None]:
    """Namespace and service of ``NAMESPACE[/SERVICE[:PORT]]``. Raises UsageError where it isn't one.

    >>> split_address("test/postgresql:5432")
    ('test', 'postgresql:5432')
    """
    namespace, slash, service = address.partition("/")
    name, colon, port = service.partition(":")
    wrong = not _NAME.fullmatch(namespace) or (slash and not _NAME.fullmatch(name)) or (colon and not port)
    if wrong:
        raise UsageError(
            f"{address!r} names no service of a cluster",
            fix="write it as NAMESPACE or NAMESPACE/SERVICE, e.g. --kube test/postgresql",
        )
    return namespace, service or None


def open_api(kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None) -> HttpApi:
    """The API of the cluster that the arguments, or else the environment, name. Raises KubeconfigError."""
    return HttpApi(kubeconfigs.load(kubeconfig, context))


def forwarder_to(
    namespace: str,
    service: str | None = None,
    *,
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    port: int = 0,
    timeout: float = 120.0,
    note: Note = silent,
    waiting: Note | None = None,
    api: Api | None = None,
    patience: Patience | None = None,
    pace: Pace = DEFAULT_PACE,
) -> Forwarder:
    """A local port that leads to a service of a namespace: ``forwarder.host``, ``forwarder.port``.

    ``service`` may end in ``:PORT``, a name or a number; see ``find_backend`` for none. ``port`` is the
    local one, 0 for a free one. ``timeout``, in seconds, bounds the wait for a ready pod. ``note`` gets a
    line on each thing found or gone wrong, ``waiting`` (else ``note``) on what is waited for. Close the
    forwarder, or use it in a ``with`` statement.

    Raises KubeconfigError, ClusterError, PrivilegeError, ServiceNotFoundError, PodNotReadyError.
    """
    with ExitStack() as stack:
        api = api or stack.enter_context(closing(open_api(kubeconfig, context)))
        backend = find_backend(api, namespace, service)
        note(f"found {backend.how}")
        wait_for_pod(api, backend, patience=patience or Patience(timeout), note=waiting or note)
        forwarder = Forwarder(api, ReadyPods(api, backend), port=port, pace=pace, note=note)
        forwarder.on_close = stack.pop_all().close
    return forwarder


def service_target(
    namespace: str,
    *,
    service: str | None = None,
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    timeout: float = 120.0,
    note: Note = silent,
    waiting: Note | None = None,
    environ: Mapping[str, str] = os.environ,
    api: Api | None = None,
    patience: Patience | None = None,
    pace: Pace = DEFAULT_PACE,
) -> Target:
    """PostgreSQL in a Kubernetes namespace as a target, once it takes connections.

    What isn't given of ``user``, ``password`` and ``database`` comes from ``PGUSER``, ``PGPASSWORD`` and
    ``PGDATABASE``, else from the pod's own env and the Secrets it refers to; ``note`` is told from where,
    never the password, and ``waiting`` (else ``note``) what is waited for. ``timeout``, in seconds, bounds
    the whole wait. Closing the target ends the forward.

    Raises KubeconfigError, ClusterError, PrivilegeError, ServiceNotFoundError; PodNotReadyError where no pod
    gets ready; ServerNotReadyError where the server in it doesn't take connections; TargetError where it
    refuses the login.
    """
    patience = patience or Patience(timeout)
    until = patience.clock() + patience.timeout
    with ExitStack() as stack:
        api = api or stack.enter_context(closing(open_api(kubeconfig, context)))
        backend = find_backend(api, namespace, service)
        note(f"found {backend.how}")
        pod = wait_for_pod(api, backend, patience=patience, note=waiting or note)
        login = find_login(api, pod, user=user, password=password, database=database, environ=environ)
        for line in login.provenance():
            note(line)
        forwarder = stack.enter_context(Forwarder(api, ReadyPods(api, backend), pace=pace, note=note))
        dsn = _dsn(forwarder, login)
        opened = _wait_for_login(api, backend, dsn, login, forwarder, until, patience, note)
        if not opened.pgconn.ssl_in_use and "PGSSLMODE" not in environ:
            # it has no TLS, and the forward has: don't ask at each connection
            dsn = make_conninfo(dsn, sslmode="disable")
        label = f"{backend.label}, database {login.database.value} as {login.user.value}"
        return ForwardedTarget(dsn, label=label, on_close=stack.pop_all().close, opened=opened)


def _dsn(forwarder: Forwarder, login: Login) -> str:
    return make_conninfo(
        host=forwarder.host,
        port=forwarder.port,
        user=login.user.value,
        password=login.password.value if login.password else None,
        dbname=login.database.value,
    )


def _wait_for_login(
    api: Api,
    backend: Backend,
    dsn: str,
    login: Login,
    forwarder: Forwarder,
    until: float,
    patience: Patience,
    note: Note,
) -> psycopg.Connection[TupleRow]:
    """The first connection that the server takes. A ready pod may still be starting PostgreSQL."""
    attempts: list[str] = []
    pause = _FIRST_PAUSE
    while True:
        left = until - patience.clock()
        forwarder.last_error = ""
        try:
            return Target(dsn).connect(client_encoding="UTF8", connect_timeout=max(2, min(10, round(left))))
        except psycopg.OperationalError as error:
            message = _cleaned(error, login)
            if refusal := _refusal(message, backend, login):
                raise refusal from None  # its text could show what psycopg was given
            if forwarder.forbidden:
                raise forwarder.forbidden from None
            message = forwarder.last_error or message
            if message not in attempts:
                attempts.append(message)
                note(f"not yet: {message}")
        if patience.clock() + pause >= until:
            raise _no_answer(api, backend, attempts, patience)
        forwarder.closed.wait(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _no_answer(api: Api, backend: Backend, attempts: list[str], patience: Patience) -> PgslateError:
    pods, _ = list_pods(api, backend)
    pods_error = not_ready(api, backend, pods, f"within {patience.timeout:g} s")
    if pods_error.reasons or not pods:
        pods_error.attempts = tuple(attempts)
        return pods_error
    lines = [
        f"the pod of {backend.namespace}/{backend.service} is ready, but PostgreSQL takes no connections"
    ]
    lines += [f"  {attempt}" for attempt in attempts[-4:]]
    return ServerNotReadyError(
        "\n".join(lines),
        fix="check the port of the service and the server's log (kubectl logs), or give a longer --timeout",
        attempts=tuple(attempts),
    )


def _cleaned(error: psycopg.OperationalError, login: Login) -> str:
    """The server's message on one line, without a password."""
    message = " ".join(str(error).split())
    if login.password and len(login.password.value) > 3:
        message = message.replace(login.password.value, "***")
    return message.partition("Multiple connection attempts")[0].strip() or "no answer"


def _refusal(message: str, backend: Backend, login: Login) -> TargetError | None:
    """The error for an answer that no waiting changes; None for all others."""
    where = f"PostgreSQL of {backend.namespace}/{backend.service}"
    user, database = login.user, login.database
    hint = "".join(f"; {hindrance}" for hindrance in login.hindrances)
    if "no password supplied" in message:
        return TargetError(
            f"{where} wants a password for {user.value!r}, and none was found{hint}",
            fix="set PGPASSWORD, or allow `get` on the Secret that the pod refers to",
        )
    if "password authentication failed" in message or re.search(r'role ".*" does not exist', message):
        password = f", password from {login.password.source}" if login.password else ""
        return TargetError(
            f"{where} refuses user {user.value!r} (user from {user.source}{password}){hint}",
            fix="set PGUSER and PGPASSWORD; a Secret changed after the database was made doesn't change it",
        )
    if re.search(r'database ".*" does not exist', message):
        return TargetError(
            f"{where} has no database {database.value!r} (from {database.source})",
            fix="give its name as --database or PGDATABASE, or create it",
        )
    if "no pg_hba.conf entry" in message:
        return TargetError(
            f"{where} lets nobody in on this way: {message}",
            fix="a forwarded connection comes from 127.0.0.1 inside the pod: allow it in pg_hba.conf",
        )
    return None
