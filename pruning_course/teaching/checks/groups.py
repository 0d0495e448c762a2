"""Shares: of what, and compared with what (notebook 02)."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from pruning_course.models import find_layers
from pruning_course.teaching.checks.check import AS_FOUND, Case, Check, Mistake
from pruning_course.teaching.checks.masks import mask

check_five_against_five = Check(
    "five_against_five",
    [Case("40% of ten weights, compared globally", (), {"one": [1, 0, 0, 0, 0], "two": [1, 1, 1, 1, 1]})],
    [
        Mistake(
            lambda: {"one": [1, 1, 1, 0, 0], "two": [1, 1, 1, 0, 0]},
            "That is local: each layer loses 40% of its own.",
            "Write all ten into one list and cross out the four smallest.",
        ),
        Mistake(
            lambda: {"one": [0, 0, 0, 0, 0], "two": [1, 1, 1, 1, 1]},
            "That removes five. 40% of ten is four.",
        ),
        Mistake(
            lambda: {"one": [0, 1, 1, 1, 1], "two": [0, 0, 0, 0, 0]},
            "The masks are the wrong way round: 1 means kept.",
        ),
    ],
    "Write all ten into one list and cross out the four smallest.",
    tells=False,
)


def _share(
    hidden: int, intermediate: int, blocks: int, vocabulary: int, *, matrices: int = 2, projections: int = 4
) -> float:
    ffn = blocks * matrices * hidden * intermediate
    return ffn / (ffn + blocks * projections * hidden * hidden + vocabulary * hidden)


check_ffn_share = Check(
    "ffn_share",
    [
        Case("BERT-base", (768, 3072, 12, 30_522), 56_623_104 / 108_375_552),
        Case("MiniLM, the course's model", (384, 1536, 6, 30_522), 7_077_888 / 22_337_280),
        Case("One block without a vocabulary", (10, 20, 1, 0), 0.5),
    ],
    [
        Mistake(
            lambda hidden, intermediate, blocks, vocabulary: _share(hidden, intermediate, blocks, 0),
            "The embeddings are missing: that is the share within the blocks, the lecture's two thirds.",
            "The table has one row of `hidden` numbers for each word of the vocabulary.",
        ),
        Mistake(
            lambda *sizes: _share(*sizes, matrices=1),
            "An FFN has two matrices, one up and one down.",
        ),
        Mistake(
            lambda *sizes: _share(*sizes, projections=3),
            "Attention has four matrices: query, key, value and output.",
        ),
        Mistake(
            lambda hidden, intermediate, blocks, vocabulary: _share(hidden, intermediate, 1, vocabulary),
            "That counts a single block.",
        ),
    ],
    "Count three things: FFN, attention, embeddings. Then divide the first by their sum.",
)


def _two_layers(zeros: int = 0) -> nn.ModuleDict:
    ffn, head = nn.Linear(4, 2), nn.Linear(2, 2)
    model = nn.ModuleDict({"ffn": ffn, "head": head})
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    ffn.weight.data[0, :2] = 0  # what the mask of the first case prunes
    ffn.weight.data[1, :zeros] = 0
    return model


FFN = {"ffn": mask([0, 0, 1, 1], [1, 1, 1, 1])}


def _zeros(layers: Iterable[nn.Module]) -> float:
    weights = [layer.get_parameter("weight") for layer in layers]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def _mean_share(model: nn.Module, masks: Mapping[str, Tensor]) -> float:
    return sum(float((~keep).float().mean()) for keep in masks.values()) / len(masks)


check_selected_sparsity = Check(
    "selected_sparsity",
    [
        Case("Only the FFN was selected", (_two_layers(), FFN), 0.25),
        Case("A kept weight happens to be 0", (_two_layers(zeros=1), FFN), 0.25),
        Case("Two layers of 8 and 4 weights", (_two_layers(), FFN | {"head": mask([0, 0], [0, 0])}), 0.5),
    ],
    [
        Mistake(
            lambda model, masks: _zeros(find_layers(model).values()),
            AS_FOUND,
            "Which layers does it count, and what makes a weight *pruned*?",
        ),
        Mistake(
            lambda model, masks: _zeros([model[name] for name in masks]),
            "A weight can be 0 without being pruned.",
            "The masks know what was pruned; the weights do not.",
        ),
        Mistake(
            _mean_share,
            "The mean of the layers' shares counts a weight of a small layer more than one of a large layer.",
            "Add up counts, then divide once.",
        ),
        Mistake(
            lambda model, masks: 1 - _mean_share(model, masks), "That is the share that is kept, not the pruned one."
        ),
    ],
    "`masks` is all you need: its names are the selected layers, its False are the pruned weights.",
)
