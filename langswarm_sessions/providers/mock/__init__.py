"""The mock provider: every path of a session without a key or a network."""

from __future__ import annotations

from langswarm_sessions.providers.mock.connection import MockConnection
from langswarm_sessions.providers.mock.faults import MockFault, MockStored
from langswarm_sessions.providers.mock.script import MockScript
from langswarm_sessions.providers.mock.session import MockProviderSession

__all__ = ["MockConnection", "MockFault", "MockProviderSession", "MockScript", "MockStored"]
