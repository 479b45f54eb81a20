"""What the end-to-end tests of the seven services share: the schema, and an environment for each service.

``migrations`` applies and verifies the tables that a service needs. ``workflowexecution``, ``gateway``,
``aianalysis``, ``notification``, ``signalprocessing``, ``remediationorchestrator`` and ``datastorage`` hold
one function each, which creates the service's environment::

    with gateway_environment() as environment:
        with AuditClient(environment.url) as client:
            ...
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datastorage.infrastructure.environment import Environment


def environment_for(service: str) -> AbstractContextManager[Environment]:
    """The environment of a service, by the service's name; progress goes to standard error.

    Raises ValueError for a name that is none of the seven services', and what the environments raise.
    """
    from datastorage.services import service as service_named

    name = service_named(service).name
    module = import_module(f"datastorage.infrastructure.{name}")
    environment: Callable[[], AbstractContextManager[Environment]] = getattr(module, f"{name}_environment")
    return environment()
