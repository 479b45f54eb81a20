"""``sample``: each of the catalogs of this folder in turn."""

from __future__ import annotations

import pytest
from tests.catalogs.samples import SAMPLES, Sample


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.name)
def sample(request: pytest.FixtureRequest) -> Sample:
    found = request.param
    assert isinstance(found, Sample)
    return found
