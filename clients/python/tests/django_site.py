"""A Django site with a view for each thing that a session is used for."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(mkdtemp()) / "site.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    MIDDLEWARE=[
        "rest_sessions_client.django.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the tests",
    SESSION_ENGINE="rest_sessions_client.django",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import login, logout, update_session_auth_hash  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

call_command("migrate", verbosity=0)

# What a view calls between reading the session and changing it.
meanwhile: list[Callable[[], None]] = []


def untouched(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no session")


def read(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(request.session.items()))


def polled(request: HttpRequest) -> HttpResponse:
    request.session.peek = True
    return read(request)


def read_slowly(request: HttpRequest) -> HttpResponse:
    request.session.get("anything")
    for call in meanwhile:
        call()
    return HttpResponse()


def write(request: HttpRequest) -> HttpResponse:
    request.session.get("anything")
    for call in meanwhile:
        call()
    request.session.update(json.loads(request.body))
    return HttpResponse()


def remove(request: HttpRequest, key: str) -> HttpResponse:
    del request.session[key]
    return HttpResponse()


def change_inside(request: HttpRequest) -> HttpResponse:
    request.session["list"].append(len(request.session["list"]))
    request.session.modified = True
    return HttpResponse()


def clear(request: HttpRequest) -> HttpResponse:
    request.session.clear()
    return HttpResponse()


def expire(request: HttpRequest, seconds: str) -> HttpResponse:
    request.session.set_expiry(int(seconds))
    return HttpResponse()


def expire_in_an_hour(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(timedelta(hours=1))
    return HttpResponse()


def log_in(request: HttpRequest, name: str) -> HttpResponse:
    user, _ = User.objects.get_or_create(username=name)
    login(request, user)
    return HttpResponse()


def log_in_and_tell_key(request: HttpRequest, name: str) -> HttpResponse:
    log_in(request, name)
    return HttpResponse(request.session.session_key)


def change_password(request: HttpRequest) -> HttpResponse:
    request.user.set_password("another")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse()


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse()


def whoami(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.username)


async def write_async(request: HttpRequest) -> HttpResponse:
    await request.session.aset("async", 1)
    return JsonResponse(dict(await request.session.aitems()))


_VIEWS: list[Any] = [
    untouched, read, read_slowly, polled, write, expire_in_an_hour, change_inside, clear, change_password, log_out,
    whoami, write_async,
]  # fmt: skip
urlpatterns = [
    *(path(view.__name__, view) for view in _VIEWS),
    path("remove/<key>", remove),
    path("expire/<seconds>", expire),
    path("log_in/<name>", log_in),
    path("log_in_and_tell_key/<name>", log_in_and_tell_key),
]
