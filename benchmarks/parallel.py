"""`make parallel`: what parallel requests make of a session, with the session backends of Django, Flask and Starlette.

Each backend runs in the same small site of its framework, and each site gets the same requests. The table is written
into docs/clients.md.
"""

import asyncio
import contextlib
import datetime as dt
import json
import logging
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import django
import flask
import flask_session
import httpx2
import redis
import starsessions
from cachelib import FileSystemCache
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse, JsonResponse
from django.test import Client as DjangoBrowser
from django.test import override_settings
from django.urls import path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware as CookieMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starsessions.stores.redis import RedisStore

from rest_sessions_client import AsyncClient, Client
from rest_sessions_client.flask import RestSessions
from rest_sessions_client.starlette import SessionMiddleware

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- parallel -->\n", "<!-- /parallel -->"
PACKAGES = ("Django", "Flask", "Flask-Session", "starlette", "starsessions")

LOOPBACK = "127.0.0.1"
APP = "webapp"
OURS = "**REST Sessions**"
SECRET = "x" * 50
PARALLEL = 25
ROUNDS = 5
START_SECONDS = 20
MEETING_SECONDS = 30

TEXT = """\
`make parallel` measures this and writes it here. {parallel} requests with one cookie read the session. Only when all
have read it, each writes a key of its own. *Kept* is how many of these keys the next request finds: the lowest to the
highest of {rounds} rounds. *After a logout*: one request reads the session, another logs out, and then the first
writes. With the cookie from before the logout, a request then finds no data (*ended*), finds some again since the
write (*revived*), or has found them all the time, as they are in the cookie itself (*never ended*).

"""
WRITTEN = """
Written on {date} with Python {python}, {redis},
{packages}.
"""


class Answer(NamedTuple):
    """What a site answers to a request."""

    status: int
    text: str
    # Its Set-Cookie headers.
    cookies: list[str]


async def nothing() -> None:
    pass


class Site:
    """A site of one framework, with /read, /write/<key> and /log_out."""

    # What /write awaits between reading the session and writing into it.
    meanwhile: Callable[[], Awaitable[object]] = staticmethod(nothing)

    async def send(self, url: str, headers: dict[str, str]) -> Answer:
        """Sends a request by the test client of the framework."""
        raise NotImplementedError


class ThreadedSite(Site):
    """A site that serves each request in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def call(self, url: str, headers: dict[str, str]) -> Answer:
        raise NotImplementedError

    async def send(self, url: str, headers: dict[str, str]) -> Answer:
        return await self._loop.run_in_executor(None, self.call, url, headers)

    def wait(self) -> None:
        asyncio.run_coroutine_threadsafe(self.meanwhile(), self._loop).result(MEETING_SECONDS)


class DjangoSite(ThreadedSite):
    def __init__(self) -> None:
        super().__init__()
        self.urls = (path("read", self.read), path("write/<key>", self.write), path("log_out", self.log_out))

    def read(self, request: Any) -> HttpResponse:
        return JsonResponse(dict(request.session.items()))

    def write(self, request: Any, key: str) -> HttpResponse:
        request.session.get("first")
        self.wait()
        request.session[key] = 1
        return HttpResponse()

    def log_out(self, request: Any) -> HttpResponse:
        request.session.flush()
        return HttpResponse()

    def call(self, url: str, headers: dict[str, str]) -> Answer:
        answer = DjangoBrowser(headers=headers).get(url)
        cookies = [cookie.OutputString() for cookie in answer.cookies.values()]
        return Answer(answer.status_code, answer.content.decode(), cookies)


class FlaskSite(ThreadedSite):
    def __init__(self) -> None:
        super().__init__()
        self.app = flask.Flask(__name__)
        self.app.testing = True
        self.app.secret_key = SECRET
        self.app.add_url_rule("/read", view_func=self.read)
        self.app.add_url_rule("/write/<key>", view_func=self.write)
        self.app.add_url_rule("/log_out", view_func=self.log_out)

    def read(self) -> dict[str, Any]:
        return dict(flask.session)

    def write(self, key: str) -> str:
        flask.session.get("first")
        self.wait()
        flask.session[key] = 1
        return ""

    def log_out(self) -> str:
        flask.session.clear()
        return ""

    def call(self, url: str, headers: dict[str, str]) -> Answer:
        answer = self.app.test_client(use_cookies=False).get(url, headers=headers)
        return Answer(answer.status_code, answer.text, answer.headers.getlist("Set-Cookie"))


class StarletteSite(Site):
    """A site that serves all requests in one event loop."""

    def __init__(self, *middleware: Middleware) -> None:
        routes = [Route("/read", self.read), Route("/write/{key}", self.write), Route("/log_out", self.log_out)]
        self._transport = httpx2.ASGITransport(Starlette(routes=routes, middleware=middleware))

    async def read(self, request: Request) -> Response:
        return JSONResponse(dict(request.session))

    async def write(self, request: Request) -> Response:
        request.session.get("first")
        await self.meanwhile()
        request.session[request.path_params["key"]] = 1
        return Response()

    async def log_out(self, request: Request) -> Response:
        request.session.clear()
        return Response()

    async def send(self, url: str, headers: dict[str, str]) -> Answer:
        async with httpx2.AsyncClient(transport=self._transport, base_url="http://testserver") as client:
            answer = await client.get(url, headers=headers)
        return Answer(answer.status_code, answer.text, answer.headers.get_list("set-cookie"))


class Servers(NamedTuple):
    """The addresses of Redis and of this project's service, and a folder for files."""

    redis: str
    service: str
    folder: Path


# Each of the following has the backends of a framework: what a row is called, and how its site is made.
def django_sites(servers: Servers) -> Iterator[tuple[str, Site]]:
    backends = "django.contrib.sessions.backends"
    theirs = {"MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware"]}
    ours = {
        "MIDDLEWARE": ["rest_sessions_client.django.SessionMiddleware"],
        "REST_SESSIONS": {"URL": servers.service, "APP": APP},
    }
    for name, engine, options in (
        ("signed cookies", f"{backends}.signed_cookies", theirs),
        ("cache (local memory)", f"{backends}.cache", theirs),
        ("database (SQLite)", f"{backends}.db", theirs),
        ("cached database", f"{backends}.cached_db", theirs),
        ("files", f"{backends}.file", theirs),
        (OURS, "rest_sessions_client.django", ours),
    ):
        site = DjangoSite()
        with override_settings(ROOT_URLCONF=site.urls, SESSION_ENGINE=engine, **options):
            yield name, site


def flask_sites(servers: Servers) -> Iterator[tuple[str, Site]]:
    yield "signed cookies", FlaskSite()
    client, files = redis.Redis.from_url(servers.redis), FileSystemCache(servers.folder / "cache")
    for name, options in (
        ("Flask-Session, Redis", {"SESSION_TYPE": "redis", "SESSION_REDIS": client}),
        ("Flask-Session, files", {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": files}),
    ):
        site = FlaskSite()
        site.app.config.update(options)
        flask_session.Session(site.app)
        yield name, site
    site = FlaskSite()
    RestSessions(site.app, Client(servers.service, APP))
    yield OURS, site


def starlette_sites(servers: Servers) -> Iterator[tuple[str, Site]]:
    yield "signed cookies", StarletteSite(Middleware(CookieMiddleware, secret_key=SECRET))
    store = RedisStore(connection=redis.asyncio.Redis.from_url(servers.redis))
    autoload = Middleware(starsessions.SessionAutoloadMiddleware)
    yield "starsessions, Redis", StarletteSite(Middleware(starsessions.SessionMiddleware, store=store), autoload)
    yield OURS, StarletteSite(Middleware(SessionMiddleware, client=AsyncClient(servers.service, APP)))


FRAMEWORKS = {"Django": django_sites, "Flask": flask_sites, "Starlette": starlette_sites}


class Browser:
    """Sends the cookies that it has, and keeps those of each answer when it comes."""

    def __init__(self, site: Site, cookies: dict[str, str] | None = None) -> None:
        self._site = site
        self.cookies = dict(cookies or {})

    async def get(self, url: str) -> str:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self._site.send(url, {"Cookie": cookie} if cookie else {})
        if answer.status >= 500:
            raise RuntimeError(f"{url} was answered with {answer.status}")
        for header in answer.cookies:
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}
        return answer.text

    async def read(self) -> dict[str, Any]:
        """The session's data."""
        data: dict[str, Any] = json.loads(await self.get("/read"))
        return data


async def keys_kept(site: Site) -> int:
    """How many of the keys are kept that parallel requests of one browser write."""
    site.meanwhile = nothing
    browser = Browser(site)
    await browser.get("/write/first")
    site.meanwhile = asyncio.Barrier(PARALLEL).wait
    keys = [f"key{number}" for number in range(PARALLEL)]
    async with asyncio.timeout(MEETING_SECONDS):
        await asyncio.gather(*(browser.get(f"/write/{key}") for key in keys))
    return len(keys & (await browser.read()).keys())


async def after_logout(site: Site) -> str:
    """What becomes of a session if a request read it before a logout, and writes after it."""
    site.meanwhile = nothing
    browser = Browser(site)
    await browser.get("/write/first")
    before = browser.cookies

    async def has_data() -> bool:
        return bool({"first", "late"} & (await Browser(site, before).read()).keys())

    assert await has_data()
    found = []

    async def log_out() -> None:
        await Browser(site, before).get("/log_out")
        found.append(await has_data())

    site.meanwhile = log_out
    await Browser(site, before).get("/write/late")
    [has_data_after_logout] = found
    if has_data_after_logout:
        return "never ended"
    return "revived" if await has_data() else "ended"


async def rows(servers: Servers) -> AsyncIterator[str]:
    """The rows of the table."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(PARALLEL))
    for framework, sites in FRAMEWORKS.items():
        for name, site in sites(servers):
            kept = [await keys_kept(site) for _ in range(ROUNDS)]
            lowest_to_highest = " to ".join(str(number) for number in sorted({min(kept), max(kept)}))
            [end] = {await after_logout(site) for _ in range(ROUNDS)}
            yield f"| {framework} | {name} | {lowest_to_highest} of {PARALLEL} | {end} |"


async def table(servers: Servers) -> str:
    head = ["| framework | sessions | kept | after a logout |", "| --- | --- | ---: | --- |"]
    return "\n".join(head + [row async for row in rows(servers)]) + "\n"


@contextlib.contextmanager
def server(port: int, *command: str | Path, **environment: str) -> Iterator[None]:
    """Runs a server while the context lasts. Raises RuntimeError if it does not start."""
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port)):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """Redis, and `make dev` with it."""
    binary = next(filter(shutil.which, ("redis-server", "valkey-server")))
    redis_port, port = free_port(), free_port()
    address = f"redis://{LOOPBACK}:{redis_port}"
    dev = (ROOT / ".venv" / "bin" / "python", "-m", "dev")
    with (
        tempfile.TemporaryDirectory() as folder,
        server(redis_port, binary, "--port", str(redis_port), "--bind", LOOPBACK, "--save", "", "--dir", folder),
        server(port, *dev, PORT=str(port), REDIS_URL=address, REDIS_CLUSTER="0", AUTH="0"),
    ):
        yield Servers(address, f"http://{LOOPBACK}:{port}", Path(folder))


def set_up_django(folder: Path) -> None:
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django.contrib.sessions"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "database"}},
        SESSION_FILE_PATH=folder,
    )
    django.setup()
    call_command("migrate", verbosity=0)


def main() -> None:
    # Each late write is logged. What fails raises an error.
    logging.disable(logging.WARNING)
    with servers() as running:
        set_up_django(running.folder)
        found = asyncio.run(table(running))
        with redis.Redis.from_url(running.redis) as client:
            info: Any = client.info("server")
    print(found)
    written = WRITTEN.format(
        date=dt.datetime.now(dt.UTC).date(),
        python=platform.python_version(),
        packages=", ".join(f"{package} {version(package)}" for package in PACKAGES),
        redis=f"Redis {info['redis_version']}",
    )
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else BEGIN + END + "\n"
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    text = TEXT.format(parallel=PARALLEL, rounds=ROUNDS)
    PAGE.write_text(f"{before}{BEGIN}{text}{found}{written}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
