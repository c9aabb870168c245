"""Making, suspending and changing organizations."""

from django.db import transaction

from taskmaster.core.clock import now
from taskmaster.core.subscriptions import notify

from .models import Organization


@transaction.atomic
def create_organization(*, slug: str, name: str = "") -> Organization:
    """A new organization, with whatever every new one gets."""
    org = Organization.objects.create(slug=slug, name=name or slug)
    notify("organization.created", org)
    return org


def organization_of(slug: str) -> Organization:
    """The organization with this slug, made now if it is missing; two at once make one."""
    found = Organization.objects.filter(slug=slug).first()
    if found:
        return found
    with transaction.atomic():
        org, created = Organization.objects.get_or_create(slug=slug, defaults={"name": slug})
        if created:
            notify("organization.created", org)
    return org


def suspend(org: Organization) -> None:
    """Refuse its tokens until it is restored; a second time changes nothing."""
    Organization.objects.filter(pk=org.pk, suspended_at=None).update(suspended_at=now())


def restore(org: Organization) -> None:
    """Take its tokens again."""
    Organization.objects.filter(pk=org.pk).update(suspended_at=None)
