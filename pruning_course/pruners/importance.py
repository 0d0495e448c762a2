"""How important a whole neuron, attention head or block is: one number for each, float32 or float64."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from pruning_course.calibration import (
    Batch,
    calibration_mode,
    find_body,
    is_target,
    run_batch,
    take_real_rows,
    take_samples,
)
from pruning_course.models import Layout, Units, bias_of, check_visible, find_layout, out_in, weight_of


def unit_norms(model: nn.Module, groups: Mapping[str, Units]) -> dict[str, Tensor]:
    """Return the L2 norm of all weights and biases that belong to each unit: name of the group to (units,)."""
    norms = {}
    for name, group in groups.items():
        squares = torch.zeros(group.count)
        for layer, rows in group.rows.items():
            module = model.get_submodule(layer)
            of_rows, bias = _squares(out_in(module, weight_of(module))).sum(1), bias_of(module)
            of_rows = of_rows if bias is None else of_rows + _squares(bias)
            squares = squares.to(of_rows) + of_rows[rows.to(of_rows.device)].sum(1)
        for layer, columns in group.columns.items():
            module = model.get_submodule(layer)
            of_columns = _squares(out_in(module, weight_of(module))).sum(0)
            squares = squares.to(of_columns) + of_columns[columns.to(of_columns.device)].sum(1)
        norms[name] = squares.sqrt()
    return norms


def block_norms(layout: Layout, layers: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the L2 norm of all linear layers of each block, biases included: "layers" to (blocks,)."""
    squares = [0.0] * len(layout.blocks)
    for name, layer in layers.items():
        squares[layout.block_of(name)] += sum(float(_squares(parameter).sum()) for parameter in layer.parameters())
    return {"layers": torch.tensor(squares, dtype=torch.float64).sqrt()}


def _squares(parameter: Tensor) -> Tensor:
    parameter = parameter.detach()
    return parameter.to(torch.promote_types(parameter.dtype, torch.float32)).square()


def gate_gradients(
    model: nn.Module, groups: Mapping[str, Units], batches: Iterable[object], num_samples: int = 512
) -> dict[str, Tensor]:
    """Return the mean over samples of abs(dL/dgate), with a gate of 1 on the output of each unit: name to (units,).

    This is the expected sensitivity of Michel et al. 2019 (arXiv 1905.10650), for attention heads and neurons alike,
    without their normalisation within a layer. L is the mean loss of a batch times its number of samples. Every sample
    has its own gates, so batching does not matter if all samples weigh the same in the loss. Gradients of weights are
    neither computed nor changed.

    Raises ValueError if `check_visible` refuses the model, there are no samples, labels or loss, an attention_mask is
    not (batch, tokens), or `num_samples` is not a whole number of at least 1; TypeError if `batches` is not an iterable
    of batches.
    """
    check_visible(model)
    sums = {name: torch.zeros(group.count) for name, group in groups.items()}
    samples = 0
    with calibration_mode(model), tqdm(total=num_samples, desc="Calibrating", unit=" samples") as bar:
        for batch in take_samples(batches, num_samples):
            for name, gradient in _compute_gradients(model, groups, _add_labels(model, batch)).items():
                sums[name] += gradient.abs().sum(0).cpu()
            samples += len(batch)
            bar.update(len(batch))
    return {name: total / samples for name, total in sums.items()}


def _compute_gradients(model: nn.Module, groups: Mapping[str, Units], batch: Batch) -> dict[str, Tensor]:
    """Return the gradient of each sample's loss with respect to the gate of each unit: name to (samples, units)."""
    gates = {}
    with ExitStack() as hooks, torch.enable_grad():
        for name, group in groups.items():
            [(layer, columns)] = group.columns.items()
            module = model.get_submodule(layer)
            device = weight_of(module).device
            unit_of_column = torch.empty(columns.numel(), dtype=torch.long)
            unit_of_column[columns] = torch.arange(group.count).unsqueeze(1).expand_as(columns)
            gates[name] = torch.ones(len(batch), group.count, device=device, requires_grad=True)
            of_columns = gates[name][:, unit_of_column.to(device)].unsqueeze(1)  # (batch, 1, columns)
            hooks.callback(module.register_forward_pre_hook(partial(_scale_input, of_columns)).remove)
        loss = getattr(run_batch(model, batch, with_targets=True), "loss", None)
        if loss is None:
            raise ValueError(f"{type(model).__name__} returns no loss, which importance by gradient needs.")
        gradients = torch.autograd.grad(loss * len(batch), list(gates.values()))
    return dict(zip(gates, gradients, strict=True))


def _scale_input(factors: Tensor, _: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
    inputs = args[0].reshape(len(factors), -1, args[0].shape[-1])  # OPT passes (batch * tokens, columns)
    return (inputs * factors.to(inputs.dtype)).view_as(args[0])


def _add_labels(model: nn.Module, batch: Batch) -> Batch:
    """Return the batch with something to predict: its own targets, or for a causal language model its tokens.

    Padding gets the label -100, which a loss ignores.
    """
    inputs = dict(batch.inputs) if isinstance(batch.inputs, Mapping) else {}
    if any(map(is_target, inputs)):
        return batch
    if not (getattr(model, "can_generate", bool)() and "input_ids" in inputs):
        raise ValueError(
            f"The batches have no labels; importance by gradient needs the loss of {type(model).__name__}."
        )
    labels = inputs["input_ids"] if batch.mask is None else inputs["input_ids"].masked_fill(~batch.mask, -100)
    return Batch({**inputs, "labels": labels}, batch.mask)


def block_influence(
    model: nn.Module, batches: Iterable[object], num_samples: int = 512, inside: str | None = None
) -> Tensor:
    """Return 1 - the mean cosine between the input and the output of each block, over real tokens: float64 (blocks,).

    This is the block influence of ShortGPT (Men et al. 2024, arXiv 2403.03853): a block that turns nothing can go.

    Raises ValueError if `check_visible` refuses the model, it does not belong to a known family,
    there are no samples, no real token reaches a block, an attention_mask is not (batch, tokens), or `num_samples` is
    not a whole number of at least 1; TypeError if `batches` is not an iterable of batches.
    """
    check_visible(model)
    layout = find_layout(model, inside)
    sums, counts = [0.0] * len(layout.blocks), [0] * len(layout.blocks)
    warned: set[str] = set()

    def record(number: int, batch: Batch, _: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        name = f"{layout.path}.{number}"
        rows_before, rows_after = (take_real_rows(name, rows, batch, warned).float() for rows in (before, after))
        cosines = nn.functional.cosine_similarity(rows_before, rows_after)
        sums[number] += float(cosines.double().sum())
        counts[number] += len(cosines)

    body = find_body(model, {str(number): block for number, block in enumerate(layout.blocks)})
    with calibration_mode(model), tqdm(total=num_samples, desc="Calibrating", unit=" samples") as bar:
        for batch in take_samples(batches, num_samples):
            with ExitStack() as hooks:
                for number, block in enumerate(layout.blocks):
                    hook = partial(record, number, batch)
                    hooks.callback(block.register_forward_hook(hook, with_kwargs=True).remove)
                run_batch(body, batch)
            bar.update(len(batch))
    if not all(counts):
        raise ValueError(
            f"No real token reached {layout.path}.{counts.index(0)}: the model skipped it, or all was padding."
        )
    influence = 1 - torch.tensor(sums, dtype=torch.float64) / torch.tensor(counts)
    return influence.clamp_min(0)  # rounding may make a cosine greater than 1
