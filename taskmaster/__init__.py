"""Task Master: the control plane for AI coding agents."""

from .celery import app as celery_app

__all__ = ["celery_app"]
