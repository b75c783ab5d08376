"""Calls of scripts on the session of a token, wherever it is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Argument, ScriptCall
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
        self, script: str, app: str, token: str, *args: Argument, again: Sequence[Argument] | None = None
    ) -> Reply:
        """Runs `script` on the session of `token`, with handle, the token's hash, and `args`.

        `again` are the `args` of a retry, if they differ.
        """
        token_hash = hash_of(token)
        again = again and (token_hash, *again)
        return self.follow(token, lambda place: self.on_place(script, app, place, token_hash, *args, again=again))

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
        self, script: str, app: str, place: Place, *args: Argument, again: Sequence[Argument] | None = None
    ) -> Reply:
        """Runs `script` on the session at `place`, with its handle and `args`. `again` is as in `on_token`."""
        retry = None if again is None else [self.call(script, app, place, *again)]
        [reply] = self._client.run(self.call(script, app, place, *args), again=retry)
        return Reply(*status_of(reply), place)

    def call(self, script: str, app: str, place: Place, *args: Argument, others: Sequence[str] = ()) -> ScriptCall:
        """A call of `script` on the session at `place`. `others` are handles of further sessions of its partition."""
        partition = self._keys.partition(app, place.partition)
        sessions = [partition.session(handle) for handle in (place.handle, *others)]
        return script_call(script, [*partition.index, *sessions], place.handle, *args)
