"""A proxy on loopback that passes a client's requests on to the service, and tells which they were."""

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Proxy"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1
        self.service = http.client.HTTPConnection(self.server.target)

    def finish(self) -> None:
        self.service.close()
        super().finish()

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.path.split("?")[0].split("/")[2]
        self.server.operations.append(operation)
        before, self.server.before = self.server.before, lambda _: None
        try:
            before(operation)
        finally:
            self.server.before = before
        self.service.request(self.command, self.path, body, dict(self.headers))
        answer = self.service.getresponse()
        content = answer.read()
        if operation == "get" and self.server.rewrite:
            content = json.dumps(self.server.rewrite(json.loads(content))).encode()
        self.send_response(answer.status)
        for name in ("Content-Type", "Retry-After"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = serve

    def log_message(self, *_: object) -> None:
        pass


class Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, url: str) -> None:
        super().__init__((LOOPBACK, 0), Connection)
        self.target = url.removeprefix("http://")
        self.url = f"http://{LOOPBACK}:{self.server_port}"
        self.operations: list[str] = []
        self.connections = 0
        # Called before each request with its operation: here a test lets something happen in between.
        self.before: Callable[[str], None] = lambda _: None
        # What a client gets for a session that it reads: here a test lets time go by.
        self.rewrite: Callable[[dict], dict] | None = None

    def take(self) -> list[str]:
        """The operations since the last call of this method."""
        operations, self.operations = self.operations, []
        return operations


@contextlib.contextmanager
def proxy_of(url: str) -> Iterator[Proxy]:
    with Proxy(url) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
