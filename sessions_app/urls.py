"""The routes of sessions and messages."""

from typing import Any

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from .file_views import FileViewSet
from .views import MessageViewSet, SessionViewSet

MANY: dict[str, Any] = {"get": "list", "post": "create"}


class FilePath(StringConverter):
    """Whatever may stand in a path, slashes and line ends too, but not a slash at its end."""

    regex = r"[\s\S]*[^/]"


register_converter(FilePath, "file")

urlpatterns = [
    path("sessions", SessionViewSet.as_view(MANY)),
    path(
        "sessions/<str:pk>", SessionViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})
    ),
    path("sessions/<str:session_pk>/messages", MessageViewSet.as_view(MANY)),
    path("sessions/<str:session_pk>/messages/<str:pk>", MessageViewSet.as_view({"get": "retrieve"})),
    path("sessions/<str:session_pk>/messages/<str:pk>/cancel", MessageViewSet.as_view({"post": "cancel"})),
    path("sessions/<str:session_pk>/files", FileViewSet.as_view({"get": "list"})),
    path(
        "sessions/<str:session_pk>/files/<file:path>",
        FileViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
]
