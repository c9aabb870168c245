"""What operators' browsers do in the admin, for the tests of its pages."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

HOSTILE = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;"


def superuser() -> Client:
    """A superuser's browser; without a password, since hashing one takes longer than most tests."""
    return _browser(User.objects.create_superuser("root"))


def staff(*codenames: str) -> Client:
    """Somebody of the staff with those permissions alone."""
    user = User.objects.create_user(f"staff-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return _browser(user)


def _browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def detail(path: str, pk: Any) -> str:
    """The page of one row of the list at `path`."""
    return f"{path}{quote(pk)}/change/"


def found(client: Client, path: str, **query: str) -> list[str]:
    """The ids in a list."""
    page = client.get(path, query)
    assert page.status_code == 200
    return [row.id for row in page.context["cl"].result_list]


def act(client: Client, path: str, action: str, *chosen: Any) -> Any:
    """Choose an action of a list for these rows."""
    data = {"action": action, "_selected_action": [row.pk for row in chosen]}
    return client.post(path, data, follow=True)


def errors(page: Any) -> dict[str, Any]:
    """What the form refused."""
    assert page.status_code == 200
    return dict(page.context["adminform"].form.errors)


def queries(client: Client, path: str) -> list[str]:
    """What a page asks the database."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in captured]


def plan(query: str) -> str:
    """How SQLite finds the rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + query)
        return str(cursor.fetchall())


def statuses(client: Client, *paths: str) -> list[int]:
    """What each page is answered with."""
    return [client.get(path).status_code for path in paths]


def assert_a_longer_list_takes_no_more_queries(client: Client, path: str, more: Callable[[], Any]) -> list[str]:
    """`more` makes one more row; returns the queries of a list of twenty."""
    for _ in range(2):
        more()
    few = queries(client, path)
    for _ in range(18):
        more()
    assert len(found(client, path)) == 20
    many = queries(client, path)
    assert len(many) == len(few)
    return many


def assert_nothing_can_be_changed(client: Client, path: str, pk: Any, **fields: str) -> None:
    """Rows are neither added nor changed nor deleted, by whatever form is sent."""
    assert client.post(path + "add/", fields).status_code == 403
    assert client.post(detail(path, pk), fields).status_code == 403
    assert client.post(f"{path}{quote(pk)}/delete/", {"post": "yes"}).status_code == 403
    assert "_selected_action" not in client.get(path).text


def assert_escaped(client: Client, *paths: str) -> None:
    """What was HOSTILE in a row is text on these pages."""
    for path in paths:
        page = client.get(path).text
        assert HOSTILE not in page
        assert ESCAPED in page
