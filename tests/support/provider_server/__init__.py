"""What the loopback counterparties of all providers have in common.

A provider's own folder says what its API takes, keeps and answers. Here is the rest: the listener and its connections,
the journal, gates, scripts of replies, the faults and the exchange that suffers them, the judge's way with the SDK's
types, and the pytest fixtures. See `ProviderServer`.
"""

from __future__ import annotations
