"""Make a run out of a model file, for a training to begin with (`speechcmd train --initial RUN`).

usage: python recipes/weights_of_file.py MODEL STORE RUN --recipe RECIPE
                                            (a cnn of 8 bits; STORE has clips of audio to measure its layers on)

A file holds convolutions with the batch norms folded in. They are taken apart again: the norm gets mean and
deviation of what the convolution gives for clips of the store, and such a scale and shift that nothing changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from data_prep.row_source import JoinedStores, open_store
from data_prep.task import make_split_task
from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.training.batch import log_mel_of
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.loop.checkpoint import BEST, save_checkpoint
from speechcmd.training.settings.config import AugmentConfig, TrainConfig
from speechcmd.training.settings.recipe import apply_settings, read_recipe

N_CLIPS = 1_024
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def read_weights(graph: onnx.GraphProto) -> tuple[list[tuple[Tensor, Tensor]], dict[str, Tensor]]:
    """Weight and bias of each convolution in order; the last layer and the normalisation by name."""
    values = _values_of(graph)
    layers = [
        tuple(torch.from_numpy(values[name].copy()) for name in node.input[1:3])
        for node in graph.node
        if node.op_type == "Conv"
    ]
    last = next(node for node in graph.node if node.input and node.input[0] == "embedding")
    shift = next(node for node in graph.node if last.output[0] in node.input)
    mean = next(node for node in graph.node if node.op_type == "Sub" and _is_bands(node, values))
    deviation = next(node for node in graph.node if node.op_type == "Div" and mean.output[0] in node.input)
    named = {
        "head.weight": values[last.input[1]].T,
        "head.bias": values[shift.input[1]],
        "mel_mean": values[mean.input[1]],
        "mel_deviation": values[deviation.input[1]],
    }
    return layers, {name: torch.from_numpy(value.copy()) for name, value in named.items()}


def _values_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """All constants by name, those of 8 bits as what they stand for."""
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            stored, scale, zero = (values[name] for name in node.input)
            axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
            shape = [-1 if dim == axis else 1 for dim in range(stored.ndim)]
            values[node.output[0]] = (stored.astype(np.float32) - zero.reshape(shape)) * scale.reshape(shape)
    return values


def _is_bands(node: onnx.NodeProto, values: dict[str, np.ndarray]) -> bool:
    given = values.get(node.input[1])
    return given is not None and given.dtype == np.float32 and given.ndim == 1 and len(given) > 1


@torch.no_grad()
def fill(network: KeywordNetwork, graph: onnx.GraphProto, log_mel: Tensor) -> None:
    """Give the network the weights of a file; `log_mel` (n_clips, n_frames, n_mels) goes through it."""
    layers, named = read_weights(graph)
    state = network.state_dict()
    for name, value in named.items():
        state[name].copy_(value)
    network.eval()
    modules = [each for each in network.modules() if isinstance(each, _CONVOLUTIONS + _NORMS)]
    # the front end's DFT is no module of this kind
    for (weight, bias), conv, norm in zip(layers, modules[::2], modules[1::2], strict=True):
        conv.weight.copy_(weight)
        given: list[Tensor] = []
        hook = conv.register_forward_hook(lambda _module, _input, output, into=given: into.append(output))
        network.classify(log_mel)
        hook.remove()
        by_channel = given[0].transpose(0, 1).flatten(1).double()
        norm.running_mean.copy_(by_channel.mean(dim=1))
        norm.running_var.copy_(by_channel.var(dim=1))
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(norm.running_mean + bias)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--recipe", type=Path, required=True)
    arguments = parser.parse_args()
    config = apply_settings(TrainConfig(), read_recipe(arguments.recipe))
    card = Recognizer.load(arguments.model).card
    n_samples = card.window_samples
    network = create_model(config.architecture, len(card.labels), n_samples, config.frontend, **config.model)
    source = JoinedStores([open_store(arguments.store)])
    task = make_split_task(source, config.task, "training")
    clips = np.random.default_rng(0).choice(task.words, N_CLIPS, replace=False)
    dataset = ClipDataset(source, task, n_samples, AugmentConfig(), frontend=config.frontend)
    batches = make_loader(dataset, FixedSampler(np.sort(clips), N_CLIPS))
    log_mel = log_mel_of(network, next(iter(batches)))
    fill(network, onnx.load(arguments.model).graph, log_mel)
    arguments.run.mkdir(parents=True)
    state = {
        "config": config.to_json(),
        "labels": list(card.labels),
        "n_samples": n_samples,
        "network": network.state_dict(),
    }
    save_checkpoint(arguments.run / BEST, state)


if __name__ == "__main__":
    main()
