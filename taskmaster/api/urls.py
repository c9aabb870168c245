"""The routes of tokens, the organization and events."""

from django.urls import path

from .event_views import EventViewSet
from .org_views import OrgViewSet, TokenViewSet

urlpatterns = [
    path("tokens", TokenViewSet.as_view({"get": "list", "post": "create"})),
    path("tokens/<str:pk>", TokenViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("org", OrgViewSet.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("events", EventViewSet.as_view({"get": "list"})),
    path("events/stream", EventViewSet.as_view({"get": "stream"})),
    path("events/<str:pk>", EventViewSet.as_view({"get": "retrieve"})),
]
