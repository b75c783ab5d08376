"""Calls of scripts on the session of a token, wherever it is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Argument
from rest_sessions.telemetry import count

from .keys import Keyspace
from .replies import ELSEWHERE, MISSING, STALE, status_of
from .scripts import script_call
from .tokens import Place, hash_of, place_of


class Reply(NamedTuple):
    """A script's status and what follows it, and the place of the session."""

    status: bytes
    items: list[Any]
    place: Place


class SessionCalls:
    """Calls scripts on the sessions of one namespace."""

    def __init__(self, client: Client, keys: Keyspace) -> None:
        self._client = client
        self._keys = keys

    def on_token(
        self,
        script: str,
        app: str,
        token: str,
        *args: Argument,
        again: Sequence[Argument] | None = None,
        with_closed: bool = False,
    ) -> Reply:
        """Runs `script` on the session of `token`, with the token's hash and `args`.

        `again` are the `args` of a retry, if they differ. `with_closed` passes the key of the closed sessions.
        """
        token_hash = hash_of(token)
        again = again and (token_hash, *again)
        return self.follow(
            token,
            lambda place: self.on_place(script, app, place, token_hash, *args, again=again, with_closed=with_closed),
        )

    def follow(self, token: str, run: Callable[[Place], Reply]) -> Reply:
        """Runs a script at the place that `token` tells, and if it finds a pointer there, where that leads."""
        place = place_of(token)
        reply = run(place)
        if reply.status == ELSEWHERE:
            reply = run(Place(int(reply.items[0], 16), place.handle))
            if reply.status == ELSEWHERE:
                # No pointer leads to another, unless it was made by hand.
                reply = reply._replace(status=MISSING)
        if reply.status == STALE:
            count("StaleTokens")
        return reply

    def on_place(
        self,
        script: str,
        app: str,
        place: Place,
        *args: Argument,
        again: Sequence[Argument] | None = None,
        with_closed: bool = False,
    ) -> Reply:
        """Runs `script` on the session at `place`. `again` and `with_closed` are as in `on_token`."""
        partition = self._keys.partition(app, place.partition)
        keys = [*partition.index, partition.session(place.handle)]
        if with_closed:
            keys.append(partition.closed)
        retry = None if again is None else [script_call(script, keys, *again)]
        [reply] = self._client.run(script_call(script, keys, *args), again=retry)
        return Reply(*status_of(reply), place)
