"""The routes of templates, workflows, and what starts them."""

from typing import Any

from django.urls import path

from . import hook_views
from .schedule_views import ScheduleViewSet
from .template_views import TemplateViewSet
from .trigger_views import TriggerViewSet
from .views import WorkflowViewSet

MANY: dict[str, Any] = {"get": "list", "post": "create"}

urlpatterns = [
    path("workflow-templates", TemplateViewSet.as_view(MANY)),
    path(
        "workflow-templates/<str:pk>",
        TemplateViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
    path("workflows", WorkflowViewSet.as_view(MANY)),
    path("workflows/<str:pk>", WorkflowViewSet.as_view({"get": "retrieve"})),
    *(
        path(f"workflows/<str:pk>/{verb}", WorkflowViewSet.as_view({"post": verb}))
        for verb in ("start", "pause", "resume", "cancel", "retry", "signal")
    ),
    path("workflows/<str:pk>/graph", WorkflowViewSet.as_view({"get": "graph"})),
    path("schedules", ScheduleViewSet.as_view(MANY)),
    path(
        "schedules/<str:pk>",
        ScheduleViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("triggers", TriggerViewSet.as_view(MANY)),
    path("triggers/<str:pk>", TriggerViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("hooks/<str:pk>", hook_views.receive),
]
