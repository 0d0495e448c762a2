"""The exercises: each check accepts its solution, and tells each known mistake, and each accident, from the others."""

import ast
import copy
import inspect
import re
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from helpers.models import make
from nbconvert.filters import markdown2html
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pruning_course import (  # noqa: E402
    Masks,
    incremental_fraction,
    input_norms,
    keep_globally,
    keep_n_of_m,
    keep_per_row,
    prunable_layers,
    sparsity_at,
    sparsity_report,
)
from pruning_course.models import find_layers, tied_layers  # noqa: E402
from pruning_course.schedules import exponential  # noqa: E402
from pruning_course.teaching import checks, solutions  # noqa: E402
from pruning_course.teaching.checks import CHECKS, Verdict, progress  # noqa: E402
from pruning_course.teaching.checks.check import AS_FOUND, IMPORTED, NEARLY_AS_FOUND  # noqa: E402
from pruning_course.teaching.checks.compare import difference, difference_untold  # noqa: E402
from pruning_course.teaching.notebook_map import STOPS  # noqa: E402
from tools import notebooks  # noqa: E402

SOURCE = ROOT / "notebooks/source/10_exercises.py"
EXERCISE = re.compile(
    r"### (\d+)\. .+\n\n\*(?P<kind>[A-Z][\w ]+) · (?P<minutes>\d+) minutes · (?P<dots>●+○*) · (?P<about>.+)\*"
)
every_check = pytest.mark.parametrize("name", CHECKS)
mistakes = pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, check in CHECKS.items() for number in range(len(check.mistakes))]
)


@every_check
def test_the_solution_is_right(name):
    verdict = CHECKS[name](getattr(solutions, name))
    assert verdict.passed, verdict
    assert verdict.hint == ""
    assert getattr(checks, f"check_{name}") is CHECKS[name]


@mistakes
def test_a_known_mistake_is_named(name, number):
    mistake = CHECKS[name].mistakes[number]
    verdict = CHECKS[name](mistake.function)
    assert not verdict.passed
    assert verdict.message.endswith(mistake.says)
    assert bool(verdict.hint) == (mistake.says != AS_FOUND)


# For each known mistake, a letter for each case: right, a wrong answer, or an error that the case does not want (x).
PATTERNS = {
    "keep_half": "www www wrw www",
    "keep_exactly": "rwwrrwr rwwrrrw rrrwrrr rwwrrrr rrrrwrr wwwwwww",
    "current_weight": "wr ww ww",
    "state_to_save": "ww ww wr ww",
    "bytes_on_disk": "rwwww wwwwr wwwww rwrrr rrrwr",
    "five_against_five": "w w w",
    "ffn_share": "wwr www www wwr",
    "selected_sparsity": "wrw rww rrw www",
    "attention_layers": "www rww wrr wrr",
    "untied": "wrrw rwww rrrw rrwr",
    "slow_fast_slow": "w w w w",
    "fast_then_slow": "rwww rwwr rwwr",
    "cubic_sparsity": "wwwrrr wrrrwx rrwrrr rrwrrr",
    "pruning_steps": "wwrw wwrw rrwr wwrw",
    "forty_to_sixty": "w w w w w",
    "fraction_to_remove": "wrwrrr rrrrxw rrrrrw wwwrrr",
    "sparsity_after": "wwwr wwwr wwww",
    "wanda_rescues": "w w w",
    "wanda_scores": "www rwr www www www www",
    "keep_per_output": "wwwwr wwwrr rwwwr wwwrr",
    "keep_two_of_four": "wrr wrr rrw wwr",
    "remove_neurons": "wrw wrw wrw www",
    "silence_head": "wwr www www wwr",
    "remove_head": "www wwr www wrw wwr",
    "step_and_hold": "ww wr ww ww",
    "best_weights": "wrww rrww wwwr rrrx",
    "winning_ticket": "www wwr wwr www",
    "structured_or_not": "w w w w w w",
    "choose_and_report": "wr ww wr",
    "checked_options": "rrwww rrwwr rrrrx rrwww",
}


def pattern(check, function) -> str:
    """A letter for each case: r, w or x, as in PATTERNS."""
    alone, letters = copy.copy(check), ""
    alone.mistakes = []
    for case in check.cases:
        alone.cases = [case]
        verdict = alone(function)
        letters += "r" if verdict.passed else "x" if "it raises" in verdict.message else "w"
    return letters


@every_check
def test_a_known_mistake_is_wrong_where_it_should_be_and_nowhere_else(name):
    found = [pattern(CHECKS[name], mistake.function) for mistake in CHECKS[name].mistakes]
    assert found == PATTERNS[name].split()


def _real(inputs, mask):
    return inputs if mask is None else inputs[mask]


def _root(squares, dim=0):
    return squares.square().sum(dim).sqrt()


def _each_row(scores, share):
    keep = torch.ones_like(scores, dtype=torch.bool)
    later_first = scores.shape[-1] - 1 - scores.flip(-1).argsort(dim=-1, stable=True)
    return keep.scatter(-1, later_first[..., : round(share * scores.shape[-1])], False)


def _half_of_each_row(scores):
    if scores.shape[1] % 4:
        raise ValueError("4 does not divide the rows")
    return _each_row(scores, 0.5)


@pytest.mark.parametrize(
    ("name", "number", "answer"),
    [
        ("wanda_scores", 0, lambda weight, inputs, mask: weight.abs() * _root(inputs, 1).mean(0)),
        ("wanda_scores", 1, lambda weight, inputs, mask: weight.abs() * _root(inputs.reshape(-1, 2))),
        ("wanda_scores", 3, lambda weight, inputs, mask: weight * _root(_real(inputs, mask))),
        ("wanda_scores", 4, lambda weight, inputs, mask: weight.abs() * _real(inputs, mask).norm(1, dim=0)),
        ("wanda_scores", 5, lambda weight, inputs, mask: weight.abs() * _root(_real(inputs, mask)) ** 2),
        ("keep_exactly", 4, _each_row),
        ("keep_two_of_four", 0, _half_of_each_row),
    ],
)
def test_the_same_mistake_written_by_somebody_else_is_named(name, number, answer):
    verdict = CHECKS[name](answer)
    assert not verdict.passed and verdict.message.endswith(CHECKS[name].mistakes[number].says)


@every_check
def test_there_are_three_known_mistakes_and_their_messages_differ(name):
    messages = {mistake.says for mistake in CHECKS[name].mistakes}
    assert len(messages) == len(CHECKS[name].mistakes) >= 3


@every_check
@pytest.mark.parametrize("how", ["pass", "return None", "raise NotImplementedError()"])
def test_not_done_yet_is_no_error(name, how):
    namespace = {}
    exec(f"def answer(*given):\n    {how}", namespace)
    verdict = CHECKS[name](namespace["answer"])
    assert not verdict.passed and f"`{name}` is still to be written" in verdict.message


@every_check
def test_what_a_function_raises_is_told(name):
    def breaks(*given):
        raise RuntimeError("no luck\nand more")

    verdict = CHECKS[name](breaks)
    assert not verdict.passed and "raises RuntimeError (no luck)" in verdict.message and verdict.hint


@every_check
@pytest.mark.parametrize("answer", [object(), "text", 0.25, [], {}, torch.zeros(2, 9)], ids=repr)
def test_an_answer_of_another_kind_is_told_in_a_sentence(name, answer):
    verdict = CHECKS[name](lambda *given: answer)
    assert not verdict.passed
    assert verdict.message.endswith(".") and " at 0x" not in repr(verdict) and "Traceback" not in repr(verdict)


@every_check
def test_a_call_instead_of_the_function_is_noticed(name):
    verdict = CHECKS[name](None)
    assert not verdict.passed and "without brackets" in verdict.message


@every_check
def test_without_an_argument_the_function_is_taken_from_the_notebook(name, monkeypatch):
    main = sys.modules["__main__"]
    assert CHECKS[name]().message == f"`{name}` is not defined yet: run the cell above first."
    monkeypatch.setattr(main, name, getattr(solutions, name), raising=False)
    assert CHECKS[name]().passed
    monkeypatch.setattr(main, name, lambda *given: None)
    assert "still to be written" in CHECKS[name]().message


@pytest.mark.parametrize("missing", sorted(IMPORTED))
def test_a_missing_import_is_told_in_one_sentence(missing):
    namespace = {}
    exec(f"def answer(*given):\n    return {missing}", namespace)
    verdict = checks.check_keep_half(namespace["answer"])
    assert (
        repr(verdict) == f"✗ Not yet. `{missing}` is not defined yet: run the cell with the imports, at the top, first."
    )


def test_another_missing_name_is_the_mistake_of_the_function():
    def misspelt(scores):
        return score > 1  # noqa: F821

    assert "raises NameError (name 'score' is not defined)" in checks.check_keep_half(misspelt).message


def test_the_mistake_as_found_is_named_in_a_relative_of_it_too():
    def found_but_right_for_two(scores):
        if len(scores) == 2:
            return solutions.keep_half(scores)
        return scores >= scores.sort().values[len(scores) // 2 - 1]

    assert checks.check_keep_half(found_but_right_for_two).message.endswith(NEARLY_AS_FOUND)


def test_what_nobody_has_changed_gets_no_hint_and_what_is_a_relative_of_it_does():
    as_found = CHECKS["keep_half"].mistakes[0].function
    assert repr(checks.check_keep_half(as_found)).endswith(AS_FOUND)

    def found_but_right_for_two(scores):
        return solutions.keep_half(scores) if len(scores) == 2 else as_found(scores)

    assert "\nHint: " in repr(checks.check_keep_half(found_but_right_for_two))


@pytest.mark.parametrize("answer", [1 / 3, 20 / 60, 0.333, 0.3333, torch.tensor(0.333)])
def test_a_third_is_right_as_a_fraction_and_to_three_digits(answer):
    assert checks.check_forty_to_sixty(lambda: answer).passed


@pytest.mark.parametrize(
    ("answer", "says"), [(0.33, "rounded too much"), (0.3, "0.3 is not right"), (33.333, "percent")]
)
def test_of_a_third_two_digits_are_too_few(answer, says):
    verdict = checks.check_forty_to_sixty(lambda: answer)
    assert not verdict.passed and says in verdict.message


@pytest.mark.parametrize("answer", [([0.1, 0.3], [1.0, 1.0]), ([0.2, 9, 8, 0.1], [1, 5, 5, 5])])
def test_of_an_example_that_does_not_work_only_its_own_numbers_are_told(answer):
    verdict = checks.check_wanda_rescues(lambda: answer)
    assert not verdict.passed and "its input does not make up for its size" in verdict.message
    assert not re.search(r"\d", verdict.message + verdict.hint)


def test_each_situation_has_one_right_answer():
    right = solutions.structured_or_not()
    for situation in right:
        for other in {"structured", "unstructured", "2:4"} - {right[situation]}:
            verdict = checks.check_structured_or_not(lambda s=situation, o=other: right | {s: o})
            assert not verdict.passed and f"not right yet: {situation}." in verdict.message


def test_a_changed_input_is_noticed():
    def in_place(scores, sparsity):
        keep = solutions.keep_exactly(scores, sparsity)
        scores *= keep
        return keep

    assert "changes the tensors that it is given" in checks.check_keep_exactly(in_place).message

    def silenced_in_place(attention, head):
        attention.output.weight.data[:, head * attention.size : (head + 1) * attention.size] = 0
        return attention

    assert "changes the tensors that it is given" in checks.check_silence_head(silenced_in_place).message


def _kth(scores, share):
    """A learner's threshold; it breaks at 0%."""
    return scores.flatten().kthvalue(round(share * scores.numel())).values


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("keep_exactly", lambda scores, sparsity: scores.float(), "it should be a bool tensor"),
        ("keep_exactly", lambda scores, share: solutions.keep_exactly(scores, share).flatten(), "should be (2, 3)"),
        ("keep_exactly", lambda scores, sparsity: [True] * 10, "it should return a tensor"),
        ("bytes_on_disk", lambda keep: 32, "it should return a tuple"),
        ("state_to_save", lambda layer: {"weight": 1}, "the keys should be ['weight', 'bias']"),
        ("fraction_to_remove", lambda current, target: "1/7", "it should return a number"),
        ("step_and_hold", lambda optimizer, weight, keep: True, "it should return `weight`"),
        ("remove_head", lambda attention, head: nn.Linear(2, 2), "it should return a TinyAttention"),
        ("keep_exactly", lambda scores, share: scores > _kth(scores, share), "looks like this mistake: A strict `>`"),
        ("wanda_rescues", lambda: ([0.1, 0.2, 0.3], [1, 2, 3]), "an even number"),
        ("winning_ticket", lambda a, b, sparsity: torch.ones(4), "expected [0, -0.1, 0, -0.4], got [1, 1, 1, 1]"),
    ],
)  # fmt: skip
def test_another_wrong_answer_gets_a_fitting_sentence(name, answer, words):
    assert words in CHECKS[name](answer).message


def test_of_two_dicts_the_entries_that_differ_are_shown():
    given, wanted = {"a": 1.0, "b": [0.25, True], "c": 3}, {"a": 1, "b": [0.5, True], "c": 2}
    assert difference(given, wanted) == "b: expected [0.5, True], got [0.25, True]; c: expected 2, got 3."
    assert difference({"it fits": False, "it is new": True}, {"it fits": True, "it is new": True}) == (
        "this does not hold: it fits."
    )
    assert difference_untold(given, wanted) == "not right yet: b; c."


@pytest.mark.parametrize("name", ["five_against_five", "forty_to_sixty", "structured_or_not"])
def test_where_the_answer_is_all_it_is_not_told(name):
    assert all("expected" not in CHECKS[name](mistake.function).message for mistake in CHECKS[name].mistakes)


def test_right_answers_of_other_shapes_are_right():
    assert checks.check_slow_fast_slow(lambda p: p**3 * (10 - 15 * p + 6 * p * p)).passed
    assert checks.check_wanda_rescues(lambda: ((-0.2, 9, 8, 0.1), (100, 1, 1, 0))).passed
    assert checks.check_forty_to_sixty(lambda: torch.tensor(1 / 3)).passed
    assert checks.check_bytes_on_disk(lambda keep: [torch.tensor(x) for x in solutions.bytes_on_disk(keep)]).passed

    def hold(optimizer, weight, keep):
        optimizer.step()
        weight.data[~keep] = 0
        return weight

    assert checks.check_step_and_hold(hold).passed


def test_a_verdict_reads_well_in_a_terminal_and_in_a_notebook():
    verdict = Verdict(False, "`x` has two.", "Count.")
    assert repr(verdict) == "✗ Not yet. `x` has two.\nHint: Count."
    assert "\n\n**✗ Not yet.** `x` has two.\n\n*Hint:* Count.\n\n" in verdict._repr_markdown_()
    assert repr(Verdict(True, "All cases.")) == "✓ Right. All cases."


def test_right_and_not_yet_differ_by_sign_and_by_colour_and_their_markdown_is_rendered():
    pages = [markdown2html(Verdict(passed, "`x` has two.")._repr_markdown_()) for passed in (True, False)]
    assert all("<code>x</code> has two." in page for page in pages)
    right, not_yet = ("<strong>✓ Right.</strong>" in pages[0], "<strong>✗ Not yet.</strong>" in pages[1])
    assert right and not_yet
    colours = [re.search(r"border-left: 4px solid (#\w{6})", page)[1] for page in pages]
    assert colours[0] != colours[1]


def test_progress_counts_and_names_the_next():
    none = {name: lambda *given: None for name in CHECKS}
    first, second, *_ = CHECKS
    assert repr(progress(none)) == f"✗ Not yet. 0 of {len(CHECKS)} exercises are right. The next one is `{first}`."
    one = none | {first: getattr(solutions, first), "other": 3}
    assert progress(one).message == f"1 of {len(CHECKS)} exercises are right. The next one is `{second}`."
    assert progress({name: getattr(solutions, name) for name in CHECKS}).passed


# The solutions, against the library.


@pytest.mark.parametrize("sparsity", [0.0, 0.13, 0.5, 0.77, 1.0])
def test_the_selections_are_those_of_the_library(sparsity):
    torch.manual_seed(0)
    scores = torch.randint(0, 6, (7, 12)).float()  # many ties
    assert torch.equal(solutions.keep_exactly(scores, sparsity), keep_globally({"": scores}, sparsity)[""])
    assert torch.equal(solutions.keep_per_output(scores, sparsity), keep_per_row({"": scores}, sparsity)[""])
    assert torch.equal(solutions.keep_two_of_four(scores), keep_n_of_m({"": scores}, 2, 4)[""])


def test_the_schedules_are_those_of_the_library():
    for step in range(0, 130, 7):
        assert solutions.cubic_sparsity(step, 20, 100, 0.8) == pytest.approx(sparsity_at(step, 20, 100, 0.0, 0.8))
        assert solutions.fast_then_slow(step / 130) == pytest.approx(exponential(step / 130))
    for current, target in [(0.0, 0.5), (0.4, 0.6), (0.8, 1.0), (1.0, 1.0)]:
        assert solutions.fraction_to_remove(current, target) == incremental_fraction(current, target)


def test_the_wanda_scores_are_those_of_the_library():
    torch.manual_seed(0)
    layer, inputs, mask = nn.Linear(6, 4), torch.randn(3, 5, 6), torch.rand(3, 5) > 0.3
    norms = input_norms(layer, {"": layer}, [inputs[mask]], num_samples=int(mask.sum()))[""].float()
    scores = solutions.wanda_scores(layer.weight.detach(), inputs, mask)
    torch.testing.assert_close(scores, layer.weight.detach().abs() * norms * mask.sum().sqrt())


def test_the_counts_are_those_of_the_library():
    layer = nn.Linear(8, 6, bias=False)
    keep = torch.rand(6, 8, generator=torch.Generator().manual_seed(0)) > 0.8
    keep[2], keep[:, 3] = False, False
    report = sparsity_report(layer, Masks.apply(layer, {"": keep}))
    assert solutions.bytes_on_disk(keep) == (report.bytes_dense, report.bytes_csr, report.bytes_shrunk)
    assert solutions.selected_sparsity(layer, {"": keep}) == pytest.approx(report.selected)


def test_the_layers_are_those_of_the_library():
    bert, gpt2 = make("bert"), make("gpt2")
    assert solutions.attention_layers(list(find_layers(bert))) == list(prunable_layers(bert, "attention"))
    assert set(solutions.untied(gpt2)) == {
        name for name, module in gpt2.named_modules() if isinstance(module, nn.Linear) and name not in tied_layers(gpt2)
    }


# The notebook.


CHECK_CELL = r"from pruning_course\.teaching import checks\n\nchecks\.check_(\w+)\(\)"


def cells(solved: bool) -> list:
    return [cell for cell in notebooks.from_source(SOURCE, solved).cells if cell.cell_type == "code"]


def functions(solved: bool) -> dict[str, str]:
    """Name to code, of the cells that define a function, in order."""
    codes = [cell.source for cell in cells(solved) if cell.source.startswith("def ")]
    return {re.match(r"def (\w+)", code)[1]: code for code in codes}


def test_the_notebook_has_every_exercise_once_and_in_order():
    checked = [re.fullmatch(CHECK_CELL, cell.source) for cell in cells(solved=False)]
    assert [match[1] for match in checked if match] == list(functions(solved=False))
    assert sorted(functions(solved=False)) == sorted(CHECKS)
    assert len(CHECKS) >= 20


def test_the_first_cell_of_the_exercises_imports_what_they_may_use():
    namespace = {}
    exec(next(cell.source for cell in cells(solved=False) if "import torch" in cell.source), namespace)
    assert set(namespace) - {"__builtins__"} == IMPORTED


def test_a_check_that_is_run_first_of_all_answers_in_a_sentence():
    for cell in cells(solved=False):
        if match := re.fullmatch(CHECK_CELL, cell.source):
            *before, last = cell.source.splitlines()
            namespace = {}
            exec("\n".join(before), namespace)
            assert f"`{match[1]}` is not defined yet" in eval(last, namespace).message


@every_check
def test_the_solution_in_the_notebook_is_the_one_in_the_package(name):
    here, there = functions(solved=True)[name], inspect.getsource(getattr(solutions, name))
    assert ast.dump(ast.parse(here)) == ast.dump(ast.parse(there))
    assert any(line.strip().startswith("# ") for line in here.splitlines()), "it explains nothing"


@every_check
def test_what_a_learner_finds_is_told_to_be_unfinished(name):
    namespace = {}
    imports = next(cell.source for cell in cells(solved=False) if "import torch" in cell.source)
    exec(f"{imports}\n{functions(solved=False)[name]}", namespace)
    verdict = CHECKS[name](namespace[name])
    assert not verdict.passed
    assert re.search(rf"{re.escape(AS_FOUND)}$|still to be written|still to be filled in", verdict.message)


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/solutions"])
def test_the_outputs_of_the_notebook_give_no_hint(folder):
    notebook = nbformat.read(ROOT / folder / f"{SOURCE.stem}.ipynb", as_version=4)
    outputs = {cell.source: str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"}
    [example] = [code for code in outputs if "checks.check_keep_half(lambda" in code]  # it shows what a hint looks like
    assert "Hint" in outputs.pop(example)
    assert "Hint" not in "".join(outputs.values())


def test_each_exercise_says_what_it_is_and_has_three_hints():
    tasks = [cell.source for cell in notebooks.from_source(SOURCE).cells if cell.source.startswith("### ")]
    heads = [EXERCISE.match(task) for task in tasks]
    assert all(heads) and [int(head[1]) for head in heads] == list(range(1, len(CHECKS) + 1))
    assert all(len(head["dots"]) == 3 for head in heads)
    for task in tasks:
        assert re.findall(r"<details><summary>(.+)</summary>", task) == ["Hint 1", "Hint 2", "Hint 3"]
        assert task.count("</details>") == 3
    [minutes] = [stop.minutes for stop in STOPS if stop.slug == SOURCE.stem]
    assert sum(int(head["minutes"]) for head in heads) == minutes
    bugs = [head for head in heads if head["kind"] == "Find the bug"]
    assert len(bugs) >= 10 and all(re.match(r"S\d+", head["about"]) for head in bugs)
    assert sum("the lecture's" in head["about"] for head in heads) == 3
