"""Every type of event there is."""

_TYPES = {
    "session": "created expired deleted",
    "message": "queued started completed failed cancelled",
    "task": "queued started progress completed failed cancelled retrying waiting",
    "action": "pending confirmed denied expired",
    "agent": "registered status error",
    "workflow": "created started paused resumed completed failed cancelled finished",
    "workflow.step": "started completed failed skipped waiting",
    "webhook": "disabled test",
    "budget": "reached",
}

EVENT_TYPES = frozenset(f"{subject}.{verb}" for subject, verbs in _TYPES.items() for verb in verbs.split())
