"""Two routes."""

from django.urls import path

from .views import Items, Status

urlpatterns = [path("agents/<str:pk>/status", Status.as_view()), path("agents/<str:pk>/tasks", Items.as_view())]
