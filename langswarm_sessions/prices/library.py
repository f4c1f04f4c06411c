"""Prices of models from the library genai-prices: a table that comes with it. Nothing is fetched.

Loading the table takes a moment: it is loaded by a thread while the first answer is awaited.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from langswarm_sessions.prices.loading import BackgroundLoad
from langswarm_sessions.prices.rates import Rates

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

    from langswarm_sessions.prices.table import PriceTable

__all__ = ["LIBRARY", "LoadedLibrary", "PriceLibrary", "is_public"]

logger = logging.getLogger(__name__)

_LOCAL = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test", ".example")


class LoadedLibrary:
    """The library, once it is loaded. Its table is the one in force: one that a program keeps up to date is used, too.

    Args:
        source: The library and its version, as figures name it.
        snapshot: Returns the table in force.
        table: Makes it ours.
    """

    def __init__(
        self, *, source: str, snapshot: Callable[[], DataSnapshot], table: Callable[[DataSnapshot], PriceTable]
    ) -> None:
        self.source = source
        self._snapshot = snapshot
        self._new_table = table
        self._table = table(snapshot())

    @property
    def table(self) -> PriceTable:
        """The table in force."""
        table, snapshot = self._table, self._snapshot()
        if table.snapshot is not snapshot:
            self._table = table = self._new_table(snapshot)
        return table

    def rates(self, host: str, model: str, *, at: datetime, terms: Mapping[str, str]) -> Rates | None:
        """Return the prices of a model; None when the table does not know them all.

        Args:
            host: Where the request went.
            model: The model, as the provider names it.
            at: When it answered: prices change.
            terms: What set the request apart from a standard one.
        """
        return self.table.rates(host, model, at=at, terms=terms)


class PriceLibrary:
    """The library as one process has it: not there, under way, or loaded."""

    def __init__(self) -> None:
        self._has_warned = False
        self._load = BackgroundLoad(self._loading, name="langswarm-sessions-prices")

    def start_loading(self) -> None:
        """Have it loaded by a thread, unless it is or was."""
        self._load.start()

    @property
    def at_once(self) -> LoadedLibrary | None:
        """The library, if it is loaded."""
        return self._load.value

    async def loaded(self) -> LoadedLibrary | None:
        """Return the library; wait until it is loaded, though not for long. None when it is not."""
        return await self._load.loaded()

    def _loading(self) -> LoadedLibrary | None:
        try:
            from genai_prices import __version__
            from genai_prices.data_snapshot import get_snapshot

            from langswarm_sessions.prices.table import PriceTable

            return LoadedLibrary(source=f"genai-prices {__version__}", snapshot=get_snapshot, table=PriceTable)
        except Exception as error:  # noqa: BLE001 - whatever a library does when it is imported: no turn fails over it
            if not self._has_warned:
                self._has_warned = True
                logger.warning("The table of prices cannot be read (%s): turns get no cost.", type(error).__name__)
            return None


LIBRARY = PriceLibrary()
"""The one of this process."""


@lru_cache(maxsize=1_024)
def is_public(host: str | None) -> bool:
    """Whether a host can be a provider's own: not an address, nor a name of a local network."""
    if not host or "." not in host or host.endswith(_LOCAL):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
