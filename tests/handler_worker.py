"""A process that serves requests like one of Lambda's, and measures itself: `python -m tests.handler_worker FOLDER`.

The environment names the server in SERVER and REDIS_URL, and the number of requests in WARM_UP and REQUESTS. The output
of the functions goes to stdout. The process writes two files to FOLDER: `tokens` has every token that was issued, one a
line; `measured` has the measurements after WARM_UP and after REQUESTS.
"""

import gc
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import TextIO

from dev.gateway import load_handlers, read_template
from tests.events import in_base64
from tests.handlers import KEY, REGISTRY, Api
from tests.servers import Server

DATUM = "a-datum-of-a-process-that-serves"
USERS = 50


def requests(api: Api, tokens: TextIO) -> Iterator[object]:
    """Endless requests to all functions: valid ones, invalid ones, and one with a fault of the gateway (500)."""
    call = api.call
    data = json.dumps({"name": DATUM, "cart": 3, "member": True})
    for number in count():
        user = {"id": f"user{number % USERS}@example.com"}
        token = {"token": api.create(path=user, body=data)}
        yield tokens.write(f"{token['token']}\n")
        killed = {"token": api.create(path=user, query={"no_resave": "1"}, **in_base64(data.encode()))}
        yield tokens.write(f"{killed['token']}\n")
        yield call("get_session", path=token)
        yield call("set_session", path=token, body=data)
        yield call("set_session", path=token, body='{"name": null}')
        yield call("list_sessions_of_id", path=user)
        yield call("list_sessions_of_app")
        yield call("count_active_users")
        yield call("kill_session", path=killed)
        yield call("kill_session", path=killed)
        yield call("get_session", path=killed)
        yield call("set_session", path=killed)
        yield call("ping")
        yield call("authorize")
        yield call("authorize", identitySource=[f"Bearer {KEY}x"])
        yield call("console")
        yield call("get_session", 403, path=token, principal={"name": "web", "apps": "another", "allow": "*"})
        yield call("get_session", 400, path={"app": "a"})
        yield call("get_session", 400, path={"token": "short"})
        yield call("create_session", 400, query={"ttl": "9"})
        yield call("count_active_users", 400, query={"dt": "x"})
        yield call("list_sessions_of_app", 400, query={"cursor": "x"})
        yield call("set_session", 400, path=token, body=data[:-1])
        yield call("set_session", 400, path=token, body=json.dumps({"name": DATUM, "n": 10**64}))
        yield call("set_session", 413, path=token, body=json.dumps({"name": DATUM * 9000}))
        yield call("set_session", 415, path=token, headers={"content-type": "text/plain"})
        yield call("set_session", 500, path=token, body="x", isBase64Encoded=True)
        yield call("kill_sessions_of_id", path=user)
        if number % USERS == 0:
            yield call("kill_sessions_of_app")
            yield call("sweep_expired")


@dataclass
class Measured:
    """The resident memory of this process, and the server's counts of connections and clients."""

    kilobytes: int
    connections: int
    clients: int

    @classmethod
    def now(cls, nodes: list) -> "Measured":
        gc.collect()
        [kilobytes] = re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
        received = sum(node.info("stats")["total_connections_received"] for node in nodes)
        return cls(int(kilobytes), received, sum(node.info("clients")["connected_clients"] for node in nodes))


def main() -> None:
    folder = Path(sys.argv[1])
    os.environ |= {"API_KEYS": REGISTRY, "AUTH_MODE": "token"}
    server = Server(os.environ["SERVER"], os.environ["REDIS_URL"])
    client = server.connect()
    nodes = server.nodes(client)
    measured = []
    with (folder / "tokens").open("w", encoding="ascii") as tokens:
        served = requests(Api(load_handlers(read_template())), tokens)
        for number in ("WARM_UP", "REQUESTS"):
            # Consumes the requests without keeping their answers.
            next(islice(served, int(os.environ[number]) - 1, None))
            measured.append(asdict(Measured.now(nodes)))
    (folder / "measured").write_text(json.dumps(measured), encoding="ascii")


if __name__ == "__main__":
    main()
