"""What proves who we are to the API server: tokens, certificates, and the plugins that print them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pgslate.errors import ClusterAuthError
from pgslate.targets.kubernetes.kubeconfig import Cluster, ExecPlugin

_EARLY = 60.0  # seconds: a credential this close to its end is fetched anew
_TOKEN_FILE_AGE = 60.0  # seconds: projected tokens rotate, so the file is read again


@dataclass(frozen=True, slots=True, repr=False)
class Proof:
    """What to send: headers, and a client certificate with its key (PEM, or empty)."""

    headers: tuple[tuple[str, str], ...] = ()
    certificate: bytes = b""
    key: bytes = b""


class Credentials:
    """The credentials of one cluster's user, fetched when first needed and again when they run out.

    Safe to use from several threads: a plugin is run once, however many ask.
    """

    def __init__(
        self, cluster: Cluster, *, now: Callable[[], float] = time.time, plugin_timeout: float = 60.0
    ) -> None:
        self._cluster = cluster
        self._now = now
        self._plugin_timeout = plugin_timeout
        self._lock = threading.Lock()
        self._proof: Proof | None = None
        self._until = float("inf")

    @property
    def renewable(self) -> bool:
        """Whether asking again can give another answer."""
        user = self._cluster.user
        return user.exec_plugin is not None or bool(user.token_file)

    def proof(self) -> Proof:
        """What to send now. Raises ClusterAuthError where a plugin or a token file fails."""
        with self._lock:
            if self._proof is None or self._now() >= self._until:
                self._proof, self._until = self._fetch()
            return self._proof

    def forget(self, refused: Proof) -> None:
        """The API server answered 401 to ``refused``: the next ``proof()`` fetches a new one."""
        with self._lock:
            if self._proof is refused:
                self._proof = None

    def _fetch(self) -> tuple[Proof, float]:
        user = self._cluster.user
        headers, until = list(user.impersonate), float("inf")
        certificate, key = user.client_certificate, user.client_key
        token = user.token
        if user.token_file:
            token = _token(Path(user.token_file))
            until = self._now() + _TOKEN_FILE_AGE
        elif not token and user.exec_plugin:
            status = run_plugin(user.exec_plugin, self._cluster, timeout=self._plugin_timeout)
            token = status.get("token") or ""
            certificate = (status.get("clientCertificateData") or "").encode() or certificate
            key = (status.get("clientKeyData") or "").encode() or key
            if expires := status.get("expirationTimestamp"):
                until = datetime.fromisoformat(expires.replace("Z", "+00:00")).timestamp() - _EARLY
        if token:
            headers.append(("Authorization", f"Bearer {token}"))
        elif user.username:
            basic = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
            headers.append(("Authorization", f"Basic {basic}"))
        return Proof(tuple(headers), certificate, key), until


def _token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise ClusterAuthError(
            f"the token file {file} can't be read: {error.strerror}",
            fix="check tokenFile in the kubeconfig, and its rights",
        ) from error


def run_plugin(plugin: ExecPlugin, cluster: Cluster, *, timeout: float) -> dict[str, str]:
    """The ``status`` of the ExecCredential that a plugin prints.

    ``timeout`` in seconds. Raises ClusterAuthError with the plugin's own last words where it fails. Source:
    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins.
    """
    interactive = plugin.interactive != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if plugin.interactive == "Always" and not interactive:
        raise ClusterAuthError(
            f"the credential plugin {plugin.command} wants to ask questions, and there is no terminal",
            fix="run it once in a terminal, or use a context whose plugin asks nothing",
        )
    spec: dict[str, object] = {"interactive": interactive}
    if plugin.provide_cluster_info:
        spec["cluster"] = {
            "server": cluster.server,
            "insecure-skip-tls-verify": cluster.insecure,
            "certificate-authority-data": base64.b64encode(cluster.ca).decode(),
            "tls-server-name": cluster.tls_server_name,
        }
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    environ = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        done = subprocess.run(
            [plugin.command, *plugin.args],
            env=environ,
            stdin=None if interactive else subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterAuthError(
            f"the kubeconfig asks for the credential plugin {plugin.command}, which isn't installed",
            fix=plugin.install_hint or f"install {plugin.command}, or use another --context",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        why = (
            f"gave no answer in {timeout:g} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        )
        raise ClusterAuthError(
            f"the credential plugin {plugin.command} {why}",
            fix=f"run {plugin.command} by hand, with the arguments of the kubeconfig",
        ) from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise ClusterAuthError(
            f"the credential plugin {plugin.command} failed with status {done.returncode}"
            + "".join(f"\n    {line}" for line in last),
            fix=plugin.install_hint or f"run {plugin.command} by hand, and log in again where it says so",
        )
    status = _status(done.stdout)
    if not (status.get("token") or status.get("clientCertificateData")):
        raise ClusterAuthError(
            f"the credential plugin {plugin.command} printed no credential",
            fix=f"run {plugin.command} by hand: it should print an ExecCredential with a status",
        )
    return status


def _status(printed: bytes) -> dict[str, str]:
    try:
        status = json.loads(printed)["status"]
    except (ValueError, KeyError, TypeError):
        return {}
    return status if isinstance(status, dict) else {}
