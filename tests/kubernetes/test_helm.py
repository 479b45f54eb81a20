"""The chart through Helm itself, where its SDK is installed: it takes it, and ``helm.py`` renders the same.

``pip install helm-python-sdk`` brings it, Helm 4 as a library of 75 MB: too much for everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kubernetes.helm import Chart, merged

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "pgslate"

LOGIN = {"database": {"user": "app"}}

VALUES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "plain jobs with a ConfigMap": {
        "apply": {"contracts": ["a", "b"], "hook": "", "form": "objects", "catalogConfigMap": "m"}
    },
    "serve": {"serve": {"enabled": True, "replicas": 3}},
    "a host": {"database": {"host": "db.example.org", "port": 6432}},
    "another service": {"database": {"service": "orders-db", "podLabels": {"x": "y", "a": "b"}}},
    "users": {"users": {"groups": ["a", "b"]}},
    "nothing": {"apply": {"enabled": False}, "networkPolicy": {"enabled": False}},
}


@pytest.fixture(scope="module")
def helm() -> Any:
    return pytest.importorskip("helm_python", reason="helm-python-sdk isn't installed")


def documents(text: str) -> list[Any]:
    return [document for document in yaml.safe_load_all(text) if document]


def test_helm_finds_nothing_to_say_against_the_chart(helm: Any) -> None:
    report = helm.lint(CHART, LOGIN, strict=True, kube_version="v1.36.0")
    assert [message for message in report["messages"] if message["severity"] > 1] == []  # 1 is for its taste


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_helm_renders_what_the_other_tests_look_at(helm: Any, values: dict[str, Any]) -> None:
    values = merged(LOGIN, values)
    theirs = helm.Chart.load(CHART).render(values, name="demo", namespace="test")
    ours = Chart(CHART, **values)
    for file in sorted((CHART / "templates").glob("*.yaml")):
        assert documents(theirs[f"pgslate/templates/{file.name}"]) == ours.render(file.name), file.name
