"""Ends many sessions, in batches that block Redis only briefly."""

from collections.abc import Callable, Sequence
from typing import Any

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Command, ScriptCall

from .keys import Keyspace, Partition
from .record import handle_in_expiry, handle_in_ids
from .replies import items_of, number_of
from .scripts import script_call

# The most sessions that one round trip ends, over all its partitions. Redis serves nobody else meanwhile.
_BATCH = 128


def kill_all(
    client: Client,
    partitions: Sequence[Partition],
    first: str,
    last: str,
    now: Callable[[], int],
    spared: bytes | None = None,
) -> int:
    """Kills the sessions in one lexical range of `ids`, in each of `partitions`. Returns how many were alive.

    `spared` is a member that stays. It walks the range once, so a session that is created meanwhile is either killed as
    well, or stays and is listed.
    """
    killed = 0
    starts: list[tuple[Partition, str | bytes]] = [(partition, first) for partition in partitions]
    while starts:
        batch_size = _BATCH // len(starts)
        replies = client.run(
            *(("ZRANGEBYLEX", partition.ids, start, last, "LIMIT", 0, batch_size) for partition, start in starts)
        )
        batches = _batches([partition for partition, _ in starts], replies)
        if batches:
            time = now()
            commands = [
                command
                for partition, members in batches
                for command in _kill_commands(partition, [member for member in members if member != spared], time)
            ]
            killed += _run(client, commands)
        starts = [(partition, b"(" + members[-1]) for partition, members in batches if len(members) == batch_size]
    return killed


def kill_these(client: Client, partition: Partition, members: Sequence[bytes], now: int) -> int:
    """Kills the sessions that have these members in `ids`, _BATCH at a time. Returns how many were alive."""
    batches = [members[start : start + _BATCH] for start in range(0, len(members), _BATCH)]
    return sum(_run(client, _kill_commands(partition, batch, now)) for batch in batches)


def sweep_app(
    client: Client, keys: Keyspace, app: str, now: Callable[[], int], should_continue: Callable[[], bool]
) -> int:
    """Removes the expired sessions of `app` while `should_continue()`. Returns how many.

    Then it takes an app without sessions off the list of apps, to which the app's next `create` adds it again.
    """
    removed = 0
    partitions = keys.partitions(app)
    while partitions and should_continue():
        time = now()
        batch_size = _BATCH // len(partitions)
        replies = client.run(
            *(
                ("ZRANGEBYSCORE", partition.expiry, "-inf", f"({time}", "LIMIT", 0, batch_size)
                for partition in partitions
            )
        )
        batches = _batches(partitions, replies)
        if batches:
            commands = [
                command
                for partition, members in batches
                for command in _commands("sweep_expired", partition, partition.expiry, handle_in_expiry, members, time)
            ]
            removed += _run(client, commands)
        partitions = [partition for partition, members in batches if len(members) == batch_size]
    _forget_app_if_empty(client, keys, app)
    return removed


def _forget_app_if_empty(client: Client, keys: Keyspace, app: str) -> None:
    sizes = [("ZCARD", partition.expiry) for partition in keys.partitions(app)]
    if not any(map(number_of, client.run(*sizes))):
        client.run(("SREM", keys.apps, app))
        # A `create` after the first look may have added the app before SREM.
        if any(map(number_of, client.run(*sizes))):
            client.run(("SADD", keys.apps, app))


def _batches(partitions: Sequence[Partition], replies: Sequence[Any]) -> list[tuple[Partition, list[bytes]]]:
    """Each partition in which members were found, with these members."""
    found = [(partition, items_of(reply)) for partition, reply in zip(partitions, replies, strict=True)]
    return [(partition, members) for partition, members in found if members]


def _run(client: Client, commands: Sequence[Command]) -> int:
    """Runs all commands in one round trip. Returns the sum of what the scripts among them return."""
    replies = client.run(*commands)
    return sum(
        number_of(reply) for command, reply in zip(commands, replies, strict=True) if isinstance(command, ScriptCall)
    )


def _kill_commands(partition: Partition, members: Sequence[bytes], now: int) -> list[Command]:
    return _commands("kill_sessions", partition, partition.ids, handle_in_ids, members, now)


def _commands(
    script: str,
    partition: Partition,
    key: str,
    handle_in: Callable[[bytes], str | None],
    members: Sequence[bytes],
    now: int,
) -> list[Command]:
    """A call of `script` on the sessions that have these `members` in the sorted set `key`."""
    handles = {member: handle for member in members if (handle := handle_in(member))}
    commands: list[Command] = []
    if handles:
        sessions = [partition.session(handle) for handle in handles.values()]
        commands.append(script_call(script, [*partition.index, *sessions], now, *handles))
    # Members that this program did not write belong to no session. Left there, they would be found each time.
    if foreign := [member for member in members if member not in handles]:
        commands.append(("ZREM", key, *foreign))
    return commands
