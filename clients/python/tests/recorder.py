"""What the client sends to the service."""

from collections.abc import Callable

import httpx2
import pytest


class Recorder:
    """The operations that were called, in order."""

    # Called before each request with its operation: here a test lets something happen in between.
    before: Callable[[str], None] = staticmethod(lambda _: None)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.operations: list[str] = []
        self.tokens: list[str] = []
        send, send_async = httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request

        def recording(transport: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
            self._record(request)
            return send(transport, request)

        async def recording_async(transport: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
            self._record(request)
            return await send_async(transport, request)

        monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", recording)
        monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", recording_async)

    def _record(self, request: httpx2.Request) -> None:
        _, _, operation, *rest = request.url.path.split("/")
        self.operations.append(operation)
        self.tokens += rest
        before, self.before = self.before, lambda _: None
        before(operation)
        self.before = before

    def take(self) -> list[str]:
        """The operations since the last call of this method."""
        operations, self.operations = self.operations, []
        return operations
