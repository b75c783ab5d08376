"""Listings: finds sessions in the index, merges the partitions of an app, and fits a page into one answer."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from rest_sessions.connection.client import Client, CommandRefused
from rest_sessions.errors import StoreUnavailable
from rest_sessions.limits import MAX_LISTING_BYTES
from rest_sessions.model import Cursor, Page, Session

from .keys import Partition
from .record import Record, cursors_of, handle_of_user, ids_member, last_use, user_range
from .replies import items_of, number_of
from .scripts import script_call

# The most that one command or script finds or reads, because Redis serves nobody else meanwhile. One look at the index
# of an app usually finds enough for a page.
_ID_INDEX_BATCH = 1000
_APP_INDEX_BATCH = 5000
_READ_BATCH = 500
_READ_BATCH_BYTES = 500_000
# So many sessions are read without a script, which would take Redis several times as long. Only a script can stop
# before the replies become too large, but so few sessions cannot.
_FEW = 8

# An index entry: the session's place in the listing, and where the session is.
Entry = tuple[Cursor, Partition]
# A live session, its place in the listing, and its record.
Found = tuple[Cursor, Record]


def find_of_id(
    client: Client, partition: Partition, id: str, now: int, limit: int | None, after: Cursor | None
) -> Iterator[Found]:
    """The live sessions of one user that follow the cursor `after`, the most recently used first.

    `limit` is how many the page will hold, which decides how many are read at first.

    The index has a user's sessions by handle. To sort very many by last use would cost more than a page may. So a user
    with more than _ID_INDEX_BATCH sessions gets them by handle, with cursors whose time of last use is 0.
    """
    if after is None or after.last_used:
        handles = _find_handles(client, partition, id, "", _ID_INDEX_BATCH)
        # A listing that began by last use goes on so, while the user has not very many more sessions.
        most = _ID_INDEX_BATCH if after is None else 10 * _ID_INDEX_BATCH
        first = list(islice(handles, most + 1))
        if len(first) <= _FEW:
            found = _read(client, [(Cursor(0, handle), partition) for handle in first], now, id)
            by_use = sorted(((Cursor(record.used, cursor.handle), record) for cursor, record in found), reverse=True)
            yield from (pair for pair in by_use if after is None or pair[0] < after)
            return
        if len(first) <= most:
            cursors = sorted(_with_last_use(client, partition, first), reverse=True)
            by_index = ((cursor, partition) for cursor in cursors if after is None or cursor < after)
            yield from _read_all(client, by_index, now, limit, id)
            return
        handles = chain(first, handles)
    else:
        batch_size = min(limit + 1, _ID_INDEX_BATCH) if limit else _ID_INDEX_BATCH
        handles = _find_handles(client, partition, id, after.handle, batch_size)
    yield from _read_all(client, ((Cursor(0, handle), partition) for handle in handles), now, limit, id)


def find_of_app(
    client: Client, partitions: Sequence[Partition], since: int, now: int, limit: int | None, after: Cursor | None
) -> Iterator[Found]:
    """The live sessions used at or after `since` (seconds) that follow the cursor `after`, the latest first.

    `limit` is as in `find_of_id`.
    """
    return _read_all(client, _find_entries(client, partitions, since, after, limit), now, limit, "")


def rank_of_id(client: Client, partition: Partition, id: str, now: int, batch_size: int) -> dict[str, int]:
    """When each session of one user was last used, by handle.

    The time is 0 for one that is not alive, and negative for one that a login has closed: that of the closing.
    """
    handles = list(_find_handles(client, partition, id, "", _ID_INDEX_BATCH))
    ranks: dict[str, int] = {}
    for start in range(0, len(handles), batch_size):
        batch = handles[start : start + batch_size]
        keys = [partition.epoch, *map(partition.session, batch)]
        [reply] = client.run(script_call("rank_sessions", keys, now, id))
        ranks.update(zip(batch, map(number_of, items_of(reply)), strict=True))
    return ranks


def _find_handles(client: Client, partition: Partition, id: str, after: str, batch_size: int) -> Iterator[str]:
    """The handles of the sessions of one user that follow the handle `after`, which is empty for the first."""
    start, last = user_range(id)
    walk: str | bytes = b"(" + ids_member(id, after) if after else start
    while True:
        [reply] = client.run(("ZRANGEBYLEX", partition.ids, walk, last, "LIMIT", 0, batch_size))
        members = items_of(reply)
        yield from (handle for member in members if (handle := handle_of_user(member, id)))
        if len(members) < batch_size:
            return
        walk = b"(" + members[-1]


def _with_last_use(client: Client, partition: Partition, handles: Sequence[str]) -> list[Cursor]:
    [reply] = client.run(("ZMSCORE", partition.recent, *handles))
    return [Cursor(last_use(score), handle) for score, handle in zip(items_of(reply), handles, strict=True)]


def _find_entries(
    client: Client, partitions: Sequence[Partition], since: int, after: Cursor | None, limit: int | None
) -> Iterator[Entry]:
    """The entries of `find_of_app`.

    `limit` is how many the page will hold, which decides how many are looked up at first.
    """
    batch_size = min(limit + 1, _APP_INDEX_BATCH) if limit else _APP_INDEX_BATCH
    position: tuple[float, str] | None = after
    while True:
        start = (str(position[0]), position[1].encode(errors="surrogateescape")) if position else ("", "")
        replies = client.run(
            *(
                script_call("list_sessions_of_app", [partition.epoch, partition.recent], *start, batch_size)
                for partition in partitions
            )
        )
        found = [items_of(reply) for reply in replies]
        entries = [
            (cursor, partition)
            for partition, items in zip(partitions, found, strict=True)
            for cursor in cursors_of(items)
        ]
        # A partition that returned a full batch may have more sessions, which follow the last one of the batch. So the
        # merged listing is complete only down to the greatest of these last positions.
        ends = [items for items in found if len(items) == 2 * batch_size]
        complete_to = max((_last_position(items) for items in ends), default=None)
        for cursor, partition in sorted(entries, key=itemgetter(0), reverse=True):
            if complete_to is not None and cursor < complete_to:
                break
            if cursor.last_used < since:
                return
            yield cursor, partition
        if complete_to is None:
            return
        # The first batch did not fill the page, for example because many sessions have expired and await the sweep.
        position, batch_size = complete_to, _APP_INDEX_BATCH


def _last_position(items: Sequence[bytes]) -> tuple[float, str]:
    # This program may not have written the entry. So the score may be any number, and the member any bytes.
    return float(items[-1]), items[-2].decode(errors="surrogateescape")


def is_alive(client: Client, partition: Partition, id: str, handle: str, now: int) -> bool:
    """Whether the user `id` has a live session of this handle."""
    return any(_read(client, [(Cursor(0, handle), partition)], now, id))


def page(found: Iterable[Found], now: int, limit: int | None, *, details: bool) -> Page:
    """The first of these sessions: `limit` at most, and no more than fit into one answer."""
    sessions: list[Session] = []
    size = 0
    last = None
    for cursor, record in found:
        session = record.session(now, cursor.handle if details else None)
        size += _size_in_answer(session.json)
        if len(sessions) == limit or size > MAX_LISTING_BYTES:
            return Page(sessions, last)
        sessions.append(session)
        last = cursor
    return Page(sessions)


def _read_all(client: Client, entries: Iterator[Entry], now: int, limit: int | None, id: str) -> Iterator[Found]:
    """The live sessions of `entries`, as they are asked for. `limit` decides how many are read at first."""
    batch_size = min(limit + 1, _READ_BATCH) if limit else _READ_BATCH
    while batch := list(islice(entries, batch_size)):
        batch_size = _READ_BATCH
        yield from _read(client, batch, now, id)


def _read(client: Client, entries: Sequence[Entry], now: int, id: str) -> Iterator[Found]:
    """The live sessions of `entries`, in their order.

    Only those of the user `id`, unless that is empty: an entry may have outlived its session.
    """
    # A caller's own token has the same handle in two partitions, if it was used again after its session expired.
    replies: dict[tuple[Partition, str], list[bytes]] = {}
    epochs: dict[Partition, bytes | None] = {}
    yielded = 0
    while yielded < len(entries):
        handles: dict[Partition, list[str]] = {}
        for cursor, partition in entries[yielded:]:
            if (partition, cursor.handle) not in replies:
                handles.setdefault(partition, []).append(cursor.handle)
        for (partition, wanted), (epoch, *read) in zip(handles.items(), _read_hashes(client, handles), strict=True):
            if not read:
                raise StoreUnavailable("The server did not reply with a session")
            epochs[partition] = epoch
            # The script stops early when sessions are large. The next round trip asks for the rest.
            replies.update(zip([(partition, handle) for handle in wanted], read, strict=False))
        for cursor, partition in entries[yielded:]:
            if (partition, cursor.handle) not in replies:
                break
            yielded += 1
            record = Record(items_of(replies[partition, cursor.handle]))
            if record.is_alive(epochs[partition], now) and (not id or record.is_of(id)):
                yield cursor, record


def _read_hashes(client: Client, handles: Mapping[Partition, Sequence[str]]) -> list[list[Any]]:
    """For each partition its epoch, and then the fields and values under each handle, as many as fit."""
    if sum(map(len, handles.values())) <= _FEW:
        commands = [
            command
            for partition, wanted in handles.items()
            for command in (("GETEX", partition.epoch), *(("HGETALL", partition.session(one)) for one in wanted))
        ]
        # The script reads past a key of another type.
        with suppress(CommandRefused):
            replies = iter(client.run(*commands))
            return [list(islice(replies, 1 + len(wanted))) for wanted in handles.values()]
    calls = [
        script_call("read_sessions", [partition.epoch, *map(partition.session, wanted)], _READ_BATCH_BYTES)
        for partition, wanted in handles.items()
    ]
    return [items_of(reply) for reply in client.run(*calls)]


def _size_in_answer(text: str) -> int:
    # The answer of a function is JSON that holds the body as a string.
    return len(text) + text.count('"') + text.count("\\") if text.isascii() else len(json.dumps(text))
