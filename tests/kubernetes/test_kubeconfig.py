"""Which cluster, and as whom: files merged as kubectl does, and every way to say who one is."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.standin.certificates import Authority
from tests.kubernetes.standin.server import TOKEN, StandIn

from pgslate.errors import ClusterAuthError, ClusterError, KubeconfigError
from pgslate.targets.kubernetes.api import HttpApi, path_of
from pgslate.targets.kubernetes.kubeconfig import load

Json = dict[str, Any]


def write(file: Path, **fields: Any) -> Path:
    """A kubeconfig file; ``clusters``, ``users`` and ``contexts`` are mappings by name."""
    document: Json = {"current-context": fields.get("current", "")}
    for kind, field in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
        document[kind] = [{"name": name, field: value} for name, value in fields.get(kind, {}).items()]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))
    return file


def simple(file: Path, name: str, **user: Any) -> Path:
    return write(
        file,
        clusters={name: {"server": f"https://{name}.test:6443"}},
        users={name: user},
        contexts={name: {"cluster": name, "user": name, "namespace": f"{name}-ns"}},
        current=name,
    )


def test_a_file_that_is_named_wins_over_the_environment_and_that_over_the_default(tmp_path: Path) -> None:
    named = simple(tmp_path / "named", "named")
    listed = simple(tmp_path / "listed", "listed")
    simple(tmp_path / ".kube" / "config", "default")
    home = {"HOME": str(tmp_path)}
    assert load(named, environ={**home, "KUBECONFIG": str(listed)}).server == "https://named.test:6443"
    assert load(environ={**home, "KUBECONFIG": str(listed)}).server == "https://listed.test:6443"
    assert load(environ=home).server == "https://default.test:6443"
    assert load(environ=home).namespace == "default-ns"


def test_several_files_are_one_and_of_each_name_the_first_counts(tmp_path: Path) -> None:
    one = write(
        tmp_path / "one", users={"u": {"token": "first"}}, contexts={"x": {"cluster": "c", "user": "u"}}
    )
    two = write(
        tmp_path / "two",
        clusters={"c": {"server": "https://two.test"}},
        users={"u": {"token": "second"}},
        contexts={"y": {"cluster": "c", "user": "u"}},
        current="x",
    )
    missing = tmp_path / "missing"
    cluster = load(environ={"KUBECONFIG": os.pathsep.join(map(str, (one, missing, two)))})
    assert (cluster.server, cluster.user.token) == ("https://two.test", "first")


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    file = simple(tmp_path / "deep" / "config", "a", tokenFile="token")
    (tmp_path / "deep" / "token").write_text("from a file\n")
    document = json.loads(file.read_text())
    document["clusters"][0]["cluster"]["certificate-authority"] = "../ca.crt"
    file.write_text(json.dumps(document))
    (tmp_path / "ca.crt").write_bytes(b"PEM")
    cluster = load(file)
    assert cluster.ca == b"PEM"
    assert cluster.user.token_file == str(tmp_path / "deep" / "token")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"current": ""}, "sets no current-context"),
        ({"current": "b"}, "no context 'b'"),
        ({"clusters": {}}, "names the cluster 'a'"),
        ({"users": {}}, "names the user 'a'"),
        ({"clusters": {"a": {"server": "a.test:6443"}}}, "which is no URL"),
        ({"clusters": {"a": {"server": "https://a.test", "certificate-authority": "gone"}}}, "can't be read"),
        ({"users": {"a": {"auth-provider": {"name": "gcp"}}}}, "auth-provider 'gcp'"),
        ({"users": {"a": {"exec": {}}}}, "has no command"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_a_way_out(tmp_path: Path, change: Json, said: str) -> None:
    right: Json = {
        "clusters": {"a": {"server": "https://a.test"}},
        "users": {"a": {}},
        "contexts": {"a": {"cluster": "a", "user": "a"}},
        "current": "a",
    }
    with pytest.raises(KubeconfigError, match=said) as caught:
        load(write(tmp_path / "config", **{**right, **change}))
    assert caught.value.fix
    assert caught.value.exit_status == 3


def test_a_file_that_is_not_yaml_is_said_with_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("clusters: [\n  {name: a\n")
    with pytest.raises(KubeconfigError, match=r"config:\d+:\d+: not YAML"):
        load(tmp_path / "config")


def test_without_any_file_a_pod_uses_its_own_account(tmp_path: Path) -> None:
    for name, content in (("token", "t"), ("ca.crt", "PEM"), ("namespace", "team-a\n")):
        (tmp_path / name).write_text(content)
    inside = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    cluster = load(environ=inside, account=tmp_path)
    assert (cluster.server, cluster.namespace) == ("https://10.0.0.1:443", "team-a")
    with pytest.raises(KubeconfigError, match="no cluster is configured"):
        load(environ={"HOME": str(tmp_path)}, account=tmp_path)


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="there is no kubeconfig file"):
        load(tmp_path / "nowhere")


# and now to a server that asks who we are


def namespaces(kubeconfig: Path) -> list[str]:
    api = HttpApi(load(kubeconfig), timeout=5)
    try:
        return [item["metadata"]["name"] for item in api.get(path_of("namespaces"))["items"]]
    finally:
        api.close()


def plugin(folder: Path, script: str) -> Json:
    """An exec credential plugin that is a shell script."""
    file = folder / "plugin"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(file)}}


def credential(**status: str) -> str:
    return json.dumps(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    )


def test_a_client_certificate_is_shown(standin: StandIn, tmp_path: Path) -> None:
    mine = standin.authority.user("tester")
    user = {
        "client-certificate-data": base64.b64encode(mine.certificate).decode(),
        "client-key-data": base64.b64encode(mine.key).decode(),
    }
    assert "default" in namespaces(standin.kubeconfig(tmp_path, user=user))


def test_a_plugin_prints_the_token_and_is_asked_again_when_it_is_refused(
    standin: StandIn, tmp_path: Path
) -> None:
    printed = tmp_path / "printed"
    script = f"""if [ -e {printed} ]; then echo '{credential(token=TOKEN)}'; else
    touch {printed}; echo '{credential(token="stale")}'; fi"""
    assert "default" in namespaces(standin.kubeconfig(tmp_path, user=plugin(tmp_path, script)))


def test_a_plugin_may_print_a_client_certificate(standin: StandIn, tmp_path: Path) -> None:
    mine = standin.authority.user("tester")
    said = tmp_path / "credential"
    pair = {"clientCertificateData": mine.certificate.decode(), "clientKeyData": mine.key.decode()}
    said.write_text(credential(**pair))
    assert "default" in namespaces(standin.kubeconfig(tmp_path, user=plugin(tmp_path, f"cat {said}")))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'please log in' >&2; exit 1", "failed with status 1\n    please log in"),
        ("echo nonsense", "printed no credential"),
        ("echo '{\"status\": {}}'", "printed no credential"),
    ],
)
def test_a_plugin_that_fails_is_named_with_its_own_words(
    standin: StandIn, tmp_path: Path, script: str, said: str
) -> None:
    with pytest.raises(ClusterAuthError, match=said):
        namespaces(standin.kubeconfig(tmp_path, user=plugin(tmp_path, script)))


def test_a_plugin_that_is_not_installed_comes_with_its_hint(standin: StandIn, tmp_path: Path) -> None:
    user = {"exec": {"command": "no-such-plugin", "installHint": "get it from your cloud"}}
    with pytest.raises(ClusterAuthError, match="no-such-plugin, which isn't installed") as caught:
        namespaces(standin.kubeconfig(tmp_path, user=user))
    assert caught.value.fix == "get it from your cloud"


def test_a_refused_token_is_an_error_that_does_not_show_it(standin: StandIn, tmp_path: Path) -> None:
    with pytest.raises(ClusterAuthError) as caught:
        namespaces(standin.kubeconfig(tmp_path, token="very-secret"))
    assert caught.value.status == 401
    assert "very-secret" not in str(caught.value) + repr(caught.value.__dict__)


def test_a_server_with_another_authority_is_not_trusted_unless_told_to(
    standin: StandIn, tmp_path: Path
) -> None:
    file = standin.kubeconfig(tmp_path)
    document = json.loads(file.read_text())
    other = base64.b64encode(Authority("other").pem).decode()
    document["clusters"][0]["cluster"]["certificate-authority-data"] = other
    file.write_text(json.dumps(document))
    with pytest.raises(ClusterError, match="certificate that the kubeconfig doesn't vouch for"):
        namespaces(file)
    document["clusters"][0]["cluster"] = {"server": standin.url, "insecure-skip-tls-verify": True}
    file.write_text(json.dumps(document))
    assert "default" in namespaces(file)


def test_the_name_to_expect_of_the_server_can_be_another(standin: StandIn, tmp_path: Path) -> None:
    file = standin.kubeconfig(tmp_path)
    document = json.loads(file.read_text())
    cluster = document["clusters"][0]["cluster"]
    cluster["tls-server-name"] = "localhost"
    file.write_text(json.dumps(document))
    assert "default" in namespaces(file)
    cluster["tls-server-name"] = "elsewhere"
    file.write_text(json.dumps(document))
    with pytest.raises(ClusterError, match="elsewhere"):
        namespaces(file)


def test_nobody_at_the_address_is_said_with_the_context(tmp_path: Path) -> None:
    file = simple(tmp_path / "config", "a")
    file.write_text(file.read_text().replace("https://a.test:6443", "https://127.0.0.1:1"))
    with pytest.raises(ClusterError, match=r"can't be reached.*refused") as caught:
        namespaces(file)
    assert "context 'a'" in caught.value.message
