"""Agents, their tasks, what these ask, say and use, and the workers that run them."""

from .action import KINDS, RISKS, Action
from .agent import AGENT_TYPES, Agent
from .credential import PROVIDERS, ClosedCredential, Credential
from .log_line import LogLine
from .memory import Memory
from .spending import Account, Spending
from .task import ORIGINS, PRIORITIES, Task
from .worker import Worker

__all__ = [
    "AGENT_TYPES",
    "KINDS",
    "ORIGINS",
    "PRIORITIES",
    "PROVIDERS",
    "RISKS",
    "Account",
    "Action",
    "Agent",
    "ClosedCredential",
    "Credential",
    "LogLine",
    "Memory",
    "Spending",
    "Task",
    "Worker",
]
