"""Run a model on a batch: what it is called with, which part of it runs, and in which mode."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pruning_course.calibration.batches import Batch, is_target
from pruning_course.calibration.padding import add_padding
from pruning_course.models import eval_mode


def fit_batch(model: nn.Module, batch: Batch, with_targets: bool = False) -> Batch:
    """Return the batch with those tensors that the forward of `model` has a name for, and with its `decoder_mask`.

    Targets, such as labels, stay out unless `with_targets`; but an encoder-decoder without `decoder_input_ids` makes
    these from the labels, so it receives them, and labels of -100 are padding.

    Raises ValueError if an encoder-decoder without either must make them from texts that are padded on the left.
    """
    if isinstance(batch.inputs, Tensor):
        return batch
    parameters = inspect.signature(getattr(model, "_orig_mod", model).forward).parameters  # not of torch.compile
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values())
    has_decoder = is_encoder_decoder(model)
    written = {"labels"} & set(parameters) if has_decoder and _has_text_labels(batch.inputs) else set()
    inputs = {
        name: tensor
        for name, tensor in batch.inputs.items()
        if (takes_any or name in parameters) and (with_targets or name in written or not is_target(name))
    }
    mask, decoder_mask = batch.mask, None
    if "decoder_attention_mask" in inputs:
        decoder_mask = inputs["decoder_attention_mask"].bool()
    elif written:
        decoder_mask = inputs["labels"] != -100
    elif "decoder_input_ids" in inputs:
        decoder_mask = torch.ones_like(inputs["decoder_input_ids"], dtype=torch.bool)
    elif has_decoder and mask is not None and not mask[:, 0].all():
        raise ValueError(
            f"{type(model).__name__} makes the input of its decoder from the input_ids by moving them to the right, so "
            "their padding must be on the right."
        )
    if mask is None and decoder_mask is not None and "input_ids" in inputs:
        mask = torch.ones_like(inputs["input_ids"], dtype=torch.bool)
    fitted = Batch(inputs, mask, decoder_mask)
    if mask is None or decoder_mask is None or mask.shape != decoder_mask.shape or torch.equal(mask, decoder_mask):
        return fitted
    # The two texts have equal lengths: one more token of padding, so that shapes tell them apart in every layer.
    names = [name for name in inputs if name.startswith("decoder_") or name in written]
    longer = torch.cat([decoder_mask, decoder_mask.new_zeros(len(decoder_mask), 1)], dim=1)
    return Batch(add_padding(fitted, names).inputs, mask, longer)


def _has_text_labels(inputs: Mapping[str, Tensor]) -> bool:
    labels = inputs.get("labels")
    is_text = labels is not None and labels.dim() == 2 and not labels.is_floating_point()
    return is_text and "decoder_input_ids" not in inputs


def run_batch(model: nn.Module, batch: Batch, with_targets: bool = False) -> Any:
    """Return the output of `model` for `fit_batch(model, batch, with_targets)`, on the device of the model.

    Raises ValueError as `fit_batch` does, and if an encoder-decoder does so without `decoder_input_ids` or labels.
    """
    device = next(model.parameters()).device
    batch = fit_batch(model, batch, with_targets).map(lambda tensor: tensor.to(device))
    if not isinstance(batch.inputs, Mapping):
        return model(batch.inputs)
    try:
        return model(**batch.inputs)
    except ValueError as error:
        if batch.decoder_mask is None and is_encoder_decoder(model):
            raise ValueError(
                f"{type(model).__name__} failed on a batch without decoder_input_ids or labels, which most "
                f"encoder-decoder models need: {error}"
            ) from error
        raise


def is_encoder_decoder(model: nn.Module) -> bool:
    """Tell whether `model` is an encoder and a decoder of transformers, which read two different texts."""
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


@contextmanager
def calibration_mode(model: nn.Module) -> Iterator[None]:
    """Switch off gradients, dropout and the key-value cache; at the end of the block every setting is as before.

    Code of torch.compile and the fused layers of torch's own encoder are off, too, because they call no hooks.
    """
    config: Any = getattr(model, "config", None)
    use_cache = getattr(config, "use_cache", None)
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        if use_cache:
            config.use_cache = False
        torch.backends.mha.set_fastpath_enabled(False)
        with eval_mode(model), torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        if use_cache:
            config.use_cache = use_cache


def find_body(model: nn.Module, layers: Mapping[str, nn.Module]) -> nn.Module:
    """Return what must run so that data reach all `layers`: the body of a transformers model, otherwise `model`.

    The output layer of a language model costs as much as several blocks, and its outputs fill hundreds of megabytes.
    Only the classes of transformers itself are known to pass their inputs on to the body as they are; a model, forward
    or hook of anybody else may scale them or add a prompt, and one with a decoder computes the inputs of that.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile has wrapped
    body = getattr(model, "base_model", None)
    own = not type(model).__module__.startswith("transformers.") or "forward" in vars(model) or model._forward_pre_hooks
    if own or is_encoder_decoder(model):
        return model
    return body if isinstance(body, nn.Module) and set(layers.values()) <= set(body.modules()) else model
