"""The conformance suite of storages: what the turn engine, sessions and the manager rely on, as tests to inherit.

    class TestMine(StorageContract):
        @pytest.fixture
        async def storage(self):
            storage = MyStorage()
            yield storage
            await storage.close()

Add `SharedStorageContract` for a storage that several openers share. A storage that does less takes the parts it can
do: `TurnContract`, `LeaseContract`, `KeptLeaseContract`, `RerunContract`, `ReadingContract`, `ClearingContract`,
`RetiredSessionContract`, `SessionsContract`, `SummaryContract`, `AmendmentContract`, `ConversationContract`. Add
`CheckpointContract` for a storage that keeps checkpoints of graphs. Run it with pytest and pytest-asyncio
(`asyncio_mode = "auto"`).
"""

from __future__ import annotations

from langswarm_sessions.testing.storage_amendments import AmendmentContract
from langswarm_sessions.testing.storage_checkpoints import CheckpointContract
from langswarm_sessions.testing.storage_conversations import ConversationContract
from langswarm_sessions.testing.storage_kept_leases import KeptLeaseContract
from langswarm_sessions.testing.storage_kit import StorageFixtures, StorageKit
from langswarm_sessions.testing.storage_leases import LeaseContract
from langswarm_sessions.testing.storage_reading import ClearingContract, ReadingContract
from langswarm_sessions.testing.storage_reruns import RerunContract
from langswarm_sessions.testing.storage_sessions import SessionsContract
from langswarm_sessions.testing.storage_shared import SharedStorageContract
from langswarm_sessions.testing.storage_summaries import SummaryContract
from langswarm_sessions.testing.storage_turns import RetiredSessionContract, TurnContract

__all__ = [
    "AmendmentContract",
    "CheckpointContract",
    "ClearingContract",
    "ConversationContract",
    "KeptLeaseContract",
    "LeaseContract",
    "ReadingContract",
    "RerunContract",
    "RetiredSessionContract",
    "SessionsContract",
    "SharedStorageContract",
    "StorageContract",
    "StorageFixtures",
    "StorageKit",
    "SummaryContract",
    "TurnContract",
]


class StorageContract(
    TurnContract,
    LeaseContract,
    KeptLeaseContract,
    RerunContract,
    ReadingContract,
    ClearingContract,
    RetiredSessionContract,
    SessionsContract,
    SummaryContract,
    AmendmentContract,
    ConversationContract,
):
    """The whole suite. Override the fixture `storage`."""
