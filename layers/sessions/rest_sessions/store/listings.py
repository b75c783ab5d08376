"""Listings: finds sessions in the index, merges the partitions of an app, and fits a page into one answer."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter

from rest_sessions.connection.client import Client
from rest_sessions.limits import MAX_LISTING_BYTES
from rest_sessions.model import Cursor, Page, Session

from .keys import Partition
from .record import cursors_of, to_session
from .replies import items_of, number_of
from .scripts import script_call

# The most that one script finds or reads, because Redis serves nobody else meanwhile. One look at the index of an app
# usually finds enough for a page.
_ID_INDEX_BATCH = 1000
_APP_INDEX_BATCH = 5000
_READ_BATCH = 500
_READ_BATCH_BYTES = 500_000

# An index entry: the session's place in the listing, and where the session is.
Entry = tuple[Cursor, Partition]


def find_of_id(
    client: Client, partition: Partition, id: str, after: Cursor | None, limit: int | None
) -> Iterator[Entry]:
    """The sessions of one user that follow the cursor `after`, the most recently used first.

    The index has a user's sessions by handle. To sort very many by last use would cost more than a page may. So a user
    with more than _ID_INDEX_BATCH sessions gets them by handle, with cursors whose time of last use is 0.
    """
    if after is None or after.last_used:
        found = _find_by_handle(client, partition, id, "", _ID_INDEX_BATCH)
        # A listing that began by last use goes on so, while the user has not very many more sessions.
        most = _ID_INDEX_BATCH if after is None else 10 * _ID_INDEX_BATCH
        first = list(islice(found, most + 1))
        if len(first) <= most:
            for cursor in sorted(first, reverse=True):
                if after is None or cursor < after:
                    yield cursor, partition
            return
        found = chain(first, found)
    else:
        batch_size = min(limit + 1, _ID_INDEX_BATCH) if limit else _ID_INDEX_BATCH
        found = _find_by_handle(client, partition, id, after.handle, batch_size)
    for cursor in found:
        yield Cursor(0, cursor.handle), partition


def rank_of_id(client: Client, partition: Partition, id: str, now: int, batch_size: int) -> dict[str, int]:
    """When each session of one user was last used, by handle.

    The time is 0 for one that is not alive, and negative for one that a login has closed: that of the closing.
    """
    handles = [cursor.handle for cursor in _find_by_handle(client, partition, id, "", _ID_INDEX_BATCH)]
    ranks: dict[str, int] = {}
    for start in range(0, len(handles), batch_size):
        batch = handles[start : start + batch_size]
        [reply] = client.run(script_call("rank_sessions", [partition.session(handle) for handle in batch], now, id))
        ranks.update(zip(batch, map(number_of, items_of(reply)), strict=True))
    return ranks


def _find_by_handle(
    client: Client, partition: Partition, id: str, after: str | bytes, batch_size: int
) -> Iterator[Cursor]:
    while True:
        [reply] = client.run(
            script_call("list_sessions_of_id", [partition.ids, partition.recent], id, after, batch_size)
        )
        items = items_of(reply)
        yield from cursors_of(items)
        if len(items) < 2 * batch_size:
            return
        after = items[-2]


def find_of_app(
    client: Client, partitions: Sequence[Partition], since: int, after: Cursor | None, limit: int | None
) -> Iterator[Entry]:
    """The sessions used at or after `since` (seconds) that follow the cursor `after`, the most recently used first.

    `limit` is how many the page will hold, which decides how many are looked up at first.
    """
    batch_size = min(limit + 1, _APP_INDEX_BATCH) if limit else _APP_INDEX_BATCH
    position: tuple[float, str] | None = after
    while True:
        start = (str(position[0]), position[1].encode(errors="surrogateescape")) if position else ("", "")
        replies = client.run(
            *(script_call("list_sessions_of_app", [partition.recent], *start, batch_size) for partition in partitions)
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


def read_page(
    client: Client, entries: Iterator[Entry], now: int, limit: int | None, *, id: str = "", details: bool = False
) -> Page:
    """The live sessions of `entries`: `limit` at most, and no more than fit into one answer.

    Only those of the user `id`, unless that is empty: an entry may have outlived its session.
    """
    sessions: list[Session] = []
    size = 0
    last = None
    batch_size = min(limit + 1, _READ_BATCH) if limit else _READ_BATCH
    while batch := list(islice(entries, batch_size)):
        batch_size = _READ_BATCH
        for cursor, fields in _read(client, batch, now, id):
            session = to_session(fields, now, cursor.handle if details else None)
            size += _size_in_answer(session.json)
            if len(sessions) == limit or size > MAX_LISTING_BYTES:
                return Page(sessions, last)
            sessions.append(session)
            last = cursor
    return Page(sessions)


def is_alive(client: Client, partition: Partition, id: str, handle: str, now: int) -> bool:
    """Whether the user `id` has a live session of this handle."""
    return any(_read(client, [(Cursor(0, handle), partition)], now, id))


def _read(client: Client, entries: Sequence[Entry], now: int, id: str) -> Iterator[tuple[Cursor, Sequence[bytes]]]:
    """The fields and values of the live sessions of `entries`, in their order."""
    # A caller's own token has the same handle in two partitions, if it was used again after its session expired.
    replies: dict[tuple[Partition, str], list[bytes]] = {}
    yielded = 0
    while yielded < len(entries):
        handles: dict[Partition, list[str]] = {}
        for cursor, partition in entries[yielded:]:
            if (partition, cursor.handle) not in replies:
                handles.setdefault(partition, []).append(cursor.handle)
        read = client.run(
            *(
                script_call(
                    "read_sessions", [partition.session(handle) for handle in wanted], now, _READ_BATCH_BYTES, id
                )
                for partition, wanted in handles.items()
            )
        )
        for (partition, wanted), reply in zip(handles.items(), read, strict=True):
            # The script stops early when sessions are large. The next round trip asks for the rest.
            replies.update(zip([(partition, handle) for handle in wanted], items_of(reply), strict=False))
        for cursor, partition in entries[yielded:]:
            if (partition, cursor.handle) not in replies:
                break
            yielded += 1
            if fields := replies[partition, cursor.handle]:
                yield cursor, fields


def _size_in_answer(text: str) -> int:
    # The answer of a function is JSON that holds the body as a string.
    return len(text) + text.count('"') + text.count("\\") if text.isascii() else len(json.dumps(text))
