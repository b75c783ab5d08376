"""Ends many sessions: all of an app at once, others in batches that block Redis only briefly."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Argument, Command, PlainCommand, ScriptCall
from rest_sessions.errors import StoreUnavailable
from rest_sessions.limits import MAX_TTL

from .apps import AppList
from .keys import Partition
from .record import handle_in_expiry, handle_in_ids, user_range
from .replies import items_of, number_of
from .scripts import script_call

# The most sessions that one round trip ends, over all its partitions. Redis serves nobody else meanwhile.
_BATCH = 128


def kill_all(client: Client, partitions: Sequence[Partition], now: int) -> int:
    """Ends all sessions of `partitions` by new epochs. Returns how many were alive."""
    epoch = secrets.token_urlsafe(6)
    calls = [
        script_call("kill_sessions_of_app", [*one.index, one.closed, one.killed, one.aside(epoch)], now, epoch, MAX_TTL)
        for one in partitions
    ]
    return sum(map(number_of, client.run(*calls)))


def kill_user(
    client: Client, partition: Partition, id: str, now: Callable[[], int], spared: bytes | None = None
) -> int:
    """Kills the sessions of the user `id`, except the member `spared` of `ids`. Returns how many were alive.

    It walks them once, so a session that is created meanwhile is either killed as well, or stays and is listed.
    """
    walk: str | bytes | None
    walk, last = user_range(id)
    killed = 0
    members: list[bytes] = []
    try:
        while members or walk:
            kill = _kill_commands(partition, [member for member in members if member != spared], now())
            find = [("ZRANGEBYLEX", partition.ids, walk, last, "LIMIT", 0, _BATCH)] if walk else []
            replies = client.run(*kill, *find)
            killed += _sum_of_scripts(kill, replies)
            members = items_of(replies[-1]) if find else []
            walk = b"(" + members[-1] if len(members) == _BATCH else None
    except StoreUnavailable as error:
        raise StoreUnavailable(error.reason, ended=killed) from error
    return killed


def kill_these(client: Client, partition: Partition, members: Sequence[bytes], now: int) -> int:
    """Kills the sessions that have these members in `ids`, _BATCH at a time. Returns how many were alive."""
    killed = 0
    for start in range(0, len(members), _BATCH):
        commands = _kill_commands(partition, members[start : start + _BATCH], now)
        killed += _sum_of_scripts(commands, client.run(*commands))
    return killed


class _Source(NamedTuple):
    """Where the sweep finds what it removes. `find` takes the time and how many, `remove` the members and the time."""

    find: Callable[[int, int], PlainCommand]
    remove: Callable[[Sequence[bytes], int], list[Command]]


def sweep_app(
    client: Client,
    partitions: Sequence[Partition],
    apps: AppList,
    app: str,
    now: Callable[[], int],
    should_continue: Callable[[], bool],
) -> int:
    """Removes what is left of the sessions of `app` that ended, while `should_continue()`.

    Returns how many had expired. Then it takes an app without sessions off the list of apps.
    """
    if not should_continue():
        return 0
    killalls = [items_of(reply) for reply in client.run(*(("HKEYS", one.killed) for one in partitions))]
    sources = [
        *(_expired(one, key) for one in partitions for key in (one.expiry, one.closed)),
        *(_killed(one, epoch.decode()) for one, epochs in zip(partitions, killalls, strict=True) for epoch in epochs),
    ]
    swept = 0
    found: list[tuple[_Source, list[bytes]]] = []
    while (sources or found) and should_continue():
        time = now()
        removals = [command for source, members in found for command in source.remove(members, time)]
        sources, later = sources[:_BATCH], sources[_BATCH:]
        batch_size = _BATCH // len(sources) if sources else 0
        replies = client.run(*removals, *(source.find(time, batch_size) for source in sources))
        swept += _sum_of_scripts(removals, replies)
        batches = zip(sources, map(items_of, replies[len(removals) :]), strict=True)
        found = [(source, members) for source, members in batches if members]
        sources = later + [source for source, members in found if len(members) == batch_size]
    _forget(client, partitions, killalls, apps, app, now())
    return swept


def _expired(partition: Partition, key: str) -> _Source:
    """The sessions that should have expired, by `expiry` or `closed`."""
    keys, is_closed = [*partition.index, partition.closed], int(key == partition.closed)
    return _Source(
        lambda now, count: ("ZRANGEBYSCORE", key, "-inf", f"({now}", "LIMIT", 0, count),
        lambda members, now: _commands(
            "sweep_expired", keys, partition, key, handle_in_expiry, members, now, is_closed
        ),
    )


def _killed(partition: Partition, epoch: str) -> _Source:
    """The sessions that the killall which made `epoch` has ended."""
    key = partition.aside(epoch)
    return _Source(
        lambda _, count: ("ZRANGEBYLEX", key, "-", "+", "LIMIT", 0, count),
        lambda members, now: _commands(
            "sweep_killed", [partition.epoch, key], partition, key, handle_in_ids, members, now
        ),
    )


def _forget(
    client: Client,
    partitions: Sequence[Partition],
    killalls: Sequence[Sequence[bytes]],
    apps: AppList,
    app: str,
    now: int,
) -> None:
    """Forgets the killalls that are over, the epoch of each partition without sessions, and an app without any."""
    looks = [command for one in partitions for command in (("EXISTS", one.epoch), ("ZCARD", one.expiry))]
    replies = iter(map(number_of, client.run(*looks)))
    is_used = False
    calls = []
    for partition, epochs in zip(partitions, killalls, strict=True):
        has_epoch, size = next(replies), next(replies)
        is_used = is_used or size > 0
        if epochs or (has_epoch and not size):
            asides = [partition.aside(epoch.decode()) for epoch in epochs]
            keys = [*partition.index, partition.closed, partition.killed, *asides]
            calls.append(script_call("forget_partition", keys, now, *epochs))
    if calls and any(map(number_of, client.run(*calls))):
        is_used = True
    if not is_used:
        apps.remove_if_unused(app)


def _sum_of_scripts(commands: Sequence[Command], replies: Sequence[Any]) -> int:
    """The sum of what the scripts among `commands` return. They come first in a batch."""
    return sum(
        number_of(reply) for command, reply in zip(commands, replies, strict=False) if isinstance(command, ScriptCall)
    )


def _kill_commands(partition: Partition, members: Sequence[bytes], now: int) -> list[Command]:
    keys = [*partition.index, partition.closed]
    return _commands("kill_sessions", keys, partition, partition.ids, handle_in_ids, members, now)


def _commands(
    script: str,
    keys: Sequence[str],
    partition: Partition,
    key: str,
    handle_in: Callable[[bytes], str | None],
    members: Sequence[bytes],
    *args: Argument,
) -> list[Command]:
    """A call of `script` on the sessions that have these `members` in the sorted set `key`."""
    handles = {member: handle for member in members if (handle := handle_in(member))}
    commands: list[Command] = []
    if handles:
        sessions = [partition.session(handle) for handle in handles.values()]
        commands.append(script_call(script, [*keys, *sessions], *args, *handles))
    # Members that this program did not write belong to no session. Left there, they would be found each time.
    if foreign := [member for member in members if member not in handles]:
        commands.append(("ZREM", key, *foreign))
    return commands
