"""HTTP connections that stay open between requests. werkzeug's own server closes each after one answer."""

import contextlib
import io
import re
import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from werkzeug.http import parse_set_header
from werkzeug.serving import WSGIRequestHandler
from werkzeug.wrappers import Response

# API Gateway takes no more either.
MAX_BODY_BYTES = 10 * 1024 * 1024

_LINGER_SECONDS = 1
_LINGER_READS = 1024


class KeptConnection(WSGIRequestHandler):  # type: ignore[misc]
    """A connection, in a thread of its own, that answers one request after the other."""

    protocol_version = "HTTP/1.1"
    # A request that cannot be parsed gets an answer with a status line and headers, too.
    default_request_version = "HTTP/1.1"
    error_content_type = "application/json"
    error_message_format = '{"message":"%(message)s"}'
    # Longer than HTTP clients keep an idle connection, so that they do not send a request just when it closes.
    timeout = 120
    # With the algorithm, an answer's body would wait until the client's system confirms the headers: 40 ms.
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answers a request. It reads the whole body first, needed or not: the next request begins behind it."""
        try:
            environ = self.make_environ()
            body = self._read_body(environ)
        except (OSError, ValueError):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        if len(body) > MAX_BODY_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        environ["wsgi.input"] = io.BytesIO(body)
        response = Response.from_app(self.server.app, environ, buffered=True)
        # It sets Content-Length, and leaves out what must not follow HEAD, 204 and 304.
        content, _, headers = response.get_wsgi_response(environ)
        self.send_response(response.status_code)
        for name, value in headers:
            self.send_header(name, value)
        if self.request_version < "HTTP/1.1" or "close" in parse_set_header(environ.get("HTTP_CONNECTION")):
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"".join(content))

    def _read_body(self, environ: Mapping[str, Any]) -> bytes:
        """The body, or the beginning of one that is too large. Raises an error if its end is uncertain."""
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        # Behind a line that is no header, the parser ignores all others.
        if self.headers.defects or len(lengths + codings) > 1:
            raise ValueError
        if codings:
            if codings[0].strip().lower() != "chunked":
                raise ValueError
            # Only buffered does werkzeug's decoder notice each body that ends early.
            return io.BufferedReader(environ["wsgi.input"]).read(MAX_BODY_BYTES + 1)
        if not lengths:
            return b""
        if not re.fullmatch("[0-9]+", lengths[0].strip()):
            raise ValueError
        size = min(int(lengths[0]), MAX_BODY_BYTES + 1)
        body: bytes = self.rfile.read(size)
        if len(body) < size:
            raise ValueError
        return body

    def send_error(self, code: int, *_: object) -> None:
        """Refuses a request by the name of the status. The parser's own messages repeat the path, and so a token."""
        super().send_error(code)

    def log_request(self, *_: object) -> None:
        """Logs nothing, nor does `log_error`: paths contain tokens."""

    log_error = log_request

    def finish(self) -> None:
        """Closes the connection, after what the client still sends. Unread, that would destroy the last answer."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_SECONDS)
            for _ in range(_LINGER_READS):
                if not self.connection.recv(1 << 16):
                    break
        super().finish()
