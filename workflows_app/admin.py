"""Workflows, their templates and what starts them, in the admin."""

from . import schedule_admin, template_admin, trigger_admin, workflow_admin

__all__ = ["schedule_admin", "template_admin", "trigger_admin", "workflow_admin"]
