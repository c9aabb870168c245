"""The routes of agents and tasks."""

from typing import Any

from django.urls import path

from .views import AgentViewSet, TaskViewSet

MANY: dict[str, Any] = {"get": "list", "post": "create"}

urlpatterns = [
    path("agents", AgentViewSet.as_view(MANY)),
    path("agents/<str:pk>", AgentViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path("agents/<str:pk>/status", AgentViewSet.as_view({"get": "status"})),
    path("agents/<str:pk>/tasks", AgentViewSet.as_view({"post": "submit"})),
    path("agents/<str:pk>/pause", AgentViewSet.as_view({"post": "pause"})),
    path("agents/<str:pk>/resume", AgentViewSet.as_view({"post": "resume"})),
    path("tasks", TaskViewSet.as_view(MANY)),
    path("tasks/<str:pk>", TaskViewSet.as_view({"get": "retrieve"})),
    path("tasks/<str:pk>/cancel", TaskViewSet.as_view({"post": "cancel"})),
    path("tasks/<str:pk>/retry", TaskViewSet.as_view({"post": "retry"})),
]
