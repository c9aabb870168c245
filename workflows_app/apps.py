"""The Django application."""

from django.apps import AppConfig


class Config(AppConfig):
    """Its place in INSTALLED_APPS."""

    name = "workflows_app"
    verbose_name = "Workflows"
