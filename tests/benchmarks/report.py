"""Printing the figures, beside the goals they are measured against."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.benchmarks.exporters import OFF, RECEIVERS, ExporterTails, Interval
from tests.benchmarks.telemetry import TelemetryCost

__all__ = [
    "print_checkpoints",
    "print_costs",
    "print_figures",
    "print_growth",
    "print_native_bytes",
    "print_prefixes",
    "print_split",
    "print_tails",
    "print_telemetry",
]

console = Console(width=130)

_GOAL_RATIO = 20
_BARE = "bare sqlite3"


def print_costs(costs: dict[int, dict[str, float]]) -> None:
    """Print milliseconds a turn by system and length, each with its ratio to the bare turn of the same kind."""
    table = Table(title="A turn on a conversation of N stored messages: ms (times the bare sqlite3 turn)")
    table.add_column("system")
    for stored in costs:
        table.add_column(f"N = {stored:,}", justify="right")
    first = next(iter(costs.values()))
    for name in first:
        table.add_row(name, *(_cell(name, figures) for figures in costs.values()))
    console.print(table)
    for name in first:
        if name.startswith("ours"):
            console.print(f"{name}: bare ratio at most {_worst(name, costs):.1f}x (goal: at most {_GOAL_RATIO}x)")


def print_growth(name: str, ratios: dict[int, float], *, shortest: int) -> None:
    """Print how a turn grows with its conversation, beside the goal."""
    told = ", ".join(f"{ratio:.2f}x at {stored:,}" for stored, ratio in ratios.items())
    console.print(f"ours, {name}, side by side with {shortest:,} messages: {told} (goal: at most 1.15x)")


def _cell(name: str, figures: dict[str, float]) -> str:
    return f"{figures[name]:.3f} ({figures[name] / _yardstick(name, figures):.1f}x)"


def _yardstick(name: str, figures: dict[str, float]) -> float:
    windowed = [other for other in figures if other.startswith(f"{_BARE}, ")]
    return figures[windowed[0] if "window" in name and windowed else _BARE]


def _worst(name: str, costs: dict[int, dict[str, float]]) -> float:
    return max(figures[name] / _yardstick(name, figures) for figures in costs.values())


def print_checkpoints(milliseconds: dict[int, dict[str, float]], added: dict[int, dict[str, float]]) -> None:
    """Print by checkpointer what a turn of a graph takes and stores, by turns of the thread."""
    table = Table(title="A turn of a graph on a thread of N turns: ms (times InMemorySaver), bytes a turn adds")
    table.add_column("checkpointer")
    for turns in milliseconds:
        table.add_column(f"N = {turns:,}", justify="right")
    first = next(iter(milliseconds.values()))
    for name in first:
        cells: list[str] = []
        for turns, figures in milliseconds.items():
            size = added[turns].get(name)
            cell = f"{figures[name]:.1f} ({figures[name] / figures['InMemorySaver']:.1f}x)"
            cells.append(cell if size is None else f"{cell}, {size:,.0f} B")
        table.add_row(name, *cells)
    console.print(table)


def print_split(parts: dict[str, float]) -> None:
    """Print where the time of a turn goes."""
    table = Table(title="Where the time of a native turn goes")
    table.add_column("part")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    whole = next(iter(parts.values()))
    for name, milliseconds in parts.items():
        table.add_row(name, f"{milliseconds:.3f}", f"{milliseconds / whole:.0%}")
    console.print(table)


def print_telemetry(cost: TelemetryCost) -> None:
    """Print what telemetry adds to a turn beside its goals."""
    table = Table(title=f"What telemetry adds to a native turn of {cost.off_ms:.2f} ms")
    table.add_column("telemetry")
    table.add_column("measured", justify="right")
    table.add_column("goal", justify="right")
    table.add_row("off in both: what cannot be told from 0", f"{cost.again_ms / cost.off_ms:+.1%}", "-")
    table.add_row("without an SDK", f"{cost.api_ms / cost.off_ms:+.1%}", "3 %")
    table.add_row("with SDK and batch exporter", f"{cost.sdk_ms:+.3f} ms", "0.25 ms")
    recorded = f"{cost.spans} spans and {cost.measurements} measurements"
    table.add_row(f"the SDK alone, told the same {recorded} at the same moments", f"{cost.alone_ms:+.3f} ms", "-")
    table.add_row("so this library's own part", f"{cost.sdk_ms - cost.alone_ms:+.3f} ms", "-")
    console.print(table)


def print_tails(tails: ExporterTails) -> None:
    """Print what receivers that do not take telemetry add to the slowest turns, beside the goal."""
    where = "in memory" if tails.in_memory else "on disk"
    table = Table(
        title="What a receiver that takes no telemetry adds to the slowest native turns, in ms",
        caption=f"{tails.rounds:,} turns each, {tails.pause_ms:.0f} ms apart: processes with telemetry of each kind do "
        f"one turn each, by turns, on one database {where}. In [ ]: 90 % of resamplings of the rounds.",
    )
    table.add_column("telemetry")
    for column in ("p50", "p99", "p99 above off (goal: 1)", "p99 above recording alone"):
        table.add_column(column, justify="right")
    for kind, tail in tails.tails.items():
        added = "-" if kind == OFF else _interval(tail.added)
        beyond = _interval(tail.beyond_recording) if kind in RECEIVERS else "-"
        table.add_row(kind, f"{tail.median:.2f}", f"{tail.p99:.2f}", added, beyond)
    console.print(table)


def _interval(interval: Interval) -> str:
    figure, low, high = interval
    return f"{figure:+.2f} [{low:+.2f} {high:+.2f}]"


def print_figures(
    *,
    opening: dict[str, float],
    import_ms: float,
    handle_bytes: float,
    message_bytes: float,
) -> None:
    """Print the other figures beside their goals."""
    table = Table(title="Other figures")
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("goal", justify="right")
    table.add_row("import langswarm_sessions, beyond bare Python", f"{import_ms:.0f} ms", "150 ms")
    table.add_row("memory of an idle session handle", f"{handle_bytes:,.0f} B", "4,096 B")
    table.add_row("disk of a message of 200 characters", f"{message_bytes:,.0f} B", "-")
    for name, milliseconds in opening.items():
        table.add_row(name, f"{milliseconds:.2f} ms", "2 ms" if name.startswith("create") else "5 ms")
    console.print(table)


def print_prefixes(shares: dict[str, tuple[float, float]], *, turns: int, tokens: int) -> None:
    """Print by provider how much of a request begins as the one before did."""
    table = Table(title=f"Bytes of a client's request that are those of the request before ({turns} turns)")
    table.add_column("provider")
    table.add_column(f"ours, window {tokens:,} tokens", justify="right")
    table.add_column("a window that slides every turn", justify="right")
    for name, (ours, sliding) in shares.items():
        table.add_row(name, f"{ours:.1%}", f"{sliding:.1%}")
    console.print(table)


def print_native_bytes(sizes: dict[str, list[tuple[int, int]]], *, lengths: Sequence[int]) -> None:
    """Print by provider what a turn sends, natively and as a client, after so many messages."""
    table = Table(title="Bytes a turn sends after N messages: native / client with the default window")
    table.add_column("provider")
    for length in lengths:
        table.add_column(f"N = {length:,}", justify="right")
    for name, found in sizes.items():
        table.add_row(name, *(f"{native:,} / {client:,}" for native, client in found))
    console.print(table)
