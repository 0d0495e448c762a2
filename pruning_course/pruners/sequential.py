"""Calibrate and prune on the way through a model: each layer sees what its pruned predecessors give it."""

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
    merge_batches,
    run_batch,
    watch_inputs,
)
from pruning_course.models import find_layout


def on_the_way_through(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    batches: Sequence[Batch],
    norm: str,
    prune_layer: Callable[[str, InputNorms], None],
    batch_tokens: int = 8192,
) -> None:
    """Call `prune_layer(name, norms)` for each of `layers`, in the order in which data reach them.

    Up to `batch_tokens` tokens, padding included, all batches are one batch and make ONE forward pass: just before a
    layer computes, its input is measured and the layer is pruned. So nothing is computed twice.

    More tokens go block by block, one batch at a time: all layers of a block are measured before any of them is pruned,
    then the block runs again to give the next one its inputs. So a layer sees unpruned neighbours inside its block, as
    in the code of the paper. Memory holds the hidden states of all tokens, between two blocks. Layers outside the
    blocks (pooler, head) come last, measured together.

    Raises ValueError as `input_norms`, and for too many tokens in a model of no known family.
    """
    part = find_body(model, layers)
    tokens = sum(map(len, batches)) * max(batch.length for batch in batches)
    with calibration_mode(model):
        if tokens <= batch_tokens:
            _in_one_pass(part, layers, merge_batches(batches), norm, prune_layer)
        else:
            _block_by_block(part, layers, batches, norm, prune_layer, _blocks(part, tokens, batch_tokens))


def _in_one_pass(model, layers, batch, norm, prune_layer) -> None:
    waiting = dict.fromkeys(layers)

    def see(name: str, inputs: Tensor) -> None:
        if name in waiting:  # a layer that a model calls twice is pruned at its first call
            del waiting[name]
            sums = InputSums([name], norm)
            sums.add(name, inputs, batch.mask)
            prune_layer(name, sums.finish())

    with watch_inputs(layers, see):
        run_batch(model, batch)
    InputSums(waiting, norm).finish()  # names those that are still waiting


def _block_by_block(model, layers, batches, norm, prune_layer, blocks) -> None:
    outputs = [None] * len(batches)  # what the last finished block gives for each batch
    rest = dict(layers)
    for index, block in enumerate([*blocks, None]):  # None: what comes after the blocks
        inside = set(block.modules()) if block else set(rest.values())
        chosen = {name: layer for name, layer in rest.items() if layer in inside}
        if chosen:
            sums = InputSums(chosen, norm)
            for batch, before in zip(batches, outputs, strict=True):
                with watch_inputs(chosen, partial(sums.add, mask=batch.mask)):
                    _run_block(model, blocks, index, batch, before)
            norms = sums.finish()
            for name in chosen:
                prune_layer(name, norms)
                del rest[name]
        for number, batch in enumerate(batches if block and rest else []):
            outputs[number] = _run_block(model, blocks, index, batch, outputs[number])


class _Caught(Exception):
    def __init__(self, output):
        self.output = output


def _run_block(model, blocks, index: int, batch: Batch, before):
    """The output of block `index` for `batch`, where `before` is the output of the block before it.

    The model itself is called, so that the block gets the masks and positions that belong to it; the blocks before it
    give out `before` without computing anything, and those after it are not reached. Past the last block, what follows
    the blocks is run, and None comes back.
    """

    def catch(_, __, output):
        raise _Caught(output)

    hooks = [block.register_forward_hook(catch) for block in blocks[index : index + 1]]
    try:
        with _forward_replaced(blocks[:index], lambda *_, **__: before):
            run_batch(model, batch)
    except _Caught as caught:
        return caught.output
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _forward_replaced(modules: Sequence[nn.Module], forward: Callable) -> Iterator[None]:
    own = [vars(module).get("forward") for module in modules]  # None: that of the class
    try:
        for module in modules:
            module.forward = forward
        yield
    finally:
        for module, before in zip(modules, own, strict=True):
            del module.forward
            if before is not None:
                module.forward = before


def _blocks(model: nn.Module, tokens: int, batch_tokens: int) -> list[nn.Module]:
    try:
        return list(find_layout(model).blocks)
    except ValueError as error:
        raise ValueError(
            f"The batches have {tokens} tokens, more than batch_tokens={batch_tokens}, and so must go block by block; "
            f"raise batch_tokens or lower num_samples, because: {error}"
        ) from None
