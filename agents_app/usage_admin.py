"""What agents and organizations have used, on their pages in the admin."""

from django.contrib import admin

from taskmaster.orgs.admin import OrganizationAdmin
from taskmaster.orgs.models import Organization

from .spending import used


def usage_of(**subject: str) -> str:
    """What `org_id` or `agent_id` has used until now, in words."""
    usage = used(**subject)
    return (
        f"{usage.tokens:,} tokens in {usage.attempts:,} attempts, {usage.milliseconds / 1000:,.0f} seconds of running"
    )


@admin.display(description="used")
def used_by_org(org: Organization) -> str:
    """By all its agents until now."""
    return usage_of(org_id=org.pk)


# Organizations know nothing of agents, so that is told them here.
OrganizationAdmin.shown_besides.append(used_by_org)
