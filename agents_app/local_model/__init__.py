"""The language model that comes with the product: its weights, its process and who runs it. Knows nothing of Django."""

from .settings import Endpoint, LocalModelSettings, Status
from .supervisor import LocalModel

__all__ = ["Endpoint", "LocalModel", "LocalModelSettings", "Status"]
