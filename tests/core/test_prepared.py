"""A prepared query gives what the queryset would."""

import time
from datetime import timedelta
from itertools import count

import pytest
from django.db import models
from django.db.models import F

from agents_app.models import Agent, Task
from taskmaster.core.clock import now
from taskmaster.core.inserts import insert
from taskmaster.core.prepared import Columns, Select, Slot, Update
from taskmaster.events.models import Event
from taskmaster.orgs.models import ApiToken
from tests.api.racing import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(org):
    return Agent.objects.filter(org=org, type="custom").get()


def a_task(agent, **fields):
    return Task(org_id=agent.org_id, agent=agent, type="t", description="d", **fields)


def values_of(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_select_gives_the_same_rows_as_the_orm(alice):
    prepared = Select(lambda: ApiToken.objects.select_related("org").filter(org=Slot("org")))
    (found,) = prepared.all(org=alice.org.pk)
    expected = ApiToken.objects.select_related("org").get(org=alice.org)
    assert values_of(found) == values_of(expected)
    assert found.scopes == ["read", "write", "agents", "admin"]


def test_what_select_related_brings_needs_no_query(alice, django_assert_num_queries):
    found = Select(lambda: ApiToken.objects.select_related("org").filter(org=Slot("org"))).first(org=alice.org.pk)
    with django_assert_num_queries(0):
        assert found.org.slug == "wonderland"


def test_a_missing_related_row_is_none(agent):
    from sessions_app.models import Session

    session = Session.objects.create(org=agent.org, agent_type="custom")
    found = Select(lambda: Session.objects.select_related("agent").filter(pk=Slot("pk"))).first(pk=session.pk)
    assert found.agent is None


def test_nothing_found_is_none_and_an_empty_list(db):
    prepared = Select(lambda: Task.objects.filter(pk=Slot("pk")))
    assert prepared.first(pk="task_none") is None
    assert prepared.all(pk="task_none") == []


def test_the_same_query_runs_again_with_other_values(agent):
    tasks = [a_task(agent), a_task(agent)]
    insert(tasks)
    prepared = Select(lambda: Task.objects.filter(pk=Slot("pk")))
    assert [prepared.first(pk=task.pk).pk for task in tasks] == [task.pk for task in tasks]


def test_a_value_is_never_read_as_sql(agent):
    insert([a_task(agent)])
    prepared = Select(lambda: Task.objects.filter(pk=Slot("pk")))
    assert prepared.all(pk="x' OR '1'='1") == []


def test_a_value_without_its_slot_is_an_error(db):
    with pytest.raises(KeyError):
        Select(lambda: Task.objects.filter(pk=Slot("pk"))).first()


def test_columns_come_as_tuples(agent):
    task = a_task(agent, priority=3)
    insert([task])
    prepared = Columns(lambda: Task.objects.filter(agent=Slot("agent")).values_list("id", "priority"))
    assert prepared.all(agent=agent.pk) == [(task.pk, 3)]
    assert prepared.value(agent=agent.pk) == task.pk
    assert prepared.value("nothing", agent="agent_none") == "nothing"


def test_inserted_rows_are_what_the_orm_reads(agent):
    task = a_task(
        agent, context={"b": 1, "a": [1.5, None, "é"]}, result=None, not_before=now() + timedelta(hours=1), error=None
    )
    insert([task])
    assert values_of(Task.objects.get(pk=task.pk)) == values_of(task)


def test_a_key_that_the_database_makes_is_left_to_it(org):
    events = [Event(org=org, event_type="session.created", data={"n": n}) for n in range(3)]
    insert(events)
    stored = Event.objects.filter(pk__isnull=False, event_type="session.created").order_by("number")
    assert [event.data["n"] for event in stored] == [0, 1, 2]
    assert len({event.number for event in stored}) == 3


def test_inserting_nothing_asks_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        insert([])


def test_an_update_counts_its_rows_and_takes_values_and_expressions(agent):
    task = a_task(agent)
    insert([task])
    prepared = Update(
        lambda: Task.objects.filter(pk=Slot("pk"), status="queued"),
        status=Slot("status"),
        attempts=F("attempts") + 1,
        started_at=Slot("now", models.DateTimeField()),
    )
    moment = now()
    assert prepared(pk=task.pk, status="running", now=moment) == 1
    assert prepared(pk=task.pk, status="running", now=moment) == 0
    stored = Task.objects.get(pk=task.pk)
    assert (stored.status, stored.attempts, stored.started_at) == ("running", 1, moment)


def test_an_update_returns_what_the_row_has_become(agent):
    task = a_task(agent)
    insert([task])
    prepared = Update(
        lambda: Task.objects.filter(pk=Slot("pk")), attempts=F("attempts") + 5, returning=("attempts", "status")
    )
    assert prepared.one(pk=task.pk) == (5, "queued")
    assert prepared.one(pk="task_none") is None


turn = count(1)


def slow_to_compile():
    """A queryset that takes its time to compile, each time longer: several begin at once and end apart."""
    rows = ApiToken.objects.select_related("org").filter(org=Slot("org"))
    compiler_of = rows.query.get_compiler

    def get_compiler(**options):
        compiler = compiler_of(**options)
        as_sql = compiler.as_sql
        compiler.as_sql = lambda: (time.sleep(next(turn) * 0.02), as_sql())[1]
        return compiler

    rows.query.get_compiler = get_compiler
    return rows


@pytest.mark.django_db(transaction=True)
def test_many_threads_may_be_the_first_to_use_it(alice):
    prepared = Select(slow_to_compile)
    found = at_once(*[lambda: prepared.first(org=alice.org.pk).org.slug] * 6)
    assert found == ["wonderland"] * 6
