"""The hooks of triggers in the API's description: theirs is no view of REST framework."""

from typing import Any

_ENVELOPE = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Envelope"}}}, "description": ""}
_SIGNATURES = ("X-TaskMaster-Signature", "X-Hub-Signature-256", "webhook-signature")
_RECEIVE: dict[str, Any] = {
    "operationId": "hooks_receive",
    "summary": "/hooks/{id}",
    "description": "A delivery starts a workflow of the trigger's template: 202 with its `workflowId`. No token: it is "
    "signed with the trigger's secret, in one of the three headers.",
    "tags": ["hooks"],
    "security": [],
    "parameters": [
        {"in": "path", "name": "id", "schema": {"type": "string"}, "required": True},
        *({"in": "header", "name": name, "schema": {"type": "string"}} for name in _SIGNATURES),
        {"in": "header", "name": "Idempotency-Key", "schema": {"type": "string"}},
    ],
    "requestBody": {"content": {"application/json": {"schema": {}}}, "description": "`context.payload`, of any form."},
    "responses": {"202": _ENVELOPE, "default": _ENVELOPE},
}


def add_hooks(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe `POST /hooks/{id}` too."""
    result["paths"]["/api/v1/hooks/{id}"] = {"post": _RECEIVE}
    return result
