"""What a check answers."""

from dataclasses import dataclass

# Okabe and Ito's, as in the figures: told apart by colour-blind readers, and seen on white and on black.
GREEN, ORANGE = "#009E73", "#D55E00"


@dataclass(frozen=True, repr=False)
class Verdict:
    """The answer of a check, in words; a notebook shows it when it is the value of a cell."""

    passed: bool
    message: str
    hint: str = ""

    @property
    def title(self) -> str:
        return "✓ Right." if self.passed else "✗ Not yet."

    def __repr__(self) -> str:
        return f"{self.title} {self.message}" + (f"\nHint: {self.hint}" if self.hint else "")

    def _repr_markdown_(self) -> str:
        """Markdown in a box. The empty lines let it be read as Markdown; GitHub drops the border and keeps the sign."""
        text = f"**{self.title}** {self.message}" + (f"\n\n*Hint:* {self.hint}" if self.hint else "")
        colour = GREEN if self.passed else ORANGE
        return f'<div style="border-left: 4px solid {colour}; padding-left: 12px">\n\n{text}\n\n</div>'
