"""How important a whole neuron, head or layer is: a number for each, float32 at least."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from pruning_course.calibration import Batch, calibration_mode, find_body, run_batch, take_real_rows, take_samples
from pruning_course.models import Layout, Units, find_layout, out_in


def unit_norms(model: nn.Module, groups: Mapping[str, Units]) -> dict[str, Tensor]:
    """The L2 norm of all that belongs to each unit: rows with their biases, and columns. Name to (units,)."""
    norms = {}
    for name, group in groups.items():
        squares = torch.zeros(group.count)
        for layer, rows in group.rows.items():
            module = model.get_submodule(layer)
            row = _squares(out_in(module, module.weight)).sum(1)
            row = row if module.bias is None else row + _squares(module.bias)
            squares = squares.to(row) + row[rows.to(row.device)].sum(1)
        for layer, columns in group.columns.items():
            module = model.get_submodule(layer)
            column = _squares(out_in(module, module.weight)).sum(0)
            squares = squares.to(column) + column[columns.to(column.device)].sum(1)
        norms[name] = squares.sqrt()
    return norms


def block_norms(layout: Layout, layers: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The L2 norm of all linear layers of each block, biases included: "layers" to (blocks,)."""
    squares = [0.0] * len(layout.blocks)
    for name, layer in layers.items():
        squares[layout.block_of(name)] += sum(float(_squares(parameter).sum()) for parameter in layer.parameters())
    return {"layers": torch.tensor(squares, dtype=torch.float64).sqrt()}


def _squares(parameter: Tensor) -> Tensor:
    parameter = parameter.detach()
    return parameter.to(torch.promote_types(parameter.dtype, torch.float32)).square()


def gate_gradients(
    model: nn.Module, groups: Mapping[str, Units], batches: Iterable, num_samples: int = 512
) -> dict[str, Tensor]:
    """The mean over samples of abs(dL/dgate), with a gate of 1 on what each unit gives to the layer that leads out.

    This is the expected sensitivity of Michel et al. 2019 (arXiv 1905.10650), for heads and neurons alike, without
    their normalisation within a layer. L is the loss of one sample: the model's mean loss times the number of samples.
    Every sample has gates of its own, so where samples weigh the same in the loss, it does not matter how they are
    batched. Name to (units,). No gradient of a weight is computed or touched.

    Raises as `input_norms`, and ValueError where there is no loss.
    """
    sums = {name: torch.zeros(group.count) for name, group in groups.items()}
    seen = 0
    with calibration_mode(model), tqdm(total=num_samples, desc="Calibrating", unit=" samples") as bar:
        for batch in take_samples(map(_with_targets, batches), num_samples):
            for name, gradient in _gradients(model, groups, _learning(model, batch)).items():
                sums[name] += gradient.abs().sum(0).cpu()
            seen += len(batch)
            bar.update(len(batch))
    return {name: total / seen for name, total in sums.items()}


def _gradients(model: nn.Module, groups: Mapping[str, Units], batch: Batch) -> dict[str, Tensor]:
    """Of the loss of each sample, to the gate of each unit: name to (samples, units)."""
    gates = {}
    with ExitStack() as hooks, torch.enable_grad():
        for name, group in groups.items():
            [(layer, columns)] = group.columns.items()
            module = model.get_submodule(layer)
            unit = torch.empty(columns.numel(), dtype=torch.long)  # of each column
            unit[columns] = torch.arange(group.count).unsqueeze(1).expand_as(columns)
            gates[name] = torch.ones(len(batch), group.count, device=module.weight.device, requires_grad=True)

            def gate(_, args, gate=gates[name], unit=unit):
                of_columns = gate[:, unit.to(gate.device)].unsqueeze(1)  # (batch, 1, columns)
                return args[0] * of_columns.to(args[0].dtype)

            hooks.callback(module.register_forward_pre_hook(gate).remove)
        loss = getattr(run_batch(model, batch), "loss", None)
        if loss is None:
            raise ValueError(f"{type(model).__name__} gives no loss, which importance by gradient needs.")
        gradients = torch.autograd.grad(loss * len(batch), list(gates.values()))
    return dict(zip(gates, gradients, strict=True))


def _with_targets(raw):
    """Labels under a name that calibration does not leave out."""
    if isinstance(raw, list | tuple) and len(raw) > 1 and isinstance(raw[0], Mapping):
        raw = {**raw[0], "labels": raw[1]}
    if not isinstance(raw, Mapping):
        return raw
    return {("targets" if name == "labels" else name): value for name, value in raw.items()}


def _learning(model: nn.Module, batch: Batch) -> Batch:
    """The batch with labels: its own, or for a causal language model its tokens, -100 where they are padding."""
    inputs = dict(batch.inputs) if isinstance(batch.inputs, Mapping) else {}
    labels = inputs.pop("targets", None)
    if labels is None and getattr(model, "can_generate", bool)() and "input_ids" in inputs:
        labels = inputs["input_ids"] if batch.mask is None else inputs["input_ids"].masked_fill(~batch.mask, -100)
    if labels is None:
        raise ValueError(
            f"The batches have no labels; importance by gradient needs the loss of {type(model).__name__}."
        )
    return Batch({**inputs, "labels": labels}, batch.mask)


def block_influence(model: nn.Module, batches: Iterable, num_samples: int = 512) -> Tensor:
    """1 - the mean cosine between what enters a block and what leaves it, over real tokens: float64 (blocks,).

    The block influence of Men et al. 2024 (ShortGPT, arXiv 2403.03853): a block that turns nothing can go. Raises as
    `input_norms`.
    """
    layout = find_layout(model)
    sums, counts = [0.0] * len(layout.blocks), [0] * len(layout.blocks)

    def see(number: int, mask: Tensor | None, args, kwargs, output) -> None:
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        cosines = nn.functional.cosine_similarity(
            take_real_rows(before, mask).float(), take_real_rows(after, mask).float()
        )
        sums[number] += float(cosines.double().sum())
        counts[number] += len(cosines)

    part = find_body(model, dict(enumerate(layout.blocks)))
    with calibration_mode(model), tqdm(total=num_samples, desc="Calibrating", unit=" samples") as bar:
        for batch in take_samples(batches, num_samples):
            with ExitStack() as hooks:
                for number, block in enumerate(layout.blocks):
                    hook = partial(lambda number, mask, _, *seen: see(number, mask, *seen), number, batch.mask)
                    hooks.callback(block.register_forward_hook(hook, with_kwargs=True).remove)
                run_batch(part, batch)
            bar.update(len(batch))
    if not all(counts):
        raise ValueError(
            f"No real token reached {layout.path}.{counts.index(0)}: the model skipped it, or all was padding."
        )
    influence = 1 - torch.tensor(sums, dtype=torch.float64) / torch.tensor(counts)
    return influence.clamp_min(0)  # a rounded cosine may be above 1
