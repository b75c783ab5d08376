"""Where a handler's `get` spends its time, layer by layer."""

import statistics

from benchmarks.contenders import LAYERS as CONTENDER
from benchmarks.contenders import pinned, say, two_cores, worker
from benchmarks.layers_worker import LAYERS
from dev.embedded_store import server_process


def measure(binary: str, rounds: int, count: int) -> dict[str, list[float]]:
    """By layer: how much longer the median call of each round takes than that without this layer, in µs."""
    # On one core no call waits until a core wakes up, which would take longer than most layers, and vary more.
    with pinned(two_cores()[0]), server_process(binary) as url, worker(CONTENDER, url) as contender:
        contender.fill()
        found: dict[str, list[float]] = {layer: [] for layer in LAYERS}
        # The first round only warms up and is not recorded.
        for number in range(rounds + 1):
            say(f"layers of get: round {number} of {rounds}")
            below = 0.0
            for layer in LAYERS:
                contender.prepare(layer, count)
                whole = statistics.median(contender.time(layer)) / 1000
                if number:
                    found[layer].append(whole - below)
                below = whole
        return found
