"""The routes of sessions and messages."""

from typing import Any

from django.urls import path

from .views import MessageViewSet, SessionViewSet

MANY: dict[str, Any] = {"get": "list", "post": "create"}

urlpatterns = [
    path("sessions", SessionViewSet.as_view(MANY)),
    path(
        "sessions/<str:pk>", SessionViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})
    ),
    path("sessions/<str:session_pk>/messages", MessageViewSet.as_view(MANY)),
    path("sessions/<str:session_pk>/messages/<str:pk>", MessageViewSet.as_view({"get": "retrieve"})),
    path("sessions/<str:session_pk>/messages/<str:pk>/cancel", MessageViewSet.as_view({"post": "cancel"})),
]
