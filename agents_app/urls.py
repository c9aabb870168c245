"""The routes of agents and tasks."""

from typing import Any

from django.urls import path

from .action_views import ActionViewSet
from .runner_views import ReportViewSet, RunnerViewSet
from .views import AgentViewSet, TaskViewSet

MANY: dict[str, Any] = {"get": "list", "post": "create"}

urlpatterns = [
    path("agents", AgentViewSet.as_view(MANY)),
    path("agents/<str:pk>", AgentViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path("agents/<str:pk>/status", AgentViewSet.as_view({"get": "status"})),
    path("agents/<str:pk>/tasks", AgentViewSet.as_view({"post": "submit"})),
    path("agents/<str:pk>/pause", AgentViewSet.as_view({"post": "pause"})),
    path("agents/<str:pk>/resume", AgentViewSet.as_view({"post": "resume"})),
    path("agents/<str:pk>/drain", AgentViewSet.as_view({"post": "drain"})),
    path("agents/<str:pk>/heartbeat", RunnerViewSet.as_view({"post": "heartbeat"})),
    path("agents/<str:pk>/lease", RunnerViewSet.as_view({"post": "lease"})),
    path("tasks", TaskViewSet.as_view(MANY)),
    path("tasks/<str:pk>", TaskViewSet.as_view({"get": "retrieve"})),
    path("tasks/<str:pk>/log", TaskViewSet.as_view({"get": "log"})),
    path("tasks/<str:pk>/cancel", TaskViewSet.as_view({"post": "cancel"})),
    path("tasks/<str:pk>/retry", TaskViewSet.as_view({"post": "retry"})),
    path("tasks/<str:pk>/progress", ReportViewSet.as_view({"post": "progress"})),
    path("tasks/<str:pk>/complete", ReportViewSet.as_view({"post": "complete"})),
    path("tasks/<str:pk>/fail", ReportViewSet.as_view({"post": "fail"})),
    path("actions", ActionViewSet.as_view({"get": "list"})),
    path("actions/<str:pk>", ActionViewSet.as_view({"get": "retrieve"})),
    path("actions/<str:pk>/confirm", ActionViewSet.as_view({"post": "confirm"})),
]
