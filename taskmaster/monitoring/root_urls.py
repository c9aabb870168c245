"""What stands at the root: health for balancers, metrics, the API's description."""

from django.urls import path

from taskmaster.openapi import docs, openapi

from . import views

urlpatterns = [
    path("health", views.health),
    path("livez", views.livez),
    path("readyz", views.readyz),
    path("metrics", views.metrics),
    path("openapi.json", views.safe(openapi)),
    path("docs", views.safe(docs)),
]
