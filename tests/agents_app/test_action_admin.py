"""Operators read what agents ask, and decide it, in the admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from agents_app import actions, budgets
from agents_app.backends.base import Decision
from agents_app.diff_display import MOST_LINES, coloured
from agents_app.models import Action, LogLine, Task
from taskmaster.core.clock import now
from taskmaster.core.ids import new_id
from taskmaster.orgs.models import Organization
from taskmaster.orgs.organizations import create_organization
from tests.admin import (
    HOSTILE,
    act,
    assert_a_longer_list_takes_no_more_queries,
    assert_escaped,
    detail,
    found,
    plan,
    queries,
    staff,
    statuses,
)
from tests.api.working import told
from tests.api.world import World
from tests.conftest import Person

pytestmark = pytest.mark.django_db

ACTIONS, TASKS, LINES = (f"/admin/agents_app/{name}/" for name in ("action", "task", "logline"))
DIFF = "--- a/app.py\n+++ b/app.py\n@@ -1,2 +1,2 @@\n same\n-gone\n+come\n"
ADDED, REMOVED = "background:rgba(46,160,67,.2)", "background:rgba(248,81,73,.2)"


@pytest.fixture
def world(alice: Person) -> World:
    return World(alice)


def action(org: Organization, **fields: Any) -> Action:
    """One more that nobody waits for."""
    about = {"kind": "tool", "tool": "Bash", "input": {"command": "ls"}, "task_id": new_id("task")}
    return Action.objects.create(org=org, **about | fields)


def decide(client: Client, pk: str, **typed: str) -> Any:
    """The answer to the form under an action, followed to the page that says what was done."""
    return client.post(detail(ACTIONS, pk), typed, follow=True)


def stored(pk: str) -> tuple[str, str, str]:
    row = Action.objects.get(pk=pk)
    return row.status, row.decided_by, row.reason


def said(page: Any) -> list[str]:
    """The messages on a page."""
    assert page.status_code == 200
    return [str(message) for message in page.context["messages"]]


# To decide


def test_an_action_is_confirmed_with_a_reason(admin: Client, world: World) -> None:
    page = decide(admin, world.action, confirm="Confirm", reason="go on")
    assert said(page) == ["Confirmed."]
    assert stored(world.action) == ("confirmed", "admin: root", "go on")
    assert actions.decision_of(world.action) == Decision(allowed=True, reason="go on")
    assert [kind for kind, _ in told(world.person.org, "action.")] == ["action.pending", "action.confirmed"]
    (entry,) = LogEntry.objects.all()
    assert (entry.object_id, entry.change_message) == (world.action, "Confirmed.")


def test_an_action_is_denied_and_the_agent_is_told_why(admin: Client, world: World) -> None:
    assert said(decide(admin, world.action, deny="Deny", reason="not on a Friday")) == ["Denied."]
    assert stored(world.action) == ("denied", "admin: root", "not on a Friday")
    assert actions.decision_of(world.action) == Decision(allowed=False, reason="not on a Friday")


@pytest.mark.parametrize("again", ["confirm", "deny"])
def test_what_is_decided_stays_so_and_the_operator_is_told(
    admin: Client, alice: Person, world: World, again: str
) -> None:
    alice.post(f"/actions/{world.action}/confirm", {"confirmed": False, "reason": "no"})
    before = stored(world.action)
    page = decide(admin, world.action, **{again: "x", "reason": "later"})
    assert said(page) == ["The action is denied. Nothing was changed."]
    assert stored(world.action) == before
    assert not LogEntry.objects.exists()


def test_the_same_decision_twice_is_made_once(admin: Client, world: World) -> None:
    decide(admin, world.action, confirm="Confirm", reason="one")
    assert said(decide(admin, world.action, confirm="Confirm", reason="two"))[-1].endswith("Nothing was changed.")
    assert stored(world.action) == ("confirmed", "admin: root", "one")
    assert LogEntry.objects.count() == 1


def test_a_decision_that_comes_too_late_is_told(admin: Client, world: World) -> None:
    Action.objects.filter(pk=world.action).update(expires_at=Now() - timedelta(seconds=1))
    assert said(decide(admin, world.action, confirm="Confirm")) == ["The action is expired. Nothing was changed."]
    assert actions.decision_of(world.action) != Decision(allowed=True)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({}, "Press Confirm or Deny."),
        ({"confirm": "x", "deny": "x"}, "Press Confirm or Deny."),
        ({"confirm": "x", "reason": "x" * 10_001}, "at most 10000 characters"),
        ({"confirm": "x", "reason": "\0"}, "Null characters are not allowed."),
    ],
)
def test_a_form_that_makes_no_sense_decides_nothing(
    admin: Client, world: World, typed: dict[str, str], problem: str
) -> None:
    (message,) = said(decide(admin, world.action, **typed))
    assert message.startswith("Nothing was decided. ")
    assert problem in message
    assert stored(world.action)[0] == "pending"


def test_nothing_else_of_an_action_can_be_changed(admin: Client, world: World) -> None:
    decide(admin, world.action, confirm="x", risk="low", tool="Other", org="org_x", token_budget="5")
    row = Action.objects.get(pk=world.action)
    assert (row.risk, row.tool, row.org_id, row.updated_input) == ("high", "Bash", world.person.org.pk, None)
    assert admin.post(ACTIONS + "add/", {"tool": "x"}).status_code == 403
    assert admin.post(detail(ACTIONS, world.action).replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_an_action_that_is_not_there_is_told(admin: Client) -> None:
    page = decide(admin, new_id("action"), confirm="x")
    assert "doesn’t exist" in said(page)[0]


def test_a_decided_action_has_no_buttons(admin: Client, org: Organization) -> None:
    open_one, done = action(org), action(org, status="denied", decided_by="x")
    texts = [admin.get(detail(ACTIONS, row.pk)).text for row in (open_one, done)]
    assert ['name="confirm"' in text for text in texts] == [True, False]
    assert ['name="deny"' in text for text in texts] == [True, False]
    assert ['name="token_budget"' in text for text in texts] == [False, False]


def budget(world: World) -> Action:
    """A budget of ten tokens that is used up, and a task that waits for it."""
    task = Task.objects.get(pk=world.submit(sessionId=world["session"]))
    budgets._park(task, budgets.Budget(world["session"], 10))
    return Action.objects.get(kind="budget")


def test_a_confirmed_budget_grows_to_what_was_typed(admin: Client, alice: Person, world: World) -> None:
    asked = budget(world)
    assert 'name="token_budget"' in admin.get(detail(ACTIONS, asked.pk)).text
    (refused,) = said(decide(admin, asked.pk, confirm="x", token_budget="0"))
    assert "greater than or equal to 1" in refused
    assert said(decide(admin, asked.pk, confirm="x", token_budget="777")) == ["Confirmed."]
    configuration = alice.get(f"/sessions/{world['session']}").json()["session"]["configuration"]
    assert configuration["tokenBudget"] == 777
    assert Task.objects.get().status == "queued"


def test_a_denied_budget_fails_what_waits_for_it(admin: Client, world: World) -> None:
    decide(admin, budget(world).pk, deny="x", reason="too dear")
    task = Task.objects.get()
    assert (task.status, task.error) == ("failed", "The token budget is used up: too dear")


# Many at once


def test_the_list_confirms_and_denies(admin: Client, org: Organization) -> None:
    first, second, third, other = (action(org) for _ in range(4))
    assert said(act(admin, ACTIONS, "confirm", first, second)) == ["Confirmed: 2."]
    assert said(act(admin, ACTIONS, "deny", third)) == ["Denied: 1."]
    rows = [stored(row.pk)[:2] for row in (first, second, third, other)]
    assert rows == [
        ("confirmed", "admin: root"),
        ("confirmed", "admin: root"),
        ("denied", "admin: root"),
        ("pending", ""),
    ]
    assert sorted(LogEntry.objects.values_list("object_id", "change_message")) == sorted(
        [(first.pk, "Confirmed."), (second.pk, "Confirmed."), (third.pk, "Denied.")]
    )


def test_the_list_tells_how_many_were_decided_before(admin: Client, org: Organization) -> None:
    rows = [action(org, status="denied"), action(org, status="confirmed"), action(org, status="expired"), action(org)]
    late = action(org, expires_at=now() - timedelta(seconds=1))
    told = said(act(admin, ACTIONS, "confirm", *rows, late))
    assert told == ["Confirmed: 1.", "Decided or expired before, and left as they are: 4."]
    assert [stored(row.pk)[0] for row in rows] == ["denied", "confirmed", "expired", "confirmed"]


# To look


def test_an_action_is_shown(admin: Client, world: World) -> None:
    pk = world.ask(diff=DIFF, input={"command": "rm -r build"})
    row = Action.objects.get(pk=pk)
    page = admin.get(detail(ACTIONS, pk)).text
    assert "&quot;command&quot;: &quot;rm -r build&quot;" in page
    assert f'href="{detail(TASKS, row.task_id)}"' in page
    assert f'href="{detail("/admin/sessions_app/session/", world["session"])}"' in page
    assert f'<span style="display:block;{ADDED}">+come\n</span>' in page
    listed = admin.get(ACTIONS).text
    assert pk in listed
    assert "rm -r build" in listed


def test_texts_are_escaped(admin: Client, world: World) -> None:
    pk = world.ask(tool=HOSTILE, input={HOSTILE: HOSTILE}, diff=f"+{HOSTILE}\n-{HOSTILE}")
    assert_escaped(admin, ACTIONS, detail(ACTIONS, pk))
    decide(admin, pk, deny="x", reason=HOSTILE)
    assert_escaped(admin, detail(ACTIONS, pk))


def lines(diff: str) -> list[tuple[str, str]]:
    """(style, text) of each line as it is shown."""
    spans = coloured(diff).split('<span style="display:block;')[1:]
    return [(style, text.split("\n")[0]) for style, _, text in (span.partition('">') for span in spans)]


def test_a_diff_is_coloured_by_line() -> None:
    assert lines(DIFF) == [
        ("font-weight:bold", "--- a/app.py"),
        ("font-weight:bold", "+++ b/app.py"),
        ("opacity:.65", "@@ -1,2 +1,2 @@"),
        ("", " same"),
        (REMOVED, "-gone"),
        (ADDED, "+come"),
    ]


def test_a_removed_comment_is_not_taken_for_a_file_name() -> None:
    shown = {text: style for style, text in lines(DIFF + "--- a comment of SQL\n+++ counter;\n")}
    assert (shown["--- a comment of SQL"], shown["+++ counter;"]) == (REMOVED, ADDED)


def test_a_line_keeps_what_looks_like_a_line_end_to_python() -> None:
    assert lines("+one\u2028two\x0bthree\r\n-four") == [(ADDED, "+one\u2028two\x0bthree\r"), (REMOVED, "-four")]


def test_of_an_endless_diff_the_beginning_is_shown() -> None:
    text = coloured("+x\n" * (MOST_LINES + 5))
    assert (text.count("<span"), "5 more lines are not shown" in text) == (MOST_LINES, True)
    assert "more lines" not in coloured("+x\n" * MOST_LINES)


def test_actions_are_found_and_filtered(admin: Client, org: Organization, charlie: Person) -> None:
    session = new_id("session")
    one = action(org, session_id=session, risk="high")
    other = action(charlie.org, kind="budget", status="expired")
    for query in (one.pk, session, one.task_id or "", org.pk, "wonderland"):
        assert found(admin, ACTIONS, q=query) == [one.pk], query
    assert found(admin, ACTIONS, q=new_id("action")) == found(admin, ACTIONS, q="nothing") == []
    assert found(admin, ACTIONS, status="pending") == found(admin, ACTIONS, kind="tool") == [one.pk]
    assert found(admin, ACTIONS, risk="high", created="24h") == [one.pk]
    assert found(admin, ACTIONS, status="expired") == found(admin, ACTIONS, risk="medium") == [other.pk]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL reads a table of one row whole")
@pytest.mark.parametrize("prefix", ["action", "session", "org"])
def test_a_search_uses_an_index(admin: Client, org: Organization, prefix: str) -> None:
    row = action(org, session_id=new_id("session"))
    ids = {"action": row.pk, "session": row.session_id, "org": org.pk}
    (asked,) = [sql for sql in queries(admin, f"{ACTIONS}?q={ids[prefix]}") if "excerpted" in sql]
    assert "SCAN agents_app_action" not in plan(asked)


def test_a_longer_list_takes_no_more_queries(admin: Client) -> None:
    def more() -> None:
        org = create_organization(slug=f"org-{Organization.objects.count()}")
        action(org, session_id=new_id("session"), message_id=new_id("msg"))

    asked = assert_a_longer_list_takes_no_more_queries(admin, ACTIONS, more)
    assert not [sql for sql in asked if '"diff"' in sql]


def test_who_may_look_and_who_may_decide(client: Client, world: World) -> None:
    pages = [ACTIONS, detail(ACTIONS, world.action)]
    assert [client.get(path)["Location"] for path in pages] == [f"/admin/login/?next={path}" for path in pages]
    assert statuses(staff(), *pages) == [403, 403]
    looker, decider = staff("view_action"), staff("change_action")
    for who, may in ((looker, False), (decider, True)):
        assert ("_selected_action" in who.get(ACTIONS).text, 'name="confirm"' in who.get(pages[1]).text) == (may, may)
    assert looker.post(pages[1], {"confirm": "x"}).status_code == 403
    assert staff("view_action", "change_task").post(pages[1], {"confirm": "x"}).status_code == 403
    act(looker, ACTIONS, "confirm", Action.objects.get())
    assert stored(world.action)[0] == "pending"
    assert said(decide(decider, world.action, confirm="x")) == ["Confirmed."]


# On the task's page


def test_a_task_shows_what_it_asked_and_what_it_said(admin: Client, world: World) -> None:
    first, second = world.ask(), world.ask(tool=HOSTILE)
    asked = Action.objects.get(pk=first)
    page = admin.get(detail(TASKS, asked.task_id)).text
    assert f'<div><a href="{detail(ACTIONS, first)}">{first}</a> Bash pending</div>' in page
    assert second not in page
    assert_escaped(admin, detail(TASKS, Action.objects.get(pk=second).task_id))


def said_by(task: str, *texts: str) -> None:
    LogLine.objects.bulk_create([LogLine(task_id=task, attempt=2, text=text) for text in texts])


def test_a_task_shows_the_end_of_its_log(admin: Client, world: World) -> None:
    said_by(world.task, *[f"line {number}." for number in range(250)], HOSTILE, "x" * 5_000)
    page = admin.get(detail(TASKS, world.task)).text
    assert [f"line {number}." in page for number in (51, 52, 249)] == [False, True, True]
    assert page.index("line 52.") < page.index("line 249.")
    assert f'<a href="{LINES}?q={world.task}">Only the last 200 lines: see all</a>' in page
    assert "x" * 499 + "…" in page
    assert "x" * 500 not in page
    assert_escaped(admin, detail(TASKS, world.task))


def test_a_task_that_said_and_asked_nothing_shows_nothing_of_it(admin: Client, world: World) -> None:
    content = admin.get(detail(TASKS, world.task)).text.partition("<main")[2]
    assert (LINES in content, ACTIONS in content) == (False, False)


def test_a_longer_log_takes_no_more_queries(admin: Client, world: World) -> None:
    said_by(world.task, "one")
    action(world.person.org, task_id=world.task)
    few = len(queries(admin, detail(TASKS, world.task)))
    said_by(world.task, *["more"] * 30)
    for _ in range(10):
        action(world.person.org, task_id=world.task)
    assert len(queries(admin, detail(TASKS, world.task))) == few


def test_all_lines_of_a_log_are_listed_and_shown(admin: Client, world: World) -> None:
    said_by(world.task, "x" * 300, HOSTILE)
    page = admin.get(LINES)
    assert "x" * 99 + "…" in page.text
    assert [row.get_deferred_fields() for row in page.context["cl"].result_list] == [{"text"}] * 2
    said_by(world.submit(), "of another")
    long, hostile, _ = LogLine.objects.order_by("pk")
    assert found(admin, LINES, q=world.task) == [hostile.pk, long.pk]
    assert "x" * 300 in admin.get(detail(LINES, long.pk)).text
    assert_escaped(admin, LINES, detail(LINES, hostile.pk))
    assert admin.post(detail(LINES, long.pk), {"text": "y"}).status_code == 403
