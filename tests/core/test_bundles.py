"""Statements that travel together do what they would have done one by one."""

import pytest
from django.db import DatabaseError, OperationalError, connection, models, transaction
from django.db.models import F

from agents_app.models import Agent
from taskmaster.core import plans
from taskmaster.core.bundles import (
    Statement,
    WrongCount,
    bundled,
    gathers,
    one_transaction,
    run_later,
    travels_in_bundles,
)
from taskmaster.core.database import keep_healthy
from taskmaster.core.inserts import insert
from taskmaster.core.prepared import Columns, Select, Slot, Update, ask
from taskmaster.orgs.models import Organization
from tests.api.racing import at_once

AGENT = Select(lambda: Agent.objects.filter(pk=Slot("pk")))
NAMES = Columns(lambda: Agent.objects.filter(org=Slot("org")).order_by("name").values_list("name"))
RENAME = Update(lambda: Agent.objects.filter(pk=Slot("pk")), name=Slot("name"))
COUNT_UP = Update(
    lambda: Agent.objects.filter(pk=Slot("pk")), failures=F("failures") + Slot("by", models.IntegerField())
)
POSTGRESQL = pytest.mark.skipif(not travels_in_bundles(), reason="SQLite has nothing to bundle")


class TooLate(Exception):
    """Somebody else was first."""


@pytest.fixture
def org(transactional_db):
    org = Organization.objects.create(slug="bundles", name="Bundles")
    insert([Agent(org=org, name=name, type="custom", backend="echo") for name in ("a", "b", "c")])
    return org


@pytest.fixture
def agent(org):
    return Agent.objects.get(org=org, name="a")


def names(org):
    return list(Agent.objects.filter(org=org).order_by("name").values_list("name", flat=True))


def test_what_waits_is_seen_by_whatever_asks_next(org, agent):
    with one_transaction():
        RENAME.later(pk=agent.pk, name="z")
        assert [name for (name,) in NAMES.all(org=org.pk)] == ["b", "c", "z"]
        RENAME.later(pk=agent.pk, name="y")
        assert names(org) == ["b", "c", "y"], "the ORM as well"
        RENAME.later(pk=agent.pk, name="x")
        with transaction.atomic():
            RENAME.later(pk=agent.pk, name="w")
        assert AGENT.first(pk=agent.pk).name == "w"
    assert names(org) == ["b", "c", "w"]


def test_the_order_is_that_of_the_calls(org, agent):
    with one_transaction():
        for number in range(5):
            RENAME.later(pk=agent.pk, name=f"n{number}")
            COUNT_UP.later(pk=agent.pk, by=number)
        insert([Agent(org=org, name="made", type="custom", backend="echo")])
        COUNT_UP.later(pk=agent.pk, by=100)
    found = Agent.objects.get(pk=agent.pk)
    assert (found.name, found.failures) == ("n4", 110)
    assert names(org) == ["b", "c", "made", "n4"]


def test_several_questions_and_several_changes_go_together(org, agent):
    with one_transaction():
        COUNT_UP.later(pk=agent.pk, by=7)
        found, all_names, nothing = ask(
            (AGENT, {"pk": agent.pk}), (NAMES, {"org": org.pk}), (AGENT, {"pk": "agent_none"})
        )
        assert (found[0].failures, all_names, nothing) == (7, [("a",), ("b",), ("c",)], [])
        renamed, nobody, now_named = ask(
            (RENAME, {"pk": agent.pk, "name": "x"}),
            (RENAME, {"pk": "agent_none", "name": "y"}),
            (NAMES, {"org": org.pk}),
        )
        assert (renamed, nobody, now_named) == (1, 0, [("b",), ("c",), ("x",)])
        assert RENAME(pk="agent_none", name="y") == 0
    assert names(org) == ["b", "c", "x"]


def test_a_failure_takes_all_of_it_back(org, agent):
    with pytest.raises(ZeroDivisionError), one_transaction():  # noqa: PT012
        RENAME.later(pk=agent.pk, name="z")
        assert AGENT.first(pk=agent.pk).name == "z"
        raise ZeroDivisionError
    assert names(org) == ["a", "b", "c"]
    assert connection.get_autocommit()
    assert not gathers()


def test_a_statement_that_fails_takes_all_of_it_back(org, agent):
    with pytest.raises(DatabaseError), one_transaction():  # noqa: PT012
        RENAME.later(pk=agent.pk, name="z")
        run_later(Statement("INSERT INTO nowhere VALUES (1)"))
    assert names(org) == ["a", "b", "c"]
    RENAME(pk=agent.pk, name="after")
    assert names(org) == ["after", "b", "c"]


@pytest.mark.parametrize("look", [True, False])
def test_a_change_that_comes_too_late_takes_all_of_it_back(org, agent, look):
    with pytest.raises(TooLate), one_transaction():  # noqa: PT012
        RENAME.later(pk=agent.pk, name="z")
        RENAME.later(pk="agent_none", name="z", rows=1, otherwise=TooLate)
        if look:
            AGENT.first(pk=agent.pk)
    assert names(org) == ["a", "b", "c"]


def test_a_wrong_count_is_an_error(org):
    with pytest.raises(WrongCount), one_transaction():
        RENAME.later(pk="agent_none", name="z", rows=1)


def test_news_of_the_commit_comes_after_it(org, agent):
    seen = []
    with one_transaction():
        transaction.on_commit(lambda: seen.append((connection.in_atomic_block, names(org))))
        RENAME.later(pk=agent.pk, name="z")
    assert seen == [(False, ["b", "c", "z"])]


def test_inside_another_transaction_it_is_a_part_of_that(org, agent):
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        with one_transaction():
            RENAME.later(pk=agent.pk, name="z")
        assert names(org) == ["b", "c", "z"]
        raise ZeroDivisionError
    assert names(org) == ["a", "b", "c"]


@POSTGRESQL
def test_outside_of_a_transaction_nothing_is_gathered(org):
    with pytest.raises(transaction.TransactionManagementError), bundled():
        pass


@POSTGRESQL
def test_begin_and_commit_travel_along(org, agent):
    with one_transaction():
        assert not connection.connection.info.transaction_status
        RENAME.later(pk=agent.pk, name="z")
        assert not connection.connection.info.transaction_status, "nothing was sent"
        AGENT.first(pk=agent.pk)
        assert connection.connection.info.transaction_status
    assert not connection.connection.info.transaction_status


@POSTGRESQL
def test_nothing_done_is_nothing_sent(org):
    before = connection.connection.pgconn.backend_pid
    with one_transaction():
        pass
    assert connection.connection.pgconn.backend_pid == before
    assert connection.get_autocommit()


@POSTGRESQL
def test_plans_are_kept_by_the_connection_and_go_by_an_index(org, agent):
    for _ in range(8):
        with one_transaction():
            assert AGENT.first(pk=agent.pk).name == "a"
            plan = AGENT._plan.name
            explained = connection.connection.execute(f"EXPLAIN EXECUTE {plan}('{agent.pk}')").fetchall()
    # For any value, in a table of three rows: without the setting it would be read from end to end.
    assert "Index Scan" in explained[0][0]
    assert any("$1" in line for (line,) in explained)


@POSTGRESQL
def test_what_is_always_the_same_stands_in_the_plan(org):
    active = Columns(
        lambda: Agent.objects.filter(org=Slot("org"), deleted_at=None, status="100% '%s'").values_list("pk")
    )
    with one_transaction():
        assert active.all(org=org.pk) == []
        prepared = "SELECT statement FROM pg_prepared_statements WHERE name = %s"
        ((text,),) = connection.connection.execute(prepared, [active._plan.name]).fetchall()
    assert "'100% ''%s'''" in text
    assert "$1" in text
    assert "$2" not in text


def cut():
    """End this thread's connection, as a restart of PostgreSQL does, from another one."""
    pid = connection.connection.info.backend_pid
    (gone,) = at_once(lambda: Agent.objects.raw("SELECT '' AS id, pg_terminate_backend(%s) AS gone", [pid])[0].gone)
    assert gone


@POSTGRESQL
@pytest.mark.parametrize("moment", ["before", "after BEGIN", "between", "before COMMIT", "before the ORM"])
def test_a_lost_connection_fails_that_transaction_and_no_other(org, agent, moment):
    def broken():
        with one_transaction():
            RENAME.later(pk=agent.pk, name="lost")
            if moment in ("between", "before COMMIT", "before the ORM"):
                AGENT.first(pk=agent.pk)
            if moment != "before":
                cut()
            if moment == "between":
                AGENT.first(pk=agent.pk)
            if moment == "before the ORM":
                names(org)

    AGENT.first(pk=agent.pk)
    if moment == "before":
        cut()
    with pytest.raises(OperationalError):
        broken()
    keep_healthy()
    assert names(org) == ["a", "b", "c"]
    with one_transaction():
        RENAME.later(pk=agent.pk, name="found")
    assert names(org) == ["b", "c", "found"]
    assert connection.get_autocommit()


@POSTGRESQL
def test_a_pooler_that_forgets_plans_is_noticed(org, agent, monkeypatch):
    monkeypatch.setitem(plans._state, "kept", True)
    with one_transaction():
        AGENT.first(pk=agent.pk)
    connection.connection.execute("DEALLOCATE ALL")
    with pytest.raises(DatabaseError), one_transaction():
        AGENT.first(pk=agent.pk)
    assert not plans.kept()
    with one_transaction():
        assert AGENT.first(pk=agent.pk).name == "a"
    # The pool must not hand it to a test that believes in plans.
    connection.connection.close()
    connection.close()


def test_threads_at_once(org, agent):
    def work():
        for _ in range(10):
            with one_transaction():
                COUNT_UP.later(pk=agent.pk, by=1)
                AGENT.first(pk=agent.pk)
                COUNT_UP.later(pk=agent.pk, by=1)

    at_once(*[work] * 4)
    assert Agent.objects.get(pk=agent.pk).failures == 80


def test_whatever_a_text_holds_arrives_as_it_was(org, agent):
    for text in ("it's", 'a "b"', "back\\slash", "100%", "%s $1 {}", "two;words -- no", "\u2028é漢🙂", "a\nb\tc"):
        with one_transaction():
            RENAME.later(pk=agent.pk, name=text)
            insert([Agent(org=org, name=text, type="custom", backend="echo", config={"k": text})])
            assert AGENT.first(pk=agent.pk).name == text
        made = Agent.objects.filter(org=org).latest("id")
        assert (made.name, made.config) == (text, {"k": text})
