"""Ending many sessions, in batches that never hold Redis up for long."""

from collections.abc import Callable, Sequence

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import ScriptCall

from .keys import Keyspace, Partition
from .record import handle_in_expiry, handle_in_ids
from .scripts import call

# The most sessions that all scripts of one round trip end, because Redis serves nobody else until it is done.
_BATCH = 128


def kill_all(client: Client, partitions: Sequence[Partition], first: str, last: str, now: Callable[[], int]) -> int:
    """Kills the sessions in one lexical range of `ids`, in each of `partitions`; the number that were alive.

    It walks the range once, so a session that is created meanwhile is either killed as well, or stays and is listed.
    """
    killed = 0
    starts: list[tuple[Partition, str | bytes]] = [(partition, first) for partition in partitions]
    while starts:
        batch_size = _BATCH // len(starts)
        found = client.run(
            *(("ZRANGEBYLEX", partition.ids, start, last, "LIMIT", 0, batch_size) for partition, start in starts)
        )
        batches = [(partition, members) for (partition, _), members in zip(starts, found, strict=True) if members]
        if batches:
            time = now()
            killed += sum(client.run(*(_kill_call(partition, members, time) for partition, members in batches)))
        starts = [(partition, b"(" + members[-1]) for partition, members in batches if len(members) == batch_size]
    return killed


def sweep_app(
    client: Client, keys: Keyspace, app: str, now: Callable[[], int], should_continue: Callable[[], bool]
) -> int:
    """Removes the expired sessions of `app` while `should_continue()`; their number.

    An app that then has no session is forgotten until its next one.
    """
    removed = 0
    partitions = keys.partitions(app)
    while partitions and should_continue():
        time = now()
        batch_size = _BATCH // len(partitions)
        expired = client.run(
            *(
                ("ZRANGEBYSCORE", partition.expiry, "-inf", f"({time}", "LIMIT", 0, batch_size)
                for partition in partitions
            )
        )
        batches = [(partition, members) for partition, members in zip(partitions, expired, strict=True) if members]
        if batches:
            removed += sum(client.run(*(_sweep_call(partition, members, time) for partition, members in batches)))
        partitions = [partition for partition, members in batches if len(members) == batch_size]
    _forget_empty(client, keys, app)
    return removed


def _forget_empty(client: Client, keys: Keyspace, app: str) -> None:
    sizes = [("ZCARD", partition.expiry) for partition in keys.partitions(app)]
    if not any(client.run(*sizes)):
        client.run(("SREM", keys.apps, app))
        # A session that was created after the first look may have added the app before it was removed.
        if any(client.run(*sizes)):
            client.run(("SADD", keys.apps, app))


def _kill_call(partition: Partition, members: Sequence[bytes], now: int) -> ScriptCall:
    sessions = [partition.session(handle_in_ids(member)) for member in members]
    return call("kill_sessions", [*partition.index, *sessions], now, *members)


def _sweep_call(partition: Partition, members: Sequence[bytes], now: int) -> ScriptCall:
    sessions = [partition.session(handle_in_expiry(member)) for member in members]
    return call("sweep_expired", [*partition.index, *sessions], now, *members)
