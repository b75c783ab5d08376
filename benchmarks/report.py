"""Writes docs/performance.md, its plots and its raw figures, from one run. Nobody edits them by hand."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

from benchmarks import ecpu, plots
from benchmarks.cold import REDIS_ONLY, WITH_LAYER, WITHOUT_BYTECODE
from benchmarks.contenders import FLOOR, HANDLER, LIBRARY, PLAIN, ROOT
from benchmarks.pairs import CLUSTER, ONE_CORE, PLAIN_OPERATIONS, TWO_CORES
from benchmarks.removal import READERS, WINDOW_SECONDS
from benchmarks.workload import NEW_OPERATIONS, OPERATIONS, PLAIN_BYTES

DOCS = ROOT / "docs"
TRIED = Path(__file__).with_name("tried.md")

# Redis's CPU time: the highest ratio to redis-sessions on one core and on two.
CPU_TARGETS = {
    "create": (1.2, 1.1),
    "get": (1.1, 0.85),
    "set": (1.15, 0.9),
    "kill": (0.75, 0.55),
    "soid": (1.15, 1.1),
    "activity": (2.2, 2.0),
}
# p50: the highest ratio of the handler to a bare library call of redis-sessions, and to the floor.
LIBRARY_TARGETS = {"get": 0.9, "set": 0.9, "kill": 0.6, "soid": 1.0, "create": 1.2, "activity": 3.0}
FLOOR_TARGETS = {"get": 2.5, "set": 2.5}
# The operations whose target is one round trip. For the others it is two.
ONE_ROUND_TRIP = ("create", "get", "set", "kill", "activity")
MEMORY_TARGET = 0.6
SCALE_TARGET = 1.2
KILLALL = "killall"
KILLALL_SECONDS_TARGET = 1.0
# How much higher the readers' p99 may be beside a removal.
KILLALL_TARGET = 1.5
SWEEP_TARGET = 5.0

Rows = list[list[str]]


class Targets:
    """Judges figures by their targets, and says which are missed: what is measured, and in which cases."""

    def __init__(self) -> None:
        self._met = 0
        self._missed: dict[str, list[str]] = {}

    def at_most(self, what: str, case: str, value: float, limit: float) -> str:
        """Whether `value`, as the tables show it, is at most `limit`."""
        return f"≤ {limit:g}: {self._judge(what, case, met=round(value, 2) <= limit)}"

    def at_least(self, what: str, case: str, value: float, limit: float) -> str:
        """Whether `value` is at least `limit`."""
        return f"≥ {limit:g}: {self._judge(what, case, met=round(value, 2) >= limit)}"

    def _judge(self, what: str, case: str, *, met: bool) -> str:
        if met:
            self._met += 1
            return "met"
        self._missed.setdefault(what, []).append(case)
        return "**missed**"

    def __str__(self) -> str:
        total = self._met + sum(map(len, self._missed.values()))
        missed = [f"{what} ({', '.join(cases)})" for what, cases in self._missed.items()]
        return f"{self._met} of {total} are met" + (f"; missed: {'; '.join(missed)}" if missed else "")


def table(head: list[str], rows: Rows) -> str:
    """A Markdown table. The first column is aligned left, the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratios(ours: list[Any], theirs: list[Any], key: str) -> list[float]:
    """The ratio of each pair of turns."""
    return [a[key] / b[key] for a, b in zip(ours, theirs, strict=True)]


def spread(values: list[float], digits: int = 2) -> str:
    """The median of all rounds, then the lowest and the highest."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def median(rows: list[Any], key: str) -> float:
    """The median of the value `key` over all rounds."""
    return statistics.median(row[key] for row in rows)


def cpu_ratios(results: dict[str, Any], placement: str, operation: str) -> list[float]:
    """The ratios of Redis's CPU time for a handler to that for redis-sessions, in the rounds of a placement."""
    found = results["pairs"][placement][operation]
    return ratios(found[HANDLER], found[LIBRARY], "cpu")


def cpu(results: dict[str, Any], targets: Targets) -> str:
    """The table of Redis's CPU time."""
    rows: Rows = []
    for operation in OPERATIONS:
        row = [operation]
        for place, placement in enumerate((ONE_CORE, TWO_CORES)):
            found = results["pairs"][placement][operation]
            wanted = CPU_TARGETS.get(operation)
            pairs = cpu_ratios(results, placement, operation)
            row += [f"{median(found[HANDLER], 'cpu'):.1f} / {median(found[LIBRARY], 'cpu'):.1f}", spread(pairs)]
            what = f"Redis's CPU on {placement}"
            row += [judged(targets, what, operation, pairs, wanted[place] if wanted else None)]
            row += [f"{statistics.median(ratios(found[HANDLER], found[LIBRARY], 'mean')):.2f}"]
        rows.append(row)
    head = ["operation"]
    for placement in (ONE_CORE, TWO_CORES):
        head += [f"{placement}: µs, ours / theirs", "ratio", "target", "wall-clock ratio"]
    return table(head, rows)


def wire(results: dict[str, Any], targets: Targets) -> str:
    """The table of bytes and round trips."""
    rows: Rows = []
    for operation in OPERATIONS:
        ours, theirs = (results["pairs"][ONE_CORE][operation][name] for name in (HANDLER, LIBRARY))
        row = [operation]
        for rows_of in (ours, theirs):
            row += [f"{median(rows_of, 'received'):,.0f} / {median(rows_of, 'sent'):,.0f}"]
        both = [median(each, "received") + median(each, "sent") for each in (ours, theirs)]
        trips = round(median(ours, "round_trips"), 1)
        wanted = targets.at_most("round trips", operation, trips, 1 if operation in ONE_ROUND_TRIP else 2)
        rows.append([*row, f"{both[0] / both[1]:.2f}", f"{trips:.1f}", wanted, f"{median(theirs, 'round_trips'):.1f}"])
    head = ["operation", "bytes to / from Redis", "redis-sessions", "ratio", "round trips", "target", "redis-sessions"]
    return table(head, rows)


def latency(results: dict[str, Any], targets: Targets) -> str:
    """The table of wall-clock times, from the turns of one placement."""
    rows: Rows = []
    shown = {operation: found for operation, found in results.items() if FLOOR in found}
    with_library = any(LIBRARY in found for found in shown.values())
    for operation, found in shown.items():
        ours, floor = found[HANDLER], found[FLOOR]
        to_floor = ratios(ours, floor, "p50")
        row = [operation, f"{median(ours, 'p50'):.0f} / {median(ours, 'p99'):.0f}", f"{median(floor, 'p50'):.0f}"]
        row += [
            spread(to_floor),
            judged(targets, "time beside the floor", operation, to_floor, FLOOR_TARGETS.get(operation)),
        ]
        if with_library:
            theirs = found[LIBRARY]
            to_library = ratios(ours, theirs, "p50")
            row += [f"{median(theirs, 'p50'):.0f} / {median(theirs, 'p99'):.0f}", spread(to_library)]
            row += [
                judged(targets, "time beside redis-sessions", operation, to_library, LIBRARY_TARGETS.get(operation))
            ]
        rows.append(row)
    head = ["operation", "handler p50 / p99, µs", "floor p50, µs", "handler / floor", "target"]
    if with_library:
        head += ["redis-sessions p50 / p99, µs", "handler / redis-sessions", "target"]
    return table(head, rows)


def judged(targets: Targets, what: str, case: str, values: list[float], limit: float | None) -> str:
    """Whether the median of `values` is at most `limit`; nothing if there is no limit."""
    return "" if limit is None else targets.at_most(what, case, statistics.median(values), limit)


def new_operations(results: dict[str, Any]) -> str:
    """The table of what redis-sessions lacks, each beside the operation of ours that it extends."""
    rows: Rows = []
    for operation in NEW_OPERATIONS:
        base = operation.rpartition(" ")[2] if " " in operation else "get"
        ours, plain = results[operation][HANDLER], results[base][HANDLER]
        row = [operation, base, spread(ratios(ours, plain, "p50")), spread(ratios(ours, plain, "cpu"))]
        rows.append([*row, f"{median(ours, 'cpu'):.1f}", f"{median(ours, 'round_trips'):.1f}"])
    return table(["operation", "beside", "time", "Redis's CPU", "Redis's CPU, µs", "round trips"], rows)


def layers(results: dict[str, Any]) -> str:
    """The table of the layers of get."""
    total = sum(statistics.median(values) for values in results.values())
    rows = [
        [layer, spread(values, 1), f"{100 * statistics.median(values) / total:.0f} %"]
        for layer, values in results.items()
    ]
    return table(["layer", "µs", "share"], rows)


def charges(found: dict[str, ecpu.Cost]) -> str:
    """The table of ECPU."""
    rows = [
        [operation, f"{cost.time:.1f}", f"{cost.kilobytes:.2f}", f"{cost.commands:.0f}", f"{cost.ecpu:.1f}"]
        for operation, cost in found.items()
    ]
    return table(["operation", "CPU time, in that of a GET or SET", "kilobytes", "commands", "ECPU"], rows)


def cold(results: dict[str, Any], targets: Targets) -> str:
    """The table of cold starts."""
    rows: Rows = []
    for function in ("create_session", "get_session"):
        found = results[function]
        layer = found[WITH_LAYER]
        for name, times in found.items():
            row = [function, name, spread(times, 0)]
            if name == WITH_LAYER:
                row += ["", ""]
            else:
                pairs = [time / own for time, own in zip(times, layer, strict=True)]
                value = statistics.median(pairs)
                what, case = "cold start", f"{function} beside {name}"
                if name == REDIS_ONLY:
                    wanted = f"layer / contender {targets.at_most(what, case, 1 / value, 1.4)}"
                else:
                    wanted = targets.at_least(what, case, value, 2.5 if name == WITHOUT_BYTECODE else 1)
                row += [spread(pairs), wanted]
            rows.append(row)
    return table(["function", "contender", "ms (lowest to highest)", "contender / layer", "target"], rows)


def growth(found: dict[str, list[float]]) -> list[float]:
    """The ratio of the largest size to the smallest, in each round."""
    small, large = found.values()
    return [b / a for a, b in zip(small, large, strict=True)]


def scale(results: dict[str, Any], targets: Targets) -> str:
    """The table of operations by number of sessions."""
    rows: Rows = []
    for operation, found in results.items():
        cells = [f"{statistics.median(values):.0f}" for values in found.values()]
        value = judged(targets, "a million sessions", operation, growth(found), SCALE_TARGET)
        rows.append([operation, *cells, spread(growth(found)), value])
    sizes = next(iter(results.values()))
    return table(["p50, µs, at", *[f"{int(size):,}" for size in sizes], "ratio", "target"], rows)


def memory(results: dict[str, Any], targets: Targets) -> str:
    """The table of the memory that a session takes."""
    rows: Rows = []
    for size, found in results.items():
        value = found[HANDLER] / found[LIBRARY]
        row = [f"{int(size):,}", f"{found[HANDLER]:.0f}", f"{found[LIBRARY]:.0f}", f"{value:.2f}"]
        rows.append([*row, targets.at_most("memory", f"{int(size):,} sessions", value, MEMORY_TARGET)])
    return table(["sessions", "bytes a session", "redis-sessions", "ratio", "target"], rows)


def slowdowns(turns: list[dict[str, Any]]) -> list[float]:
    """The ratios of the readers' p99 beside a removal to the quiet one."""
    return [turn["meanwhile"]["p99"] / turn["quiet"]["p99"] for turn in turns]


def removal(results: dict[str, Any], targets: Targets) -> str:
    """The table of killall and the sweeps, and what they do to readers."""
    rows: Rows = []
    for name, found in results.items():
        for what, turns in found["removals"].items():
            seconds = [turn["seconds"] for turn in turns]
            row = [f"{what}{', redis-sessions' if name == LIBRARY else ''}", f"{found['sessions']:,}"]
            row += [spread(seconds, 3), "", spread(slowdowns(turns)), ""]
            if name != LIBRARY:
                if what == KILLALL:
                    row[3] = judged(targets, "seconds", what, seconds, KILLALL_SECONDS_TARGET)
                limit = KILLALL_TARGET if what == KILLALL else SWEEP_TARGET
                row[5] = judged(targets, "readers' p99", what, slowdowns(turns), limit)
            row += [f"{max(turn['meanwhile']['max'] for turn in turns) / 1000:.0f}"]
            row += [next((turn["answer"] for turn in turns if isinstance(turn["answer"], str)), "")]
            rows.append(row)
    head = ["", "sessions", "s", "target", "readers' p99 / quiet", "target", "longest read, ms", "failed"]
    return table(head, rows)


def throughput(results: dict[str, Any]) -> str:
    """The table of parallel clients."""
    rows = []
    for count in next(iter(results.values())):
        row = [count]
        for found in results.values():
            row += [f"{found[count]['per_second']:,.0f}", f"{found[count]['p99'] / 1000:.1f}"]
            row += [" / ".join(f"{100 * found[count][part]:.0f}" for part in ("redis", "clients", "idle"))]
        rows.append(row)
    head = ["clients"]
    for name in results:
        head += [f"{name}: gets a second", "p99, ms", "% of a core: Redis / clients / idle"]
    return table(head, rows)


def saturation(results: dict[str, Any], cores: int) -> str:
    """What is used up when more clients bring no more gets."""
    sentences = []
    for name, found in results.items():
        count = max(found, key=lambda count: found[count]["per_second"])
        best = found[count]
        parts = {"Redis": best["redis"], "the clients' Python": best["clients"]}
        scarce = f"the {cores} cores" if best["idle"] < 0.1 * cores else "no core"
        sentences.append(
            f"On {name} the most is {best['per_second']:,.0f} gets a second, with {count} clients. "
            + " and ".join(
                f"{who} {'use' if who != 'Redis' else 'uses'} {100 * share:.0f} %" for who, share in parts.items()
            )
            + f" of a core then, and {100 * best['idle']:.0f} % of a core is idle: {scarce} of this machine "
            + f"{'are' if scarce != 'no core' else 'is'} used up, most by {max(parts, key=lambda who: parts[who])}."
        )
    return " ".join(sentences)


def summary(results: dict[str, Any], costs: dict[str, ecpu.Cost], targets: Targets) -> str:
    """The three lines that a user needs."""
    two = results["pairs"][TWO_CORES]["get"]
    one = statistics.median(cpu_ratios(results, ONE_CORE, "get"))
    both = statistics.median(cpu_ratios(results, TWO_CORES, "get"))
    killall = results["removal"][HANDLER]["removals"][KILLALL]
    sizes = list(results["memory"].values())[-1]
    slowest = max(statistics.median(growth(found)) for found in results["scale"].values())
    return "\n".join(
        [
            f"- **A request**: a whole `get` takes {median(two[HANDLER], 'p50'):.0f} µs, and a bare call of redis-sessions "
            f"{median(two[LIBRARY], 'p50'):.0f} µs. Redis's CPU is {one:.2f} times theirs on one core and {both:.2f} times on two, and a "
            f"request of the usual mix costs {ecpu.of_mix(costs):.1f} ECPU.",
            f"- **A million sessions** make an operation at most {slowest:.2f} times as slow as a thousand do; each takes {sizes[HANDLER]:.0f} "
            f"bytes, {sizes[HANDLER] / sizes[LIBRARY]:.2f} times redis-sessions'. `killall` of them answers in "
            f"{median(killall, 'seconds'):.3g} s, and readers' p99 is {statistics.median(slowdowns(killall)):.2f} times the quiet one beside it.",
            f"- **Targets**: {targets}.",
        ]
    )


def write(results: dict[str, Any]) -> None:
    """Writes docs/performance.md, docs/performance.json and the plots."""
    results = json.loads(json.dumps(results))
    (DOCS / "performance.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results)
    (DOCS / "performance.md").write_text(document(results), encoding="utf-8")


def document(results: dict[str, Any]) -> str:
    """The text of docs/performance.md."""
    targets = Targets()
    machine = results["machine"]
    busiest = results["spread"]
    two_cores = results["pairs"][TWO_CORES]
    cluster = results["pairs"][CLUSTER]
    costs = ecpu.costs(cluster, results["commands"])
    mix = ecpu.of_mix(costs)
    plain = [f"{median(cluster[operation][PLAIN], 'cpu'):.1f}" for operation in PLAIN_OPERATIONS]
    parts = [
        "## What Redis does for an operation",
        "Redis's whole CPU time (`INFO cpu`, user and system), before and after a turn of some thousands of calls: the whole handler, from "
        "API Gateway's event to its answer, beside a bare library call of redis-sessions 4.0.0 in Node. No session is used twice within "
        "two seconds, which would cost both less. Redis and its client are pinned, to one core or to one each. Nothing is subtracted. "
        "`soid` and `killsoid` find 5 sessions, `soapp` lists 100.",
        "![Redis's CPU time, as a ratio to redis-sessions'](performance-cpu.svg)",
        cpu(results, targets),
        "Bytes and round trips, as Redis counts them:",
        wire(results, targets),
        "What login, rotation, a cap and a caller's own token cost, as ratios to our own `get` or `create` of the same round, on two cores. "
        "A pointer leads to the session of a token that the caller chose and that is not in the user's partition. The cap ends one "
        "session with each call.",
        new_operations(two_cores),
        "## How long an operation takes",
        "On two cores, in the same turns. The floor sends the handler's commands over a bare socket with hiredis, and does nothing else.",
        "![p50 of each operation](performance-warm.svg)",
        latency(two_cores, targets),
        "Where a handler's `get` spends its time. Redis and its client share a core here, so that no call waits until a core wakes up. Each "
        "line is the median call with this layer, less that without it:",
        layers(results["layers"]),
        "## What ElastiCache Serverless charges",
        "AWS charges one ECPU for each kilobyte, or in proportion to vCPU time if that is more, and at least one for each command; scripts "
        "are metered by time. AWS does not say how it measures time. This is Redis's whole CPU time on two cores, on a cluster of one "
        f"node, divided by that of a plain GET or SET of {PLAIN_BYTES} bytes in the same round ({' and '.join(plain)} µs).",
        charges(costs),
        f"A request costs {mix:.1f} ECPU in this mix: "
        + ", ".join(f"{100 * share:.0f} % {operation}" for operation, share in ecpu.MIX.items())
        + f". AWS limits a slot, and so each of an app's 16 partitions, to {ecpu.ECPU_PER_SECOND_OF_SLOT:,} ECPU a second: that is "
        f"{ecpu.ECPU_PER_SECOND_OF_SLOT / mix:,.0f} such requests a second.",
        "## Cold: from a process's start to its first answer",
        "In Lambda's container image, with `python3.13` alone (without Lambda's runtime client, which every function has) and all "
        "files in memory.",
        "![cold starts](performance-cold.svg)",
        cold(results["cold"], targets),
        "Import time of each package's own modules (`-X importtime`), in ms: "
        + ", ".join(f"{name} {us / 1000:.1f}" for name, us in results["cold"]["imports"].items())
        + ".",
        "## To a million sessions in one app",
        "Two servers stay filled and take turns, on two cores:",
        "![p50 with a million sessions, as a ratio to that with a thousand](performance-scale.svg)",
        scale(results["scale"], targets),
        "Memory, with the same ids and data on both sides:",
        memory(results["memory"], targets),
        f"Removal of all sessions of an app, while {READERS} readers call `get` in other apps without a pause. Each removal has a window of at "
        f"least {WINDOW_SECONDS:g} s, and its readers are compared with those of the quiet {WINDOW_SECONDS:g} s before. `killall` only puts the "
        "sessions aside, and the next sweep removes them:",
        "![readers' p99 beside a removal, as a ratio to the quiet one](performance-removal.svg)",
        removal(results["removal"], targets),
        "## Parallel clients",
        "Clients, Redis and all primaries share the machine's cores. So this shows the limit of the machine, not that of a cluster. "
        + saturation(results["throughput"], machine["cores"]),
        "![gets per second](performance-throughput.svg)",
        throughput(results["throughput"]),
        "A hash assigns the 16 partitions of an app to primaries. Of three primaries, the one with the most partitions has "
        + ", ".join(
            f"{share:.3f} times the mean with {int(apps):,} app{'s'[: int(apps) > 1]}"
            for apps, share in busiest["masters"].items()
        )
        + f". Of the partitions of an app with 100,000 users, the one with the most has {busiest['partitions']:.3f} times the mean.",
        TRIED.read_text(encoding="utf-8").strip(),
    ]
    head = [
        "# How fast is it?",
        summary(results, costs, targets),
        f"Written by `make bench` on {machine['date']}; the raw figures are in [performance.json](performance.json). "
        f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, {machine['redis']}, Node {machine['node']}, "
        "all on one machine. Absolute times mean little there, so each claim about time is a ratio from one run. Contenders take "
        "turns, and each pair of turns gives a ratio. The tables show the median of these ratios, then the lowest and the highest in "
        "parentheses. So it may differ from the ratio of two medians beside it.",
    ]
    return "\n\n".join([*head, *parts]) + "\n"


def draw(results: dict[str, Any]) -> None:
    """Draws the plots."""
    shown = [operation for operation in OPERATIONS if operation != "soapp"]
    placements = (ONE_CORE, TWO_CORES)
    plots.bars(
        DOCS / "performance-cpu.svg",
        "Redis's CPU, redis-sessions = 1",
        list(CPU_TARGETS),
        {
            name: [statistics.median(cpu_ratios(results, name, operation)) for operation in CPU_TARGETS]
            for name in placements
        },
        {name: [CPU_TARGETS[operation][place] for operation in CPU_TARGETS] for place, name in enumerate(placements)},
    )
    turns = results["pairs"][TWO_CORES]
    series = {
        name: [median(turns[operation][name], "p50") for operation in shown] for name in (HANDLER, FLOOR, LIBRARY)
    }
    limits = [
        LIBRARY_TARGETS[operation] * median(turns[operation][LIBRARY], "p50")
        if operation in LIBRARY_TARGETS
        else math.nan
        for operation in shown
    ]
    plots.bars(DOCS / "performance-warm.svg", "p50, µs", shown, series, {HANDLER: limits})
    functions = ["create_session", "get_session"]
    contenders = results["cold"]["get_session"]
    cold_series = {name: [statistics.median(results["cold"][f][name]) for f in functions] for name in contenders}
    plots.bars(DOCS / "performance-cold.svg", "ms, median", functions, cold_series, {})
    operations = list(results["scale"])
    million = {"a million / a thousand": [statistics.median(growth(found)) for found in results["scale"].values()]}
    wanted = {name: [SCALE_TARGET] * len(operations) for name in million}
    plots.bars(DOCS / "performance-scale.svg", "p50, a thousand = 1", operations, million, wanted)
    removals = {
        what: statistics.median(slowdowns(turns))
        for name, found in results["removal"].items()
        if name != LIBRARY
        for what, turns in found["removals"].items()
    }
    beside = {"beside it": list(removals.values())}
    wanted = {name: [KILLALL_TARGET if what == KILLALL else SWEEP_TARGET for what in removals] for name in beside}
    plots.bars(DOCS / "performance-removal.svg", "readers' p99, quiet = 1", list(removals), beside, wanted)
    throughput_series = {
        name: ([float(c) for c in found], [f["per_second"] for f in found.values()])
        for name, found in results["throughput"].items()
    }
    plots.lines(DOCS / "performance-throughput.svg", "clients", "gets a second", throughput_series)
