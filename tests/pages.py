"""The pages of a listing."""

from collections.abc import Callable, Iterator

from rest_sessions.model import Cursor, Page


def all_pages(read: Callable[[Cursor | None], Page]) -> Iterator[Page]:
    """All pages of a listing. `read` takes the cursor of a page, None for the first."""
    cursor = None
    while True:
        page = read(cursor)
        yield page
        cursor = page.next
        if cursor is None:
            return


def ids(page: Page) -> list[str]:
    return [session.id for session in page.sessions]
