"""Conformance suites for providers and storages of your own, to be run with pytest: `providers`, `storage`.

Raises:
    MissingDependencyError: pytest is not installed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pkgutil import iter_modules

from langswarm_sessions.errors import MissingDependencyError

if find_spec("pytest") is None:
    raise MissingDependencyError(
        "langswarm_sessions.testing needs pytest: run pip install pytest pytest-asyncio, and set asyncio_mode = 'auto'."
    )

import pytest

# A failing assert of the suites tells the values it compared only if they are told to pytest before they are imported.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
