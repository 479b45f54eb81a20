"""What runs pgslate inside a Kubernetes cluster: the manifests that `pgslate kube` prints."""

from __future__ import annotations

from pgslate.targets.kubernetes.manifests import Database, to_yaml
from pgslate.targets.kubernetes.manifests import init_container_manifest as init_container
from pgslate.targets.kubernetes.manifests import job_manifest as job

__all__ = ["Database", "init_container", "job", "to_yaml"]
