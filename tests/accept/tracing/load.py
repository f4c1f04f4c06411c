"""The load as a program: `python -m tests.accept.tracing.load`; what it did goes into a file."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.accept.tracing.account import Account
from tests.accept.tracing.stage import Stage, on_stage
from tests.accept.tracing.stories import LATER, STORIES, put_away

EXPORT_SECONDS = 60.0  # a backend that has just started takes its time over the first request


async def _play(options: argparse.Namespace) -> Account:
    account = Account.from_json(options.account.read_text()) if options.account.exists() else Account()
    told = LATER if options.again else STORIES
    async with on_stage(suffix=options.suffix, database=options.database, account=account) as stage:
        for story in told:
            if not options.only or story.__name__ in options.only:
                await story(stage)
        await _meter(stage)
        if options.again:
            await put_away(stage)
    return account


async def _meter(stage: Stage) -> None:
    for name, session in stage.account.spoken.items():
        if not {"clear_messages", "delete"} & {*session.transitions}:  # nothing is told of those
            metrics = await (await stage.manager.get_session(name)).get_metrics()
            session.metered_tokens = metrics.total_tokens


def _pairs(given: Sequence[str]) -> dict[str, str] | None:
    return dict(pair.split("=", 1) for pair in given) or None


def main() -> None:
    """Play the stories with telemetry set up as a user would."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--protocol", default="http/protobuf")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--resource", action="append", default=[])
    parser.add_argument("--suffix", required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--account", type=Path, required=True)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    from langswarm_sessions_otel import configure_telemetry

    telemetry = configure_telemetry(
        service_name="support-desk",
        endpoint=options.endpoint,
        protocol=options.protocol,
        headers=_pairs(options.header),
        resource_attributes=_pairs(options.resource),
        export_timeout=EXPORT_SECONDS,
        shutdown_timeout=EXPORT_SECONDS,
    )
    account = asyncio.run(_play(options))
    options.account.write_text(account.as_json())
    assert telemetry.shutdown(), "not every span was taken"


if __name__ == "__main__":
    main()
