"""One stage for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.accept.metrics.stage import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start them all, and end them."""
    with ExitStack() as exits:
        yield Stage(tmp_path_factory.mktemp("metrics"), exits)
