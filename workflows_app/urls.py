"""The routes of templates and workflows."""

from typing import Any

from django.urls import path

from .template_views import TemplateViewSet
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
]
