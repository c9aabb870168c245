"""What is wrong with a template, in words for its author."""


class BadTemplate(ValueError):
    """It cannot be read, may not say what it says, or came to nothing; `line` counts from 1, None where unknown."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"{message} (line {line})")
        self.message = message
        self.line = line
