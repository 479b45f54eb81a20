"""Which cluster, and as whom: kubeconfig files read and merged as kubectl does, or the pod's own account.

Source: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ (merging rules)
and https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ (fields).
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from pgslate.errors import KubeconfigError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where there is one: ten times faster

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A command that prints an ExecCredential (client.authentication.k8s.io)."""

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    api_version: str = "client.authentication.k8s.io/v1"
    interactive: str = "IfAvailable"
    provide_cluster_info: bool = False
    install_hint: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class User:
    """How to say who we are; every field may be empty. Certificates and keys are PEM."""

    name: str = ""
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    client_certificate: bytes = b""
    client_key: bytes = b""
    exec_plugin: ExecPlugin | None = None
    impersonate: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"User({self.name!r})"  # never a token, never a key


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server, and the user and namespace of the chosen context.

    ``server`` is its URL; ``ca`` is PEM, empty for the system's own authorities; ``proxy`` a URL or empty;
    ``source`` says for humans where this came from.
    """

    server: str
    user: User
    namespace: str = "default"
    ca: bytes = b""
    insecure: bool = False
    tls_server_name: str = ""
    proxy: str = ""
    source: str = ""


def load(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
    account: Path = SERVICE_ACCOUNT,
) -> Cluster:
    """The cluster to talk to: the file given, ``KUBECONFIG``, ``~/.kube/config``, or the pod this runs in.

    ``account`` is where a pod finds its service account.

    Raises KubeconfigError where nothing is configured, or what is configured is wrong.
    """
    files = _files(kubeconfig, environ)
    found = [file for file in files if file.is_file()]
    if kubeconfig and not found:
        raise KubeconfigError(
            f"there is no kubeconfig file {os.fspath(kubeconfig)}",
            fix="check --kubeconfig, or leave it out to use KUBECONFIG or ~/.kube/config",
        )
    merged = _merge(found)
    if merged["contexts"] or merged["clusters"] or context:
        return _context(merged, context, found)
    if inside := _in_cluster(environ, account):
        return inside
    looked = ", ".join(str(file) for file in files) or "nowhere"
    raise KubeconfigError(
        f"no cluster is configured (looked at {looked}, and for a service account of a pod)",
        fix="give --kubeconfig FILE, set KUBECONFIG, or create a cluster, e.g. `kind create cluster`",
    )


def _files(kubeconfig: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> list[Path]:
    if kubeconfig:
        return [Path(kubeconfig).expanduser()]
    if listed := environ.get("KUBECONFIG"):
        return [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
    home = environ.get("HOME") or str(Path("~").expanduser())
    return [Path(home) / ".kube" / "config"]


def _merge(files: list[Path]) -> Json:
    """One document out of several: of each name, and of each setting, the first file's is kept."""
    merged: Json = {"clusters": {}, "contexts": {}, "users": {}, "current-context": ""}
    for file in files:
        document = _read(file)
        for kind, field in (("clusters", "cluster"), ("contexts", "context"), ("users", "user")):
            for entry in document.get(kind) or ():
                if not isinstance(entry, dict) or "name" not in entry:
                    raise KubeconfigError(
                        f"{file}: an entry of {kind!r} has no name", fix=f"mend {file}: each entry has a name"
                    )
                value = dict(entry.get(field) or {})
                merged[kind].setdefault(entry["name"], (value, file))
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
    return merged


def _read(file: Path) -> Json:
    try:
        document = yaml.load(file.read_bytes(), Loader=_SAFE)  # noqa: S506  # both are safe loaders
    except OSError as error:
        raise KubeconfigError(
            f"{file} can't be read: {error.strerror}", fix="check its path and rights"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise KubeconfigError(
            f"{where}: not YAML: {getattr(error, 'problem', None) or 'unreadable'}", fix=f"mend {file}"
        ) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise KubeconfigError(f"{file} is not a kubeconfig: its top is not a mapping", fix=f"mend {file}")
    return document


def _context(merged: Json, wanted: str | None, files: list[Path]) -> Cluster:
    source = ", ".join(str(file) for file in files)
    contexts = merged["contexts"]
    name = wanted or merged["current-context"]
    if not name:
        known = ", ".join(sorted(contexts)) or "none"
        raise KubeconfigError(
            f"{source} sets no current-context",
            fix=f"give --context, or `kubectl config use-context NAME`; there are: {known}",
        )
    if name not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise KubeconfigError(
            f"there is no context {name!r} in {source or 'any kubeconfig'}", fix=f"use one of: {known}"
        )
    context, context_file = contexts[name]
    if context.get("cluster") not in merged["clusters"]:
        raise KubeconfigError(
            f"context {name!r} of {context_file} names the cluster {context.get('cluster')!r}, "
            "which is in none of the files",
            fix=f"add the cluster to {context_file}, or choose another --context",
        )
    user_name = context.get("user") or ""
    if user_name and user_name not in merged["users"]:
        raise KubeconfigError(
            f"context {name!r} of {context_file} names the user {user_name!r}, which is in none of the files",
            fix=f"add the user to {context_file}, or choose another --context",
        )
    cluster, cluster_file = merged["clusters"][context["cluster"]]
    user, user_file = merged["users"].get(user_name, ({}, context_file))
    server = cluster.get("server") or ""
    if urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).hostname:
        raise KubeconfigError(
            f"cluster {context['cluster']!r} of {cluster_file} has the server {server!r}, which is no URL",
            fix=f"write it as https://HOST:PORT in {cluster_file}",
        )
    return Cluster(
        server=server,
        user=_user(user_name, user, user_file),
        namespace=context.get("namespace") or "default",
        ca=_pem(cluster, "certificate-authority", cluster_file),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name") or "",
        proxy=cluster.get("proxy-url") or "",
        source=f"context {name!r} of {context_file}",
    )


def _user(name: str, user: Json, file: Path) -> User:
    if user.get("auth-provider") and not user.get("exec"):
        provider = (user["auth-provider"] or {}).get("name", "")
        raise KubeconfigError(
            f"user {name!r} of {file} uses the auth-provider {provider!r}, which Kubernetes 1.26 removed",
            fix="let your provider's tool write the kubeconfig again: it will name an exec plugin",
        )
    token_file = user.get("tokenFile") or ""
    return User(
        name=name,
        token="" if token_file else user.get("token") or "",
        token_file=str(_beside(file, token_file)) if token_file else "",
        username=user.get("username") or "",
        password=user.get("password") or "",
        client_certificate=_pem(user, "client-certificate", file),
        client_key=_pem(user, "client-key", file),
        exec_plugin=_plugin(user["exec"], name, file) if user.get("exec") is not None else None,
        impersonate=tuple(_impersonation(user)),
    )


def _plugin(spec: Json, user: str, file: Path) -> ExecPlugin:
    command = spec.get("command") or ""
    if not command:
        raise KubeconfigError(
            f"the exec plugin of user {user!r} in {file} has no command", fix=f"mend {file}"
        )
    if os.sep in command:
        command = str(_beside(file, command))
    return ExecPlugin(
        command=command,
        args=tuple(str(arg) for arg in spec.get("args") or ()),
        env=tuple((entry["name"], str(entry["value"])) for entry in spec.get("env") or ()),
        api_version=spec.get("apiVersion") or "client.authentication.k8s.io/v1",
        interactive=spec.get("interactiveMode") or "IfAvailable",
        provide_cluster_info=bool(spec.get("provideClusterInfo")),
        install_hint=(spec.get("installHint") or "").strip(),
    )


def _impersonation(user: Json) -> list[tuple[str, str]]:
    """Impersonation headers: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/."""
    if not user.get("as"):
        return []
    headers = [("Impersonate-User", str(user["as"]))]
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{key}", str(value)) for value in values]
    return headers


def _pem(entry: Json, field: str, file: Path) -> bytes:
    """The bytes of ``field-data`` (base64), or of the file that ``field`` names, or nothing."""
    if data := entry.get(f"{field}-data"):
        try:
            return base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError) as error:
            raise KubeconfigError(f"{file}: {field}-data is not base64", fix=f"mend {file}") from error
    if path := entry.get(field):
        beside = _beside(file, path)
        try:
            return beside.read_bytes()
        except OSError as error:
            raise KubeconfigError(
                f"{file} names the {field} {beside}, which can't be read: {error.strerror}",
                fix="check that path, or let your cluster's tool write the kubeconfig again",
            ) from error
    return b""


def _beside(file: Path, path: str) -> Path:
    """A path of a kubeconfig is relative to the file it stands in."""
    return file.parent / Path(path).expanduser()


def _in_cluster(environ: Mapping[str, str], account: Path) -> Cluster | None:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = account / "token"
    if not host or not token.is_file():
        return None
    namespace = account / "namespace"
    return Cluster(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        user=User(name="service account", token_file=str(token)),
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        ca=(account / "ca.crt").read_bytes(),
        source="the service account of this pod",
    )
