"""What reading a template finds: what is wrong and where, and which results its texts look at."""

from dataclasses import dataclass, field, replace

from ..prompts.grammar import EXPRESSION_NAMES, Mentions

MOST_PROBLEMS = 100

# `{"field": "steps[2].dependsOn[0]", "message": "there is no step 'x'"}`
Problem = dict[str, str]


@dataclass(frozen=True, slots=True)
class Mention:
    """A text of the step `by` looks at the result of `step`."""

    by: str
    step: str
    place: "Place"
    line: int


@dataclass(slots=True)
class Findings:
    """Everything found so far."""

    problems: list[Problem] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a template, such as `steps[2].prompt`: the step it belongs to and the variables known there."""

    path: str
    findings: Findings
    step: str = ""
    names: frozenset[str] = EXPRESSION_NAMES

    def at(self, key: str | int) -> "Place":
        """The place of a member, or of an item."""
        inner = f"[{key}]" if isinstance(key, int) else f".{key}" if self.path else key
        return replace(self, path=f"{self.path}{inner}")

    def wrong(self, message: str) -> None:
        """Something is wrong here. The first hundred problems are told."""
        if len(self.findings.problems) < MOST_PROBLEMS:
            self.findings.problems.append({"field": self.path, "message": message})

    def mentioned(self, mentions: Mentions) -> None:
        """The text here looks at these steps."""
        self.findings.mentions.extend(Mention(self.step, step, self, line) for step, line in mentions.items())
