"""A session's files over REST."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from agents_app import workspaces
from agents_app.workspaces import Found
from taskmaster.api.downloads import PIECE, Download
from taskmaster.api.envelope import Reply, reply
from taskmaster.api.paging import Order, page_of
from taskmaster.api.schema import envelope
from taskmaster.api.views import ApiViewSet
from taskmaster.core.clock import iso
from taskmaster.core.errors import ApiError, BodyTooLarge, Conflict, NotFound, QuotaExceeded, ValidationFailed
from taskmaster.core.prepared import Select, Slot

from . import lifecycle
from .models import Session

BY_PATH = Order("path", longest=16_384)

_SESSION = Select(lambda: Session.objects.filter(pk=Slot("pk"), org=Slot("org"), deleted_at=None))
_TOLD: dict[type[Exception], Callable[[str], ApiError]] = {
    workspaces.BadPath: partial(ValidationFailed.of, "path"),
    workspaces.Missing: lambda _: NotFound(),
    workspaces.InTheWay: Conflict,
    workspaces.Full: QuotaExceeded,
    workspaces.TooLarge: lambda _: BodyTooLarge.over(settings.UPLOAD_BYTES),
}

_PATH = OpenApiParameter("path", str, "path", description="Relative to the workspace; it may have slashes.")
_LISTED = [
    OpenApiParameter("prefix", str, description="Only the paths that begin with it."),
    OpenApiParameter("limit", int),
    OpenApiParameter("offset", int),
    OpenApiParameter("cursor", str),
]
_CONTENT = {"application/octet-stream": OpenApiTypes.BINARY}
_DOWNLOAD = {(200, "application/octet-stream"): OpenApiTypes.BINARY, "default": envelope()}


class FileViewSet(ApiViewSet):
    """`/sessions/{id}/files`."""

    def handle_exception(self, exc: Exception) -> Any:
        """What a workspace refuses is an error of the API."""
        told = _TOLD.get(type(exc))
        return super().handle_exception(told(str(exc)) if told else exc)

    @extend_schema(parameters=_LISTED)
    def list(self, request: Request, session_pk: str) -> Reply:
        """By path; `prefix` narrows it."""
        files, complete = self._workspace(session_pk).files()
        prefix = request.GET.get("prefix", "")
        files = [file for file in files if file.path.startswith(prefix)]
        return page_of(request, files, name="files", order=BY_PATH, show=public, capped=not complete)

    @extend_schema(parameters=[_PATH], responses=_DOWNLOAD)
    def retrieve(self, request: Request, session_pk: str, path: str) -> HttpResponseBase:
        """The file itself."""
        opened = self._workspace(session_pk).open(path)
        tag = f'"{opened.tag}"'
        # A proxy that packs what it passes on makes a tag a weak one.
        if tag in {known.removeprefix("W/") for known in parse_etags(request.headers.get("If-None-Match", ""))}:
            opened.file.close()
            return HttpResponseNotModified(headers={"ETag": tag})
        name = opened.found.path.rpartition("/")[2]
        return Download(opened.file, size=opened.found.size, name=name, tag=tag)

    @extend_schema(parameters=[_PATH], request=_CONTENT)
    def update(self, request: Request, session_pk: str, path: str) -> Reply:
        """Put a file there, in the place of the one that is there."""
        session = self._open_session(session_pk)
        pieces = iter(partial(request._request.read, PIECE), b"")
        workspace = workspaces.workspace(session.org_id, session.pk, make=True)
        file, is_new = workspace.write(path, pieces, most=settings.UPLOAD_BYTES)
        lifecycle.touch(session)
        shown = {"file": public(file)}
        return reply(shown, 201, location=_location(session, file)) if is_new else reply(shown)

    @extend_schema(parameters=[_PATH])
    def destroy(self, request: Request, session_pk: str, path: str) -> Reply:
        """Remove a file, and the directories that are empty without it."""
        session = self._open_session(session_pk)
        workspaces.workspace(session.org_id, session.pk).delete(path)
        lifecycle.touch(session)
        return reply({"message": "File deleted"})

    def _open_session(self, session_pk: str) -> Session:
        session = self.find(_SESSION, session_pk)
        lifecycle.insist_open(session)
        return session

    def _workspace(self, session_pk: str) -> workspaces.Workspace:
        session = self.find(_SESSION, session_pk)
        return workspaces.workspace(session.org_id, session.pk)


def public(file: Found) -> dict[str, Any]:
    """A file as the API shows it; `size` is bytes."""
    return {"path": file.path, "size": file.size, "modifiedAt": iso(file.modified)}


def _location(session: Session, file: Found) -> str:
    return f"/api/v1/sessions/{session.pk}/files/{quote(file.path)}"
