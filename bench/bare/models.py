"""A token and a thing."""

from django.db import models


class Token(models.Model):
    """Who may."""

    key = models.CharField(max_length=64, unique=True)
    owner = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.owner


class Item(models.Model):
    """What is inserted."""

    type = models.CharField(max_length=100)
    description = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.type
