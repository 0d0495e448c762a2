"""Calibrate and prune on the way through a model: each layer is measured on the outputs of pruned layers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn

from pruning_course.calibration import (
    Batch,
    InputNorms,
    InputSums,
    calibration_mode,
    find_body,
    fit_batch,
    merge_batches,
    run_batch,
    split_square,
    watch_inputs,
)
from pruning_course.models import check_visible, find_layout

Blocks = Sequence[nn.Module]
Layers = Mapping[str, nn.Module]  # name to module
PruneLayer = Callable[[str, InputNorms], None]  # name of a layer, norms of its inputs


def prune_on_the_way(
    model: nn.Module,
    layers: Layers,
    batches: Sequence[Batch],
    norm: str,
    prune_layer: PruneLayer,
    batch_tokens: int = 8192,
) -> None:
    """Call `prune_layer(name, norms)` for each of `layers`, in the order in which data reach them.

    If there are at most `batch_tokens` tokens, padding included, all batches are merged into one for a SINGLE forward
    pass: just before a layer computes, its input is measured and the layer is pruned. Nothing is computed twice.

    More tokens go block by block, one batch at a time: all layers of a block are measured before any of them is pruned,
    and then the block runs again to compute the inputs of the next block. So a layer is measured on unpruned neighbours
    inside its block, as in the code of Wanda. Between two blocks, memory holds the hidden states of all tokens. Layers
    outside the blocks (pooler, classification head) come last and are measured together.

    Raises ValueError if no real token reaches a layer, an input is NaN or infinite, the norm is unknown, batches that
    must be merged hold different tensors, `check_visible` refuses the model, or there are too many tokens for a model
    without a known family.
    """
    check_visible(model)
    body = find_body(model, layers)
    tokens = sum(map(len, batches)) * max(batch.length for batch in batches)
    with calibration_mode(model):
        if tokens <= batch_tokens:
            _prune_in_one_pass(body, layers, fit_batch(body, merge_batches(batches)), norm, prune_layer)
        else:
            blocks = _find_blocks(body, tokens, batch_tokens)
            parts = [fit_batch(body, part) for batch in batches for part in split_square(batch)]
            _prune_block_by_block(body, blocks, layers, parts, norm, prune_layer)


def _prune_in_one_pass(model: nn.Module, layers: Layers, batch: Batch, norm: str, prune_layer: PruneLayer) -> None:
    waiting = list(layers)

    def measure_and_prune(name: str, inputs: Tensor) -> None:
        if name in waiting:  # a layer that a model calls twice is pruned at its first call
            waiting.remove(name)
            sums = InputSums([name], norm)
            sums.add(name, inputs, batch)
            prune_layer(name, sums.finish())

    with watch_inputs(layers, measure_and_prune):
        run_batch(model, batch)
    InputSums(waiting, norm).finish()  # raises and names the layers that no input has reached


def _prune_block_by_block(
    model: nn.Module, blocks: Blocks, layers: Layers, batches: Sequence[Batch], norm: str, prune_layer: PruneLayer
) -> None:
    outputs: list[object] = [None] * len(batches)  # of the last finished block, for each batch
    rest = dict(layers)
    for index, block in enumerate([*blocks, None]):  # None: the layers after the blocks
        inside = set(block.modules()) if block else set(rest.values())
        chosen = {name: layer for name, layer in rest.items() if layer in inside}
        if chosen:
            sums = InputSums(chosen, norm)
            for batch, before in zip(batches, outputs, strict=True):
                with watch_inputs(chosen, partial(sums.add, batch=batch)):
                    _run_block(model, blocks, index, batch, before)
            norms = sums.finish()
            for name in chosen:
                prune_layer(name, norms)
                del rest[name]
        for number, batch in enumerate(batches if block and rest else []):
            outputs[number] = _run_block(model, blocks, index, batch, outputs[number])


class _BlockOutput(Exception):
    """Ends a forward pass at a block, and carries its output."""


def _run_block(model: nn.Module, blocks: Blocks, index: int, batch: Batch, before: object) -> object:
    """Return the output of block `index` for `batch`, where `before` is the output of the block before it.

    The model itself is called, so that the block receives its masks and positions; earlier blocks return `before`, and
    later ones are not reached. If `index` is past the last block, the layers after it run, and the result is None.
    """

    def stop(_: nn.Module, args: object, output: object) -> None:
        raise _BlockOutput(output)

    hooks = [block.register_forward_hook(stop) for block in blocks[index : index + 1]]
    try:
        with _replace_forward(blocks[:index], lambda *_, **__: before):
            run_batch(model, batch)
            return None
    except _BlockOutput as stopped:
        return stopped.args[0]
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _replace_forward(modules: Sequence[nn.Module], forward: Callable[..., object]) -> Iterator[None]:
    own = [vars(module).get("forward") for module in modules]  # None: the method of the class
    try:
        for module in modules:
            module.forward = forward
        yield
    finally:
        for module, before in zip(modules, own, strict=True):
            del module.forward
            if before is not None:
                module.forward = before


def _find_blocks(model: nn.Module, tokens: int, batch_tokens: int) -> list[nn.Module]:
    try:
        layout = find_layout(model)
        if len(layout.family.uncut) == 3:
            raise ValueError(f"All layers of a {layout.config.model_type} model share one set of weights.")
        return list(layout.blocks)
    except ValueError as error:
        raise ValueError(
            f"The batches have {tokens} tokens, more than batch_tokens={batch_tokens}, so they must go block by block; "
            f"raise batch_tokens or lower num_samples, because: {error}"
        ) from None
