"""Run every benchmark and print the figures as ratios of this run.

make bench                        everything (some minutes)
make bench BENCH_ARGS=--quick     up to 10,000 stored messages
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.bare import bare_turn
from tests.benchmarks.exporters import exporter_tails
from tests.benchmarks.footprint import (
    bytes_per_handle,
    bytes_per_message,
    import_milliseconds,
    opening_milliseconds,
)
from tests.benchmarks.growth import growth
from tests.benchmarks.measure import ROUNDS, Turn, median_of_rounds
from tests.benchmarks.ours import manager_on, our_turn
from tests.benchmarks.peers import agents_turn, langchain_turn
from tests.benchmarks.report import (
    print_checkpoints,
    print_costs,
    print_figures,
    print_growth,
    print_native_bytes,
    print_prefixes,
    print_split,
    print_tails,
    print_telemetry,
)
from tests.benchmarks.split import where_the_time_goes
from tests.benchmarks.telemetry import telemetry_cost
from tests.benchmarks.wire import TURNS, WINDOW_TOKENS, native_bytes, prefix_shares

WINDOW = 20
WIRE_LENGTHS = (10, 1_000, 10_000)
LENGTHS = (100, 1_000, 10_000, 100_000)


async def costs_at(folder: Path, stored: int) -> dict[str, float]:
    """Return milliseconds a turn of every system on a conversation of `stored` messages."""
    native, client = (
        manager_on(folder, f"native-{stored}", telemetry=False),
        manager_on(folder, f"client-{stored}", telemetry=False),
    )
    async with native, client:
        systems: dict[str, Turn] = {
            "bare sqlite3": bare_turn(folder, stored=stored, window=0),
            f"bare sqlite3, window {WINDOW}": bare_turn(folder, stored=stored, window=WINDOW),
            "ours, native": await our_turn(native, stored=stored, strategy="native", window=WINDOW),
            f"ours, client, window {WINDOW}": await our_turn(client, stored=stored, strategy="client", window=WINDOW),
            "OpenAI Agents SQLiteSession": await agents_turn(folder, stored=stored, window=None),
            f"OpenAI Agents SQLiteSession, limit {WINDOW}": await agents_turn(folder, stored=stored, window=WINDOW),
            "LangChain SQLChatMessageHistory": await langchain_turn(folder, stored=stored),
        }
        return await median_of_rounds(systems, turns=30 if stored < 10_000 else 5, rounds=ROUNDS)


async def graphs(folder: Path) -> None:
    """Measure and print what checkpointers of graphs cost."""
    if find_spec("langgraph") is None:
        print("Checkpointers are left out: LangGraph is not installed here.")
        return
    from tests.benchmarks.checkpoints import TURNS_HELD, checkpoint_costs

    costs = {turns: await checkpoint_costs(folder, turns=turns, rounds=ROUNDS) for turns in TURNS_HELD}
    print_checkpoints(
        {turns: cost.milliseconds for turns, cost in costs.items()},
        {turns: cost.added for turns, cost in costs.items()},
    )


async def main(lengths: tuple[int, ...]) -> None:
    """Measure and print."""
    print_prefixes(prefix_shares(), turns=TURNS, tokens=WINDOW_TOKENS)
    print_native_bytes(native_bytes(WIRE_LENGTHS), lengths=WIRE_LENGTHS)
    with tempfile.TemporaryDirectory(prefix="langswarm-bench-") as name:
        folder = Path(name)
        costs = {stored: await costs_at(folder, stored) for stored in lengths}
        print_costs(costs)
        for strategy in ("native", "client"):
            ratios = await growth(folder, lengths, strategy=strategy, window=WINDOW)
            print_growth(strategy, ratios, shortest=lengths[0])
        await graphs(folder)
        print_split(await where_the_time_goes(folder))
        print_telemetry(await telemetry_cost(folder))
        print_tails(exporter_tails(folder, rounds=500 if lengths == LENGTHS[:3] else 3_000))
        opening = await opening_milliseconds(folder)
        print_figures(
            opening=opening,
            import_ms=import_milliseconds(),
            handle_bytes=await bytes_per_handle(folder),
            message_bytes=await bytes_per_message(folder),
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the conversation of 100,000 messages")
    asyncio.run(main(LENGTHS[:3] if parser.parse_args().quick else LENGTHS))
