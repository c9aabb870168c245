"""What one rendering may cost. Every node visited and every text made is paid for, so that each one ends."""

from .errors import BadTemplate

MAX_STEPS = 100_000
MAX_OUTPUT = 262_144
CHARACTERS_A_STEP = 64


class Allowance:
    """Counts the steps of one rendering, and the bytes of what it has written."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._output = MAX_OUTPUT

    def spend(self, steps: int = 1) -> None:
        """Pay for something. Raises BadTemplate once nothing is left."""
        self._steps -= steps
        if self._steps < 0:
            raise BadTemplate(f"it takes more than {MAX_STEPS} steps")

    def made(self, text: str) -> str:
        """The text, paid for by its length. Raises BadTemplate."""
        if len(text) > MAX_OUTPUT:
            raise BadTemplate(f"a text is longer than {MAX_OUTPUT} characters")
        self.spend(1 + len(text) // CHARACTERS_A_STEP)
        return text

    def written(self, text: str) -> str:
        """The text, which is written out. Raises BadTemplate where all that is written is too long."""
        self._output -= len(text.encode(errors="replace"))
        if self._output < 0:
            raise BadTemplate(f"what it says is longer than {MAX_OUTPUT // 1024} KB")
        return self.made(text)
