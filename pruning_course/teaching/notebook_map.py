"""The map of the course, with "you are here"."""

from typing import NamedTuple

from IPython.display import Markdown


class Stop(NamedTuple):
    slug: str
    question: str  # what the notebook answers
    minutes: int


STOPS = (
    Stop("00_start_here", "What is in this course, and does it run here?", 20),
    Stop("01_mask_mechanics", "What is a mask, and what does pruning really change?", 40),
    Stop("02_global_vs_local", "Which weights should compete with each other?", 40),
    Stop("03_schedules", "All at once, or step by step?", 35),
    Stop("04_incremental_sparsity_bug", "Why do small steps miss their target?", 25),
    Stop("05_wanda", "Do the inputs tell more than the weights alone?", 45),
    Stop("06_structured", "What makes a model really smaller and faster?", 45),
    Stop("07_fine_tuning", "How much comes back with a little training?", 40),
    Stop("08_lottery_tickets", "Was the small network there from the start?", 45),
    Stop("09_choosing_a_method", "Which method for which need?", 40),
    Stop("10_exercises", "Can you do it yourself?", 190),
)


def course_map(here: str = "00") -> Markdown:
    """The notebooks in order, with their question and minutes; `here` is the number of the one being read."""
    if here not in {stop.slug[:2] for stop in STOPS}:
        raise ValueError(f"`here` must be the number of a notebook, 00 to {STOPS[-1].slug[:2]}, and is {here!r}.")
    lines = ["| | notebook | the question it answers | minutes |", "|---|---|---|--:|"]
    for stop in STOPS:
        name = stop.slug.replace("_", " ")
        if stop.slug.startswith(here):
            mark, name = "**you are here →**", f"**{name}**"
        else:
            mark, name = "", f"[{name}]({stop.slug}.ipynb)"
        lines.append(f"| {mark} | {name} | {stop.question} | {stop.minutes} |")
    hours = sum(stop.minutes for stop in STOPS) / 60
    lines.append(f"\nAll notebooks take about {hours:.0f} hours, exercises included.")
    return Markdown("\n".join(lines))  # type: ignore[no-untyped-call]  # IPython has no types here
