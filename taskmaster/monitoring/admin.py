"""The web servers in the admin."""

from django.contrib import admin

from agents_app.process_admin import ProcessAdmin

from .models import WebServer


@admin.register(WebServer)
class WebServerAdmin(ProcessAdmin):
    """The processes that answer HTTP."""

    fields = readonly_fields = ("id", "host", "pid", "live", "connections", "started_at", "beat_at")
    list_display = ("id", "host", "pid", "live", "connections", "started_at", "beat_at")
    searched = {"web": "pk"}
    search_help_text = "A web server's id."
