"""What ElastiCache Serverless charges for an operation, in ElastiCache Processing Units (ECPU).

AWS's rule: a simple command such as GET or SET costs one ECPU per kilobyte that it transfers, and at least one. A
command that takes more vCPU time costs proportionally more. The larger of the two counts, not their sum:
https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/WhatIs.corecomponents.html ("Pricing dimensions") and
https://aws.amazon.com/elasticache/pricing/. Scripts are metered by their time.

AWS does not say how it measures vCPU time. Here it is Redis's whole CPU time, in relation to that of a plain GET and
SET measured beside it, on a cluster of one node: ElastiCache Serverless speaks the cluster's protocol.
"""

import statistics
from typing import Any, NamedTuple

from benchmarks.contenders import HANDLER, PLAIN
from benchmarks.pairs import PLAIN_OPERATIONS

KILOBYTE = 1000
# The share of each operation in the requests of a typical website: most are views of pages by users who are logged in.
MIX = {"get": 0.80, "set": 0.10, "create": 0.05, "kill": 0.04, "soid": 0.01}
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Scaling-serverless.html: what one slot can do. A partition is
# in one slot.
ECPU_PER_SECOND_OF_SLOT = 30_000


class Cost(NamedTuple):
    """What one operation costs. `time` is Redis's CPU time, in that of a plain GET or SET."""

    time: float
    kilobytes: float
    commands: float

    @property
    def ecpu(self) -> float:
        """The ECPU: by time, by kilobytes, or one for each command, whichever is most."""
        return max(self.time, self.kilobytes, self.commands)


def costs(turns: dict[str, Any], commands: dict[str, float]) -> dict[str, Cost]:
    """The cost of each operation, from the turns on the cluster (see pairs.py)."""
    plain = [
        statistics.fmean(turns[operation][PLAIN][number]["cpu"] for operation in PLAIN_OPERATIONS)
        for number in range(len(turns[PLAIN_OPERATIONS[0]][PLAIN]))
    ]
    found = {}
    for operation, sent in commands.items():
        rows = turns[operation][HANDLER]
        found[operation] = Cost(
            statistics.median(row["cpu"] / base for row, base in zip(rows, plain, strict=True)),
            statistics.median(row["received"] + row["sent"] for row in rows) / KILOBYTE,
            sent,
        )
    return found


def of_mix(found: dict[str, Cost]) -> float:
    """The mean ECPU of a request, with the shares of MIX."""
    return sum(share * found[operation].ecpu for operation, share in MIX.items())
