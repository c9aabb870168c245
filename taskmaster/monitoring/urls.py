"""The routes of health and numbers under the API's base path."""

from django.urls import path

from . import views

urlpatterns = [
    path("health", views.health),
    path("livez", views.livez),
    path("readyz", views.readyz),
    path("metrics", views.metrics),
    path("system/status", views.SystemViewSet.as_view({"get": "status"})),
    path("org/usage", views.SystemViewSet.as_view({"get": "usage"})),
]
