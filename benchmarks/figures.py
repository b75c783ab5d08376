"""What a measurement reads from Redis, and what it makes of many times."""

import statistics
from typing import Any

import redis


def quantiles(nanoseconds: list[int]) -> dict[str, float]:
    """The median (p50), the mean, p99 and the maximum, in µs."""
    ordered = sorted(nanoseconds)
    return {
        "p50": statistics.median(ordered) / 1000,
        "mean": statistics.fmean(ordered) / 1000,
        "p99": ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))] / 1000,
        "max": ordered[-1] / 1000,
    }


def counters(client: redis.Redis) -> dict[str, float]:
    """What Redis has used so far: CPU time in µs (user and system), bytes from and to clients, and reads of sockets.

    One INFO, which is itself part of what is measured between two of them: some thousands of calls outweigh it.
    """
    info: Any = client.info()
    return {
        "cpu": (info["used_cpu_user"] + info["used_cpu_sys"]) * 1e6,
        "received": info["total_net_input_bytes"],
        "sent": info["total_net_output_bytes"],
        "round_trips": info["total_reads_processed"],
    }


def used_memory(client: redis.Redis) -> int:
    """The bytes that Redis uses."""
    info: Any = client.info("memory")
    return int(info["used_memory"])
