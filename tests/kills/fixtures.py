"""What talkers are copies of, made once for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kills.campaign import Zygote

__all__ = ["zygote"]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """A process that becomes talkers."""
    with Zygote() as process:
        yield process
