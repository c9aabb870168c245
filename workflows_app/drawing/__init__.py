"""Draws a workflow: as Mermaid text, and as an SVG with a layout of our own. Pure functions from steps to text."""

from .drawn import Drawn
from .mermaid import mermaid
from .svg import svg

__all__ = ["Drawn", "mermaid", "svg"]
