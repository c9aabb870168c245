"""Sessions and messages in the admin."""

from django.contrib import admin

from taskmaster.events.admin import MadeWithin, ReadOnlyAdmin, as_json, link, link_to_list, one_of
from taskmaster.orgs.list_filters import Deleted, by_condition

from .models import Message, Session

# It knows idle sessions before the sweep does.
ShownStatus = by_condition("status", (Session.ACTIVE, Session.EXPIRED), Session.shown_as)


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """Conversations."""

    fields = readonly_fields = (
        *("id", "org", "agent_type", "agent_link", "shown_status", as_json("capabilities"), "timeout"),
        *("max_concurrent_tasks", "permission_mode", "token_budget", "message_count", "active_message"),
        *("messages", "tasks", "web_sockets", "created_at", "last_activity", "deleted_at"),
    )
    list_display = (
        *("id", "org", "agent_type", "agent_link", "shown_status", "message_count"),
        *("created_at", "last_activity", "deleted_at"),
    )
    list_filter = (ShownStatus, "agent_type", Deleted, MadeWithin)
    related = ("org", "agent")
    secret_columns = ("agent__config",)
    searched = {"session": "pk", "org": "org_id"}
    search_help_text = "A session's id, or an organization's id or slug."

    @admin.display(description="status")
    def shown_status(self, session: Session) -> str:
        """As the API tells it."""
        return session.shown_status

    @admin.display(description="agent")
    def agent_link(self, session: Session) -> str:
        """Whom it was opened with; most sessions are with whoever of the type is free."""
        return link("agents_app_agent", session.agent_id, session.agent.name if session.agent else "")

    @admin.display(description="active message")
    def active_message(self, session: Session) -> str:
        """The one whose turn it is."""
        return link("sessions_app_message", session.active_message_id)

    @admin.display(description="messages")
    def messages(self, session: Session) -> str:
        """The list of them."""
        return link_to_list("sessions_app_message", session.pk, "Messages of this session")

    @admin.display(description="WebSockets")
    def web_sockets(self, session: Session) -> str:
        """How many are open, and what they are subscribed to."""
        shown = session.look_around().public()
        names = ", ".join(shown["eventSubscriptions"])
        return f"{shown['webSocketCount']}" + (f", subscribed to {names}" if names else "")

    @admin.display(description="tasks")
    def tasks(self, session: Session) -> str:
        """The list of them."""
        return link_to_list("agents_app_task", session.pk, "Tasks of this session")


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """What was said, and what was answered."""

    fields = readonly_fields = (
        *("id", "session", "position", "content", as_json("metadata"), "status", as_json("response")),
        *("error", "error_code", "task", "created_at", "finished_at"),
    )
    list_display = ("id", "org", "status", "created_at", "excerpt", "position", "session_link", "task")
    list_filter = (one_of("status", (Message.QUEUED, Message.PROCESSING, *Message.FINISHED)), MadeWithin)
    related = ("session__org",)
    long_columns = ("content", "metadata", "response", "error")
    excerpt_of = "content"
    searched = {"msg": "pk", "session": "session_id"}
    search_help_text = "The id of a message or of a session."

    @admin.display(description="org")
    def org(self, message: Message) -> str:
        """Whose it is."""
        return message.session.org.slug

    @admin.display(description="session")
    def session_link(self, message: Message) -> str:
        """The conversation."""
        return link("sessions_app_session", message.session_id)

    @admin.display(description="task")
    def task(self, message: Message) -> str:
        """The task that answers it."""
        return link("agents_app_task", message.task_id)
