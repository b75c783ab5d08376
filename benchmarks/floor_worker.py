"""The floor: sends the commands of each operation over a bare socket with hiredis, and does nothing else."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import hiredis

from benchmarks.handler_worker import Contender, serve
from rest_sessions.connection.commands import Command, ScriptCall
from rest_sessions.http import route
from rest_sessions.store.sessions import SessionStore

SIZE = 1 << 16


class BareClient:
    """Takes the place of the store's client. Counts commands, and adds up the time from packing to parsed replies."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        self.nanoseconds = 0
        self.commands = 0

    def run(self, *commands: Command, again: Sequence[Command] | None = None) -> list[Any]:  # noqa: ARG002
        """The reply to each command. Sends the text of a script that Redis does not know, outside the measured time."""
        self.commands += len(commands)
        plain = [self._plain(command) for command in commands]
        start = time.perf_counter_ns()
        self._socket.sendall(b"".join(map(hiredis.pack_command, plain)))
        replies = [self._reply() for _ in plain]
        self.nanoseconds += time.perf_counter_ns() - start
        for i, reply in enumerate(replies):
            command = commands[i]
            if isinstance(reply, hiredis.ReplyError) and isinstance(command, ScriptCall):
                assert str(reply).startswith("NOSCRIPT"), reply
                text = ("EVAL", command.script.text, len(command.keys), *command.keys, *command.args)
                self._socket.sendall(hiredis.pack_command(text))
                replies[i] = self._reply()
        return replies

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(SIZE))
        return reply

    @staticmethod
    def _plain(command: Command) -> tuple[Any, ...]:
        if isinstance(command, ScriptCall):
            return ("EVALSHA", command.script.sha, len(command.keys), *command.keys, *command.args)
        return command


class Floor(Contender):
    """Lets the handlers make the commands, but measures only the time that BareClient takes."""

    def __init__(self) -> None:
        self._client = BareClient(os.environ["REDIS_URL"])
        store = SessionStore(self._client, os.environ["NAMESPACE"])  # type: ignore[arg-type]
        # The handlers that `super` loads call this for their store.
        route.open_store = lambda: store  # type: ignore[assignment]
        super().__init__()

    def time(self, operation: str, events: list[Any]) -> list[int]:
        """The nanoseconds that the commands of each event take."""
        taken = []
        for event in events:
            self._client.nanoseconds = 0
            self.call(operation, event)
            taken.append(self._client.nanoseconds)
        return taken

    def count_commands(self, operation: str, events: list[Any]) -> float:
        """The mean number of commands that the handler sends to Redis for one of the events."""
        self._client.commands = 0
        for event in events:
            self.call(operation, event)
        return self._client.commands / len(events)


if __name__ == "__main__":
    serve(Floor())
