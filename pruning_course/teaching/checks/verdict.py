"""What a check answers."""

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Verdict:
    """The answer of a check, in words; a notebook shows it when it is the value of a cell."""

    passed: bool
    message: str
    hint: str = ""

    @property
    def title(self) -> str:
        return "Right." if self.passed else "Not yet."

    def __repr__(self) -> str:
        return f"{self.title} {self.message}" + (f"\nHint: {self.hint}" if self.hint else "")

    def _repr_markdown_(self) -> str:
        return f"**{self.title}** {self.message}" + (f"\n\n*Hint:* {self.hint}" if self.hint else "")
