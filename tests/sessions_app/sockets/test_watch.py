"""Sockets are closed once their token or session is gone, and see what their token may do by now."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sessions_app.models import Session
from sessions_app.sockets import watch as module
from sessions_app.sockets.watch import Watch
from taskmaster.orgs.models import ApiToken
from taskmaster.orgs.tokens import issue_token, revoke_token

pytestmark = pytest.mark.django_db


class Socket:
    """As much of one as is looked after."""

    def __init__(self, token=None, session_id=""):
        self.token, self.session_id, self.closed_with = token, session_id, None

    def end(self, code):
        self.closed_with = code


@pytest.fixture
def looked(monkeypatch):
    """One look after these sockets, in this thread: the codes with which they were closed."""

    async def here(call):
        return call()

    def look(*sockets):
        watch = Watch()
        watch._sockets.update(sockets)
        # Without a loop, in which Django would let nobody look at the database.
        with pytest.raises(StopIteration):
            watch.look().send(None)
        return [socket.closed_with for socket in sockets]

    monkeypatch.setattr(module, "in_pool", here)
    return look


def token(org, **changes):
    made, _ = issue_token(org=org, name="test", scopes=["read"])
    ApiToken.objects.filter(pk=made.pk).update(**changes)
    return made


def test_each_is_closed_for_its_own_reason_and_the_others_stay(looked, alice, charlie):
    sessions = [Session.objects.create(org=alice.org, agent_type="custom") for _ in range(3)]
    sessions[1].deleted_at = sessions[2].deleted_at = timezone.now()
    for session in sessions[1:]:
        session.save()
    charlie.org.suspended_at = timezone.now()
    charlie.org.save()
    good, revoked = token(alice.org, expires_at=timezone.now() + timedelta(hours=1)), token(alice.org)
    revoke_token(revoked)
    sockets = {
        Socket(good): None,
        Socket(good, sessions[0].pk): None,
        Socket(good, sessions[1].pk): 1000,
        Socket(good, "session_erased"): 1000,
        Socket(revoked): 4401,
        Socket(revoked, sessions[2].pk): 4401,
        Socket(token(alice.org, expires_at=timezone.now())): 4401,
        Socket(token(charlie.org)): 4403,
        # Nobody yet: it has a clock of its own.
        Socket(): None,
    }
    assert looked(*sockets) == list(sockets.values())


def test_a_token_that_was_erased_with_its_organization_is_nobodys(looked, charlie):
    found = token(charlie.org)
    ApiToken.objects.filter(pk=found.pk).delete()
    assert looked(Socket(found)) == [4401]


def test_scopes_that_are_taken_away_do_not_hold_any_more(looked, alice):
    found = token(alice.org)
    ApiToken.objects.filter(pk=found.pk).update(scopes=["agents"])
    assert looked(Socket(found)) == [None]
    assert found.scopes == ["agents"]


def test_however_many_sockets_there_are_few_queries_look_after_them(looked, alice, django_assert_num_queries):
    sessions = [Session.objects.create(org=alice.org, agent_type="custom") for _ in range(30)]
    tokens = [token(alice.org) for _ in range(30)]
    sockets = [Socket(*pair) for pair in zip(tokens, [session.pk for session in sessions], strict=True)]
    with django_assert_num_queries(2):
        assert looked(*sockets) == [None] * 30
