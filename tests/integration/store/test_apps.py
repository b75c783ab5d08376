"""The list of apps, and how many sessions and users each has."""

from rest_sessions.limits import MAX_APPS
from rest_sessions.model import App, Login, Timeouts
from rest_sessions.store.sessions import SessionStore
from tests.conftest import Clock
from tests.own_tokens import ELSEWHERE, HERE, USER, own_token, user_in

APP = "webapp"
IP = "192.0.2.7"


def counts(store: SessionStore) -> list[tuple[int, int]]:
    """Sessions and users of each app."""
    return [(app.sessions, app.users) for app in store.list_apps(lambda _: True).apps]


def names(store: SessionStore, *args, visible=lambda _: True) -> list[str]:
    return [app.name for app in store.list_apps(visible, *args).apps]


class TestNames:
    def test_there_are_none_at_first(self, store: SessionStore) -> None:
        assert store.list_apps(lambda _: True) == ([], None)

    def test_they_are_in_the_order_of_their_names(self, store: SessionStore) -> None:
        for app in ("web", "Web", "_app", "app-2", "app"):
            store.create_session(app, USER, IP)
        assert names(store) == ["Web", "_app", "app", "app-2", "web"]

    def test_only_those_are_shown_that_are_visible(self, store: SessionStore) -> None:
        for app in ("one", "two", "three"):
            store.create_session(app, USER, IP)
        page = store.list_apps(lambda app: app == "two", 1)
        assert page == ([App("two", 1, 1)], None)

    def test_an_app_stays_until_the_sweep_finds_no_session(self, store: SessionStore, clock: Clock) -> None:
        store.create_session(APP, USER, IP, Timeouts(10))
        clock.now += 11
        assert names(store) == [APP]
        store.sweep_expired()
        assert names(store) == []

    def test_an_app_with_killed_sessions_only_stays_until_the_sweep(self, store: SessionStore) -> None:
        token = store.create_session(APP, USER, IP).token
        store.kill_session(APP, token)
        assert store.list_apps(lambda _: True).apps == [App(APP, 0, 0)]
        store.sweep_expired()
        assert names(store) == []

    def test_an_app_whose_sessions_a_killall_ended_stays_while_that_may_come_again(self, store, clock: Clock) -> None:
        store.create_session(APP, USER, IP)
        store.kill_sessions_of_app(APP)
        assert_forgotten_after_60_seconds(store, clock)

    def test_an_app_with_nothing_but_a_closed_session_stays_while_that_is_kept(self, store, clock: Clock) -> None:
        old = store.create_anonymous_session(APP, IP).token
        store.kill_session(APP, store.create_session(APP, USER, IP, login=Login(old)).token)
        assert_forgotten_after_60_seconds(store, clock)


def assert_forgotten_after_60_seconds(store: SessionStore, clock: Clock) -> None:
    clock.now += 60
    store.sweep_expired()
    assert store.list_apps(lambda _: True).apps == [App(APP, 0, 0)]
    clock.now += 1
    store.sweep_expired()
    assert names(store) == []


class TestAdding:
    def test_a_create_adds_its_app_every_300_seconds(self, store: SessionStore, clock: Clock, batches) -> None:
        for seconds, is_added in ((0, True), (299, False), (1, True), (299, False)):
            clock.now += seconds
            batches.clear()
            store.create_session(APP, USER, IP)
            [[_, *others]] = batches
            assert [command[0] for command in others] == ["SADD"] * is_added

    def test_a_create_in_a_partition_without_sessions_adds_it_afterwards(self, store: SessionStore, batches) -> None:
        store.create_session(APP, USER, IP)
        batches.clear()
        store.create_session(APP, user_in(ELSEWHERE), IP)
        [[_], [add]] = batches
        assert add[0] == "SADD"


class TestPages:
    def test_join_to_the_whole(self, store: SessionStore) -> None:
        apps = [f"app{number}" for number in range(5)]
        for app in apps:
            store.create_session(app, USER, IP)
        first = store.list_apps(lambda _: True, 2)
        second = store.list_apps(lambda _: True, 2, first.next)
        third = store.list_apps(lambda _: True, 2, second.next)
        assert [app.name for page in (first, second, third) for app in page.apps] == apps
        assert (first.next, second.next, third.next) == ("app1", "app3", None)

    def test_a_full_last_page_has_no_next(self, store: SessionStore) -> None:
        for app in ("one", "two"):
            store.create_session(app, USER, IP)
        assert store.list_apps(lambda _: True, 2).next is None

    def test_one_goes_on_where_the_app_is_gone(self, store: SessionStore) -> None:
        for app in ("one", "two"):
            store.create_session(app, USER, IP)
        assert names(store, 1, "p") == ["two"]

    def test_an_app_that_is_not_visible_takes_no_room(self, store: SessionStore) -> None:
        for app in ("app1", "app2", "app3", "app4"):
            store.create_session(app, USER, IP)
        page = store.list_apps(lambda app: app in ("app2", "app4"), 1)
        assert ([app.name for app in page.apps], page.next) == (["app2"], "app2")
        page = store.list_apps(lambda app: app in ("app2", "app4"), 1, page.next)
        assert ([app.name for app in page.apps], page.next) == (["app4"], None)

    def test_one_has_100_apps_without_a_limit(self, store: SessionStore) -> None:
        apps = [f"app{number:03}" for number in range(MAX_APPS + 1)]
        for app in apps:
            store.create_session(app, USER, IP)
        page = store.list_apps(lambda _: True)
        assert [app.name for app in page.apps] == apps[:MAX_APPS]
        assert page.next == apps[MAX_APPS - 1]
        assert names(store, None, page.next) == apps[MAX_APPS:]

    def test_one_takes_two_round_trips(self, store: SessionStore, batches) -> None:
        for app in ("one", "two", "three"):
            store.create_session(app, USER, IP)
        batches.clear()
        store.list_apps(lambda _: True)
        assert len(batches) == 2


class TestCounts:
    def test_those_of_each_app(self, store: SessionStore) -> None:
        for id in ("a", "a", "b", "c"):
            store.create_session("one", id, IP)
        store.create_session("two", "a", IP)
        assert store.list_apps(lambda _: True).apps == [App("one", 4, 3), App("two", 1, 1)]

    def test_no_killed_session(self, store: SessionStore) -> None:
        tokens = [store.create_session(APP, id, IP).token for id in ("a", "a", "b")]
        store.kill_session(APP, tokens[0])
        assert counts(store) == [(2, 2)]
        store.kill_session(APP, tokens[1])
        assert counts(store) == [(1, 1)]

    def test_no_closed_session(self, store: SessionStore) -> None:
        old = store.create_session(APP, USER, IP).token
        store.create_session(APP, USER, IP, login=Login(old))
        assert counts(store) == [(1, 1)]

    def test_an_anonymous_session_has_no_user(self, store: SessionStore) -> None:
        store.create_anonymous_session(APP, IP)
        assert counts(store) == [(1, 0)]

    def test_an_expired_session_counts_no_more_but_its_user_does(self, store: SessionStore, clock: Clock) -> None:
        store.create_session(APP, USER, IP, Timeouts(10))
        clock.now += 10
        assert counts(store) == [(1, 1)]
        clock.now += 1
        assert counts(store) == [(0, 1)]

    def test_neither_a_closed_session_nor_an_expired_one_of_a_partition(self, store, clock: Clock) -> None:
        old = store.create_session(APP, USER, IP).token
        store.create_session(APP, USER, IP, Timeouts(10))
        clock.now += 11
        store.create_session(APP, USER, IP, login=Login(old))
        assert counts(store) == [(1, 1)]
        store.sweep_expired()
        assert counts(store) == [(1, 1)]

    def test_a_pointer_is_no_session(self, store: SessionStore) -> None:
        store.create_session(APP, USER, IP, own_token=own_token(ELSEWHERE))
        store.create_session(APP, USER, IP, own_token=own_token(HERE))
        assert counts(store) == [(2, 1)]

    def test_to_count_is_no_use(self, store: SessionStore, clock: Clock, stored) -> None:
        store.create_session(APP, USER, IP)
        clock.now += 5
        before = stored.everything()
        counts(store)
        assert stored.everything() == before
