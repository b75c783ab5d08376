"""Writes docs/performance.md, its plots and its raw figures, from one run. Nobody edits them by hand."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.cold import REDIS_ONLY, WITH_LAYER, WITHOUT_BYTECODE
from benchmarks.contenders import FLOOR, HANDLER, LIBRARY, ROOT
from benchmarks.workload import NEW_OPERATIONS, OPERATIONS

DOCS = ROOT / "docs"
TRIED = Path(__file__).with_name("tried.md")

# Targets for p50: the highest ratio of the handler to a bare library call of redis-sessions, and to the floor.
LIBRARY_TARGETS = {"get": 0.9, "set": 0.9, "kill": 0.6, "soid": 1.0, "create": 1.2, "activity": 3.0}
FLOOR_TARGETS = {"get": 2.5, "set": 2.5}
# The operations whose target is one round trip. For the others it is two.
ONE_ROUND_TRIP = ("create", "get", "set", "kill", "activity")

Rows = list[list[str]]


def table(head: list[str], rows: Rows) -> str:
    """A Markdown table. The first column is aligned left, the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratio(ours: list[Any], theirs: list[Any], of: Callable[[Any], float] = lambda row: row["p50"]) -> tuple[float, str]:
    """The median of the ratios of all rounds, and a text with the median, the lowest and the highest."""
    ratios = [of(a) / of(b) for a, b in zip(ours, theirs, strict=True)]
    middle = statistics.median(ratios)
    return middle, f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def verdict(value: float, limit: float) -> str:
    """Whether `value` meets a target of at most `limit`."""
    return f"≤ {limit:g}: {'met' if value <= limit else '**missed**'}"


def at_least(value: float, limit: float) -> str:
    """Whether `value` meets a target of at least `limit`."""
    return f"≥ {limit:g}: {'met' if value >= limit else '**missed**'}"


def median(rows: list[Any], key: str) -> float:
    """The median of the value `key` over all rounds."""
    return statistics.median(row[key] for row in rows)


def warm(results: dict[str, Any]) -> str:
    """The table of warm operations."""
    rows: Rows = []
    with_library = LIBRARY in results["get"]
    for operation, found in results.items():
        ours, floor, theirs = found[HANDLER], found[FLOOR], found.get(LIBRARY)
        row = [operation, f"{median(ours, 'p50'):.0f} / {median(ours, 'p99'):.0f}", f"{median(floor, 'p50'):.0f}"]
        to_floor = ratio(ours, floor)
        row += [to_floor[1], verdict(to_floor[0], FLOOR_TARGETS[operation]) if operation in FLOOR_TARGETS else ""]
        if theirs:
            to_library = ratio(ours, theirs)
            row += [f"{median(theirs, 'p50'):.0f} / {median(theirs, 'p99'):.0f}", to_library[1]]
            row += [verdict(to_library[0], LIBRARY_TARGETS[operation]) if operation in LIBRARY_TARGETS else ""]
        elif with_library:
            row += ["", "", ""]
        rows.append(row)
    head = ["operation", "handler p50 / p99, µs", "floor p50, µs", "handler / floor", "target"]
    if with_library:
        head += ["redis-sessions p50 / p99, µs", "handler / redis-sessions", "target"]
    return table(head, rows)


def redis_time(results: dict[str, Any]) -> str:
    """The table of the time inside Redis and of the round trips, of the operations that redis-sessions has too."""
    rows: Rows = []
    for operation in OPERATIONS:
        ours, theirs = results[operation][HANDLER], results[operation][LIBRARY]
        value, text = ratio(ours, theirs, lambda row: row["redis"])
        trips = median(ours, "round_trips")
        wanted = verdict(round(trips, 1), 1) if operation in ONE_ROUND_TRIP else verdict(round(trips, 1), 2)
        row = [operation, f"{median(ours, 'redis'):.1f}", f"{median(theirs, 'redis'):.1f}", text, verdict(value, 1)]
        rows.append([*row, f"{trips:.2f}", wanted, f"{median(theirs, 'round_trips'):.2f}"])
    head = [
        "operation",
        "handler, µs",
        "redis-sessions, µs",
        "ratio",
        "target",
        "round trips",
        "target",
        "redis-sessions' round trips",
    ]
    return table(head, rows)


def new_operations(results: dict[str, Any]) -> str:
    """The table of what redis-sessions lacks, each beside the operation of ours that it extends."""
    rows: Rows = []
    for operation in NEW_OPERATIONS:
        base = operation.rpartition(" ")[2] if " " in operation else "get"
        ours, plain = results[operation][HANDLER], results[base][HANDLER]
        row = [operation, base, ratio(ours, plain)[1], ratio(ours, plain, lambda row: row["redis"])[1]]
        rows.append([*row, f"{median(ours, 'redis'):.1f}", f"{median(ours, 'round_trips'):.2f}"])
    head = ["operation", "beside", "time", "time inside Redis", "inside Redis, µs", "round trips"]
    return table(head, rows)


def cold(results: dict[str, Any]) -> str:
    """The table of cold starts."""
    rows: Rows = []
    for function in ("create_session", "get_session"):
        found = results[function]
        layer = found[WITH_LAYER]
        for name, times in found.items():
            row = [function, name, f"{statistics.median(times):.0f} ({min(times):.0f} to {max(times):.0f})"]
            if name == WITH_LAYER:
                row += ["", ""]
            else:
                value, text = ratio(times, layer, lambda time: time)
                wanted = {
                    REDIS_ONLY: f"layer / contender {verdict(round(1 / value, 2), 1.4)}",
                    WITHOUT_BYTECODE: at_least(value, 2.5),
                    LIBRARY: at_least(value, 1),
                }
                row += [text, wanted[name]]
            rows.append(row)
    return table(["function", "contender", "ms (lowest to highest)", "contender / layer", "target"], rows)


def scale(results: dict[str, Any]) -> str:
    """The table of operations by number of sessions."""
    sizes = list(results["sizes"])
    rows: Rows = []
    for name in results["sizes"][sizes[0]]:
        for operation in [key for key in results["sizes"][sizes[0]][name] if key not in ("bytes", "killall")]:
            found = [results["sizes"][size][name][operation] for size in sizes]
            growth = found[-1]["p50"] / found[0]["p50"]
            cells = [f"{f['p50']:.0f} / {f['p99']:.0f}" for f in found]
            rows.append(
                [f"{name}: {operation}", *cells, f"{growth:.2f}", verdict(growth, 1.3) if name == HANDLER else ""]
            )
    head = ["p50 / p99, µs, at", *[f"{int(size):,}" for size in sizes], "last / first, p50", "target"]
    return table(head, rows)


def memory(results: dict[str, Any]) -> str:
    """The table of the memory that a session takes."""
    rows: Rows = []
    for size, found in results["sizes"].items():
        ours, theirs = found[HANDLER]["bytes"], found.get(LIBRARY, {}).get("bytes")
        row = [f"{int(size):,}", f"{ours:.0f}"]
        if theirs:
            row += [f"{theirs:.0f}", f"{ours / theirs:.2f}", verdict(ours / theirs, 0.9)]
        rows.append(row)
    return table(["sessions", "bytes per session", "redis-sessions", "ratio", "target"], rows)


def removal(results: dict[str, Any]) -> str:
    """The table of killall and the sweep, and what they do to readers."""
    rows: Rows = []
    for what in ("killall", "sweep"):
        for name, found in results[what].items():
            quiet, meanwhile = found["quiet"]["p99"], found["meanwhile"]["p99"]
            count = found.get("sessions") or max(map(int, results["sizes"]))
            answer = found["answer"]
            row = [f"{what}, {name}", f"{count:,}", f"{found['seconds']:.1f}", f"{quiet:.0f}", f"{meanwhile:.0f}"]
            row += [f"{meanwhile / quiet:.1f}", verdict(meanwhile / quiet, 5) if name == HANDLER else ""]
            row += [f"{found['meanwhile']['max'] / 1000:.0f}", answer if isinstance(answer, str) else ""]
            rows.append(row)
    head = [
        "",
        "sessions",
        "s",
        "readers' p99 before, µs",
        "during, µs",
        "ratio",
        "target",
        "longest read, ms",
        "failed",
    ]
    return table(head, rows)


def throughput(results: dict[str, Any]) -> str:
    """The table of parallel clients."""
    rows = [
        [
            str(count),
            *[f"{found[count]['per_second']:,.0f}, {found[count]['p99'] / 1000:.1f}" for found in results.values()],
        ]
        for count in next(iter(results.values()))
    ]
    return table(["clients", *[f"{name}: gets per second, p99 in ms" for name in results]], rows)


def write(results: dict[str, Any]) -> None:
    """Writes docs/performance.md, docs/performance.json and the plots."""
    results = json.loads(json.dumps(results))
    (DOCS / "performance.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results)
    machine = results["machine"]
    spread = results["spread"]
    parts = [
        "# How fast is it?",
        f"Written by `make bench` on {machine['date']}; the raw figures are in [performance.json](performance.json). "
        f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, {machine['redis']}, Node {machine['node']}, "
        "all on one machine. Absolute times mean little there, so each claim about time is a ratio from one run. Where contenders take "
        "turns, each round gives a ratio. The tables show the median of these ratios, then the lowest and the highest in brackets. So it "
        "may differ from the ratio of two medians beside it.",
        "## Warm: one operation",
        "The handler is the whole function, from API Gateway's event to its answer. redis-sessions 4.0.0 is a bare library call "
        "in Node, without HTTP, parsing or keys. The floor sends the handler's commands over a bare socket with hiredis, and does "
        "nothing else. `soid` and `killsoid` find 5 sessions, `soapp` lists 100.",
        "![p50 of each operation](performance-warm.svg)",
        warm(results["warm"]),
        "The time inside Redis, from `INFO commandstats`, and the round trips, as Redis counts them:",
        redis_time(results["warm"]),
        "What login, rotation, a cap and a caller's own token cost, as ratios to our own `get` or `create` of the same round. "
        "A pointer leads to the session of a token that the caller chose and that is not in the user's partition. The cap ends one "
        "session with each call.",
        new_operations(results["warm"]),
        "## Cold: from a process's start to its first answer",
        "In Lambda's container image, with `python3.13` alone (without Lambda's runtime client, which every function has) and all "
        "files in memory.",
        "![cold starts](performance-cold.svg)",
        cold(results["cold"]),
        "Import time of each package's own modules (`-X importtime`), in ms: "
        + ", ".join(f"{name} {us / 1000:.1f}" for name, us in results["cold"]["imports"].items())
        + ".",
        "## To a million sessions in one app",
        "![p50 by sessions](performance-scale.svg)",
        scale(results["scale"]),
        "Memory, with the same ids and data on both sides:",
        memory(results["scale"]),
        "Removal of all sessions, while 4 readers call `get` in another app:",
        removal(results["scale"]),
        "redis-sessions sweeps one session at a time, so it got only a tenth of the sessions.",
        "## Parallel clients",
        "Clients, Redis and all primaries share the machine's cores. So this shows the limit of the machine, not that of a cluster.",
        "![gets per second](performance-throughput.svg)",
        throughput(results["throughput"]),
        "A hash assigns the 16 partitions of an app to primaries. Of three primaries, the one with the most partitions has "
        + ", ".join(
            f"{share:.3f} times the mean with {int(apps):,} app{'s'[: int(apps) > 1]}"
            for apps, share in spread["masters"].items()
        )
        + f". Of the partitions of an app with 100,000 users, the one with the most has {spread['partitions']:.3f} times the mean.",
        TRIED.read_text(encoding="utf-8").strip(),
    ]
    (DOCS / "performance.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def draw(results: dict[str, Any]) -> None:
    """Draws the plots."""
    shown = [operation for operation in OPERATIONS if operation != "soapp"]
    names = list(results["warm"]["get"])
    series = {name: [median(results["warm"][operation][name], "p50") for operation in shown] for name in names}
    plots.bars(DOCS / "performance-warm.svg", "p50, µs", shown, series)
    functions = ["create_session", "get_session"]
    contenders = results["cold"]["get_session"]
    cold_series = {name: [statistics.median(results["cold"][f][name]) for f in functions] for name in contenders}
    plots.bars(DOCS / "performance-cold.svg", "ms, median", functions, cold_series)
    sizes = results["scale"]["sizes"]
    scale_series = {
        operation: ([float(size) for size in sizes], [sizes[size][HANDLER][operation]["p50"] for size in sizes])
        for operation in ("create", "get", "set", "activity")
    }
    plots.lines(DOCS / "performance-scale.svg", "sessions", "p50, µs", scale_series)
    throughput_series = {
        name: ([float(c) for c in found], [f["per_second"] for f in found.values()])
        for name, found in results["throughput"].items()
    }
    plots.lines(DOCS / "performance-throughput.svg", "clients", "gets a second", throughput_series)
