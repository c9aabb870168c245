"""Agents, their tasks, and the workers that run them."""

from .agent import AGENT_TYPES, Agent
from .task import ORIGINS, PRIORITIES, Task
from .worker import Worker

__all__ = ["AGENT_TYPES", "ORIGINS", "PRIORITIES", "Agent", "Task", "Worker"]
