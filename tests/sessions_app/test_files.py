"""A session's files over REST."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import transaction

from agents_app import workspaces
from agents_app.workspaces.places import Rounds
from sessions_app.models import Session
from sessions_app.tasks import sweep
from taskmaster.core.clock import now
from tests.agents_app.workspaces.outside import BAD_NAMES, BAD_PATHS, GOOD_NAMES, Outside
from tests.api.world import World, stored

pytestmark = pytest.mark.django_db

MISSING = (404, "not_found")
# No URL can say half a character.
BAD = {name: path for name, path in (BAD_PATHS | BAD_NAMES).items() if "\ud800" not in path}


@pytest.fixture(autouse=True)
def _workspaces(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "WORKSPACES", tmp_path / "workspaces")


@pytest.fixture
def files(alice, world):
    """Where alice's files are."""
    return f"/sessions/{world['session']}/files"


@pytest.fixture
def place(alice, world):
    """The directory itself, as an agent's process has it."""
    return workspaces.directory(alice.org.pk, world["session"])


def put(person, path, content=b"hello", **headers):
    # Like any request outside of tests, in a transaction of its own.
    with transaction.atomic():
        return person.call("PUT", path, content, **headers)


def refused(response):
    """Status and code of a failure in the envelope."""
    document = response.json()
    assert (document["success"], document["data"]) == (False, None)
    return response.status_code, document["code"]


def listed(person, files, query=""):
    return [file["path"] for file in person.get(f"{files}?{query}").json()["files"]]


def at(files, path):
    """The url of a file, whatever its name is."""
    return f"{files}/{quote(path.encode('utf-8', 'surrogatepass'), safe='/')}"


def test_a_file_is_made_replaced_and_deleted(alice, files):
    made = put(alice, f"{files}/src/main.py", b"print(1)")
    assert made.status_code == 201
    assert made["Location"] == f"/api/v1{files}/src/main.py"
    file = made.json()["file"]
    assert file == {"path": "src/main.py", "size": 8, "modifiedAt": file["modifiedAt"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", file["modifiedAt"])
    replaced = put(alice, f"{files}/src/main.py", b"2")
    assert (replaced.status_code, replaced.json()["file"]["size"]) == (200, 1)
    assert not replaced.has_header("Location")
    assert alice.get(f"{files}/src/main.py").getvalue() == b"2"
    gone = alice.delete(f"{files}/src/main.py")
    assert (gone.status_code, gone.json()["message"]) == (200, "File deleted")
    assert refused(alice.get(f"{files}/src/main.py")) == MISSING
    assert refused(alice.delete(f"{files}/src/main.py")) == MISSING
    assert listed(alice, files) == []


def test_an_empty_workspace_is_an_empty_list(alice, files):
    document = alice.get(files).json()
    assert document["files"] == []
    assert document["pagination"] == {"total": 0, "limit": 50, "offset": 0, "hasMore": False, "nextCursor": None}


def test_the_list_is_by_path_and_pages(alice, files):
    made = sorted(["b", "a/b", "a-b", "a.txt", "a/b2", "Z", "ä"])
    for path in made:
        put(alice, at(files, path))
    assert listed(alice, files) == made
    assert listed(alice, files, "limit=2&offset=3") == made[3:5]
    walked, query = [], "limit=3"
    while query:
        document = alice.get(f"{files}?{query}").json()
        walked += [file["path"] for file in document["files"]]
        assert document["pagination"]["total"] == len(made)
        cursor = document["pagination"]["nextCursor"]
        query = cursor and f"limit=3&cursor={cursor}"
    assert walked == made


def test_a_cursor_goes_on_where_it_was_though_files_come_and_go(alice, files):
    for path in "bdfh":
        put(alice, f"{files}/{path}")
    cursor = alice.get(f"{files}?limit=2").json()["pagination"]["nextCursor"]
    alice.delete(f"{files}/d")
    for path in "ace":
        put(alice, f"{files}/{path}")
    assert listed(alice, files, f"cursor={cursor}") == ["e", "f", "h"]


def test_a_prefix_narrows_the_list(alice, files):
    for path in ("src/a", "src/b", "srcs", "test/src/a"):
        put(alice, f"{files}/{path}")
    assert listed(alice, files, "prefix=src/") == ["src/a", "src/b"]
    assert listed(alice, files, "prefix=src") == ["src/a", "src/b", "srcs"]
    assert listed(alice, files, "prefix=../") == []
    assert alice.get(f"{files}?prefix=src/&limit=1").json()["pagination"]["total"] == 2


def test_past_what_is_looked_at_the_total_is_a_floor(alice, files, place, monkeypatch):
    monkeypatch.setattr("agents_app.workspaces.tree.Walk.__init__.__defaults__", (3,))
    for path in "abcd":
        (place / path).touch()
    pagination = alice.get(files).json()["pagination"]
    assert (pagination["total"], pagination["totalCapped"]) == (3, True)


def test_a_download_is_nothing_that_a_browser_would_run(alice, files):
    put(alice, f"{files}/a/evil.html", b"<script>alert(1)</script>", content_type="text/html")
    response = alice.get(f"{files}/a/evil.html")
    assert response.getvalue() == b"<script>alert(1)</script>"
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == 'attachment; filename="evil.html"'
    assert response["Content-Length"] == "25"


def test_the_name_of_a_download_cannot_break_its_header(alice, files, place):
    for name in ('a"b\\c', "a\r\nSet-Cookie: x=y", "ü☃.txt"):
        (place / name).write_bytes(b"x")
    for path in listed(alice, files):
        response = alice.get(at(files, path))
        assert response.getvalue() == b"x"
        assert "\n" not in response["Content-Disposition"]
        assert not response.has_header("Set-Cookie")
    assert alice.get(at(files, "a\r\nSet-Cookie: x=y")).getvalue() == b"x"


def test_head_tells_what_a_download_would(alice, files):
    put(alice, f"{files}/a", b"12345")
    head, get = alice.call("HEAD", f"{files}/a"), alice.get(f"{files}/a")
    assert (head.status_code, head.getvalue()) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Content-Disposition"):
        assert head[name] == get[name]
    missing = alice.call("HEAD", f"{files}/b")
    assert (missing.status_code, missing.content) == (404, b"")


def test_a_tag_is_good_until_the_file_changes(alice, files):
    put(alice, f"{files}/a", b"1")
    tag = alice.get(f"{files}/a")["ETag"]
    assert re.fullmatch(r'"[0-9a-f-]+"', tag)
    for known in (tag, f'"x", {tag}', f"W/{tag}"):
        same = alice.get(f"{files}/a", if_none_match=known)
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    put(alice, f"{files}/a", b"2")
    changed = alice.get(f"{files}/a", if_none_match=tag)
    assert (changed.status_code, changed.getvalue()) == (200, b"2")
    assert changed["ETag"] != tag


class TestPaths:
    """What the names of files may be."""

    @pytest.mark.parametrize("path", GOOD_NAMES)
    def test_a_strange_name_is_only_a_name(self, alice, files, path):
        made = put(alice, at(files, path))
        assert made.status_code == 201
        assert made.json()["file"]["path"] == path
        assert listed(alice, files) == [path]
        assert alice.get(made["Location"].removeprefix("/api/v1")).getvalue() == b"hello"
        assert alice.delete(at(files, path)).status_code == 200

    @pytest.mark.parametrize("path", BAD.values(), ids=BAD)
    def test_any_other_is_refused(self, alice, files, path):
        before, url = stored(), at(files, path)
        response = put(alice, url)
        if path.endswith("/") or not path:
            assert refused(response) == MISSING
        else:
            assert refused(response) == (400, "validation_failed")
            assert [detail["field"] for detail in response.json()["details"]] == ["path"]
        assert refused(alice.get(url)) == MISSING
        assert refused(alice.delete(url)) == MISSING
        assert stored() == before

    @pytest.mark.parametrize(
        "up", ["../", "..%2F", "%2e%2e/", "%2E%2E%2F", ".%2e/", "%2e./", "..%5C", "x/../../", "%2F"]
    )
    def test_no_spelling_leads_up(self, alice, world, files, up):
        other = World(alice)
        theirs = other.put("secret")
        sibling = other["session"]
        for path in (f"{up}{sibling}/{theirs}", f"{up * 2}{sibling}/{theirs}", f"{up}secret", f"{up * 8}etc/passwd"):
            assert refused(alice.get(f"{files}/{path}")) == MISSING
            assert refused(alice.delete(f"{files}/{path}")) == MISSING
            assert refused(put(alice, f"{files}/{path}")) in {(400, "validation_failed"), MISSING}
        assert alice.get(f"/sessions/{sibling}/files/{theirs}").getvalue() == b"hello"

    def test_a_folder_and_a_file_do_not_replace_each_other(self, alice, files):
        put(alice, f"{files}/a/b")
        assert refused(put(alice, f"{files}/a")) == (409, "conflict")
        assert refused(put(alice, f"{files}/a/b/c")) == (409, "conflict")
        assert refused(alice.get(f"{files}/a")) == MISSING
        assert refused(alice.delete(f"{files}/a")) == MISSING
        assert listed(alice, files) == ["a/b"]

    def test_a_link_that_an_agent_has_laid_leads_nowhere(self, alice, files, place, tmp_path):
        outside = Outside(tmp_path / "outside")
        (place / "door").symlink_to(outside.folder)
        (place / "link").symlink_to(outside.secret)
        assert listed(alice, files) == []
        for path in ("door/secret", "link", "door"):
            assert refused(alice.get(f"{files}/{path}")) == MISSING
        assert refused(put(alice, f"{files}/door/secret")) == (409, "conflict")
        assert refused(alice.delete(f"{files}/door/secret")) == MISSING
        assert put(alice, f"{files}/link").status_code == 201
        assert alice.get(f"{files}/link").getvalue() == b"hello"
        outside.check_untouched()

    def test_whatever_an_agent_calls_its_files_they_are_listed_and_found(self, alice, files, place):
        for name in ("a\nb", "a\x1b[31m", "tab\t", "\udcff\udcfe", "back\\slash"):
            (place / name).write_bytes(b"theirs")
        found = listed(alice, files)
        assert len(found) == 5
        for path in found:
            assert path.isprintable()
            assert alice.get(at(files, path)).getvalue() == b"theirs"
            assert alice.delete(at(files, path)).status_code == 200
        assert listed(alice, files) == []


class TestSizes:
    """What a file and a session's files may be in all."""

    def test_past_the_quota_is_a_conflict_that_changes_nothing(self, alice, files, monkeypatch):
        monkeypatch.setattr(settings, "WORKSPACE_QUOTA", 10)
        put(alice, f"{files}/a", b"x" * 6)
        before = stored()
        response = put(alice, f"{files}/new/b", b"x" * 5)
        assert refused(response) == (409, "quota_exceeded")
        assert "10 bytes" in response.json()["error"]
        assert stored() == before
        assert put(alice, f"{files}/b", b"x" * 4).status_code == 201

    def test_one_file_too_many_is_a_conflict(self, alice, files, place, monkeypatch):
        monkeypatch.setattr(
            "agents_app.workspaces.files.Workspace.__init__.__kwdefaults__", {"quota": None, "most_files": 3}
        )
        for path in "abc":
            put(alice, f"{files}/{path}")
        assert refused(put(alice, f"{files}/d")) == (409, "quota_exceeded")
        assert put(alice, f"{files}/c", b"again").status_code == 200

    def test_a_file_that_is_too_large_is_a_413(self, alice, files, monkeypatch):
        monkeypatch.setattr(settings, "UPLOAD_BYTES", 2 * 1024 * 1024)
        assert put(alice, f"{files}/a", b"x" * 2 * 1024 * 1024).status_code == 201
        response = put(alice, f"{files}/a", b"y" * (2 * 1024 * 1024 + 1))
        assert refused(response) == (413, "body_too_large")
        assert response.json()["error"] == "The body is larger than 2 MB."
        assert alice.get(f"{files}/a").getvalue() == b"x" * 2 * 1024 * 1024

    def test_the_settings(self):
        assert settings.UPLOAD_BYTES == 25 * 1024 * 1024
        assert settings.WORKSPACE_QUOTA == 100 * 1024 * 1024


class TestWhoMay:
    """Tenancy, scopes, and sessions that are over."""

    def test_nobody_of_another_organization(self, alice, charlie, files):
        put(alice, f"{files}/a")
        put(charlie, f"/sessions/{World(charlie)['session']}/files/a", b"theirs")
        before = stored()
        for response in (
            charlie.get(files),
            charlie.get(f"{files}/a"),
            charlie.delete(f"{files}/a"),
            put(charlie, f"{files}/a"),
            put(charlie, f"{files}/../../x"),
        ):
            assert refused(response) == MISSING
        assert stored() == before

    def test_a_reader_only_reads(self, alice, bob, files):
        put(alice, f"{files}/a")
        assert listed(bob, files) == ["a"]
        assert bob.get(f"{files}/a").getvalue() == b"hello"
        before = stored()
        assert refused(put(bob, f"{files}/a")) == (403, "missing_scope")
        assert refused(bob.delete(f"{files}/a")) == (403, "missing_scope")
        assert stored() == before

    def test_an_expired_session_is_only_read(self, alice, world, files):
        put(alice, f"{files}/a")
        for expired in ({"last_activity": now() - timedelta(hours=24, seconds=1)}, {"status": "expired"}):
            Session.objects.filter(pk=world["session"]).update(**expired)
            before = stored()
            assert alice.get(f"{files}/a").getvalue() == b"hello"
            assert listed(alice, files) == ["a"]
            for response in (put(alice, f"{files}/b"), put(alice, f"{files}/../b"), alice.delete(f"{files}/a")):
                assert refused(response) == (409, "invalid_state")
                assert response.json()["details"] == [{"field": "status", "message": "expired"}]
            assert stored() == before
            sweep()
            assert listed(alice, files) == ["a"]

    def test_writing_keeps_a_session_alive_and_reading_does_not(self, alice, world, files):
        def age():
            before = now() - timedelta(hours=20)
            Session.objects.filter(pk=world["session"]).update(last_activity=before)
            return lambda: Session.objects.get(pk=world["session"]).last_activity > before

        for call, keeps in (
            (lambda: put(alice, f"{files}/a"), True),
            (lambda: alice.get(f"{files}/a"), False),
            (lambda: alice.get(files), False),
            (lambda: alice.delete(f"{files}/a"), True),
        ):
            is_younger = age()
            assert call().status_code in (200, 201)
            assert is_younger() is keeps


class TestTheEnd:
    """A deleted session's files are gone; nobody else's are."""

    def test_a_file_that_comes_in_while_its_session_is_deleted_goes_too(self, alice, world, files, place, monkeypatch):
        write = workspaces.Workspace.write

        def overtaken(*arguments, **options):
            assert alice.delete(f"/sessions/{world['session']}").status_code == 200
            workspaces.directory(alice.org.pk, world["session"])
            return write(*arguments, **options)

        monkeypatch.setattr(workspaces.Workspace, "write", overtaken)
        assert refused(put(alice, f"{files}/a")) == MISSING
        assert not place.exists()

    def test_they_go_with_the_session(self, alice, world, files, place):
        put(alice, f"{files}/a")
        other = World(alice)
        other.put("kept")
        assert alice.delete(f"/sessions/{world['session']}").status_code == 200
        assert not place.exists()
        for response in (alice.get(files), alice.get(f"{files}/a"), put(alice, f"{files}/a")):
            assert refused(response) == MISSING
        assert not place.exists()
        assert listed(alice, f"/sessions/{other['session']}/files") == ["kept"]

    def test_what_a_deletion_has_left_is_swept(self, alice, world, place, monkeypatch):
        monkeypatch.setattr(workspaces, "some", Rounds().some)
        (place / "late").touch()
        other = World(alice)
        other.put("kept")
        kept = workspaces.directory(alice.org.pk, other["session"])
        # Its session is unknown here, which is no reason to throw it away.
        unknown = workspaces.directory(alice.org.pk, "session_" + "0" * 26)
        Session.objects.filter(pk=world["session"]).update(deleted_at=now())
        sweep()
        assert [folder.exists() for folder in (place, kept, unknown)] == [False, True, True]


def test_the_routes_are_described():
    from taskmaster.openapi import _document

    paths = _document()["paths"]
    file = paths["/api/v1/sessions/{session_pk}/files/{path}"]
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    assert set(file) == {"get", "put", "delete"}
    assert file["get"]["responses"]["200"]["content"] == binary
    assert file["put"]["requestBody"]["content"] == binary
    assert {"application/json"} == set(file["put"]["responses"]["200"]["content"])
    queried = {
        p["name"] for p in paths["/api/v1/sessions/{session_pk}/files"]["get"]["parameters"] if p["in"] == "query"
    }
    assert queried == {"prefix", "limit", "offset", "cursor"}
