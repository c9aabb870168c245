"""A view with one token query, and a view with one insert."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Item, Token


class OneQuery(BaseAuthentication):
    """A bearer token, looked up."""

    def authenticate(self, request: Request) -> tuple[Any, Any]:
        """The token is the user."""
        try:
            token = Token.objects.get(key=request.headers.get("Authorization", "").removeprefix("Bearer "))
        except Token.DoesNotExist:
            raise AuthenticationFailed from None
        return token, token


class Status(APIView):
    """Reads."""

    authentication_classes = [OneQuery]

    def get(self, request: Request, pk: str) -> Response:
        """The same shape as the product's, and as long."""
        return Response({"status": {"id": pk, "status": "active", "owner": request.user.owner, "currentTasks": []}})


class Items(APIView):
    """Writes."""

    def post(self, request: Request, pk: str) -> Response:
        """One insert."""
        item = Item.objects.create(type=request.data["type"], description=request.data["description"])
        return Response({"taskId": item.pk, "assignedAt": item.created_at, "agentId": pk}, status=202)
