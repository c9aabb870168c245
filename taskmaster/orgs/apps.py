"""The Django application."""

from django.apps import AppConfig


class Config(AppConfig):
    """Its place in INSTALLED_APPS."""

    name = "taskmaster.orgs"
    label = "orgs"
    verbose_name = "Organizations"
