"""The Django application."""

from django.apps import AppConfig


class Config(AppConfig):
    """Its place in INSTALLED_APPS."""

    name = "agents_app"
    verbose_name = "Agents"
