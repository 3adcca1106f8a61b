"""Broken and hostile model files, made from the toy model; every one must be refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from fakes import (
    field,
    int_attribute,
    ints_attribute,
    model,
    node,
    tensor,
    toy_card,
    toy_graph,
    toy_model,
    value_info,
    varint,
)

from speechcmd.runtime.model.card import METADATA_KEY

Change = Callable[[dict[str, Any]], object]

_INT32_MAX = 2**31 - 1


def bad_models() -> dict[str, bytes]:
    """Content of each file, by what is wrong with it."""
    return {
        **_not_models(),
        **_bad_containers(),
        **_bad_cards(),
        **_bad_graphs(),
        **_bad_signatures(),
        **_forbidden_operators(),
        **_memory_bombs(),
    }


def _not_models() -> dict[str, bytes]:
    whole = toy_model()
    cuts = [1, 2, 3, 10, 100, 1_000, len(whole) // 2, len(whole) - 5_000, len(whole) - 300, len(whole) - 1]
    return {
        **{f"cut to {length} bytes": whole[:length] for length in cuts},
        "empty": b"",
        "zeros": bytes(65_536),
        "random bytes": np.random.default_rng(0).bytes(65_536),
        "text": b"this is not a model\n" * 100,
        "html": b"<!doctype html><html><body>404 Not Found</body></html>",
        "zip": b"PK\x03\x04" + bytes(200),
        "wav": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40),
        "a pickle": b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00\x8c\x06posix\x94.",
        "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 696738\n",
        "a million tiny fields": field(13, b"") * 2**20,
    }


def _bad_containers() -> dict[str, bytes]:
    card = {METADATA_KEY: toy_card().to_json()}
    whole = model(toy_graph(), card)
    return {
        "no card": model(toy_graph()),
        "card of others": model(toy_graph(), {"labels": "yes,no"}),
        "card twice, the second empty": model(toy_graph(), {**card}) + field(14, field(1, METADATA_KEY)),
        "two graphs": whole + field(7, b""),
        "no graph": whole.replace(field(7, toy_graph()), b""),
        "training information": whole + field(20, b""),
        "no operator set": model(toy_graph(), card, opset=b""),
        "operator set 0": model(toy_graph(), card, opset=field(2, 0)),
        "operator set 9999": model(toy_graph(), card, opset=field(2, 9_999)),
        "operators of microsoft": whole + field(8, field(1, "com.microsoft") + field(2, 1)),
        "2 MB of text": model(toy_graph(), {METADATA_KEY: "x" * 2**21}),
        "2 MB of text in another entry": model(toy_graph(), {**card, "note": "x" * 2**21}),
        "a card that is no text": model(toy_graph())
        + field(14, field(1, METADATA_KEY) + field(2, b"\xff\xfe")),
        "a function that calls itself": whole
        + field(25, field(1, "Again") + field(7, node("Again", ["x"], "y")) + field(10, "")),
        "IR version 99": field(1, 99) + model(toy_graph(), card)[2:],
    }


def _card_text(change: Change) -> str:
    content = json.loads(toy_card().to_json())
    change(content)
    return json.dumps(content)


_BAD_FIELDS: list[tuple[str, Any]] = [
    ("schema", 2),
    ("schema", True),
    ("labels", "yes"),
    ("labels", []),
    ("labels", ["_silence_", "_unknown_"]),
    ("labels", ["_silence_", "_unknown_", "low", "low"]),
    ("labels", ["_silence_", "_unknown_", "low", "a\nb"]),
    ("labels", ["_silence_", "_unknown_", "low", "\ud800"]),
    ("labels", ["_silence_", "_unknown_", "low"]),
    ("sample_rate", 0),
    ("sample_rate", 1),
    ("sample_rate", 10**400),
    ("sample_rate", 16_000.5),
    ("window_samples", -1),
    ("window_samples", _INT32_MAX),
    ("window_samples", 100),
    ("window_samples", "4800"),
    ("window_samples", 60 * 16_000),
    ("step_samples", 0),
    ("step_samples", 4_801),
    ("step_samples", 1),
    ("temperature", 0),
    ("temperature", float("nan")),
    ("temperature", float("inf")),
    ("decoder", None),
    ("decoder", {"thresholds": {"other": 0.5}}),
    ("check", []),
    ("parameters", None),
    ("data", "none"),
    ("training", 3),
]


def _bad_cards() -> dict[str, bytes]:
    texts = {
        "card is empty": "",
        "card is a list": "[]",
        "card is broken JSON": "{" * 10,
        "card is nested deep": "[" * 100_000,
        "card is a long number": "9" * 100_000,
        "card is long lists": '{"labels": [' + "0," * 200_000 + "0]}",
    }
    for number, (key, value) in enumerate(_BAD_FIELDS):
        what = f"{value!r:.30}".replace("/", " ")
        texts[f"card {number}: {key} is {what}"] = _card_text(
            lambda card, k=key, v=value: card.update({k: v})
        )
    texts["card without labels"] = _card_text(lambda card: card.pop("labels"))
    texts["60 s at 192 kHz"] = _card_text(
        lambda card: card.update(sample_rate=192_000, window_samples=60 * 192_000, step_samples=60 * 192_000)
    )
    for name, change in _bad_checks().items():
        texts[name] = _card_text(lambda card, c=change: c(card["check"]))
    texts["smoothing over a billion steps"] = _card_text(
        lambda card: card["decoder"].update(smoothing_steps=10**9)
    )
    return {name: model(toy_graph(), {METADATA_KEY: text}) for name, text in texts.items()}


def _bad_checks() -> dict[str, Change]:
    """Changes of the check vector; the logits have shape (2, n_steps, n_labels)."""
    return {
        "check vector is wrong": lambda check: check["logits"][1][0].__setitem__(2, 9.0),
        "check vector is empty": lambda check: check.update(logits=[]),
        "check vector has one signal": lambda check: check["logits"].pop(),
        "check vector lacks a step": lambda check: [signal.pop() for signal in check["logits"]],
        "check vector lacks a label": lambda check: check["logits"][0][0].pop(),
        "check vector has text": lambda check: check["logits"][0][0].__setitem__(0, "1"),
        "check vector has NaN": lambda check: check["logits"][0][0].__setitem__(0, float("nan")),
        "check vector of other length": lambda check: check.update(n_samples=1),
        "check vector with negative tolerance": lambda check: check.update(tolerance=-1),
    }


def _with_card(graph: bytes) -> bytes:
    return model(graph, {METADATA_KEY: toy_card().to_json()})


def _bad_graphs() -> dict[str, bytes]:
    small = tensor("w", np.zeros(3, dtype=np.float32))
    external = small + field(14, 1) + field(13, field(1, "location") + field(2, "/etc/passwd"))
    bias = tensor("bias", np.array([-21, 0, -8, -8], dtype=np.float32))
    short = field(1, 1_000) + field(2, 1) + field(8, "bias") + field(9, b"1234")
    shapes = {"2^40": field(1, 2**40), "-1": field(1, 2**64 - 1), "0 x 2^62": field(1, 0) + field(1, 2**62)}
    return {
        **{
            f"a tensor of shape {shape}": _with_card(toy_graph(field(5, dims + field(2, 1) + field(8, "w"))))
            for shape, dims in shapes.items()
        },
        "a tensor shorter than its shape": _with_card(toy_graph().replace(field(5, bias), field(5, short))),
        "weights in another file": _with_card(toy_graph(field(5, external))),
        "weights in another file, hidden": _with_card(
            toy_graph(field(1, node("Constant", [], "c", field(1, "value") + field(5, external))))
        ),
        "NaN weights": _with_card(toy_graph(changed_weights={"bias": np.full(4, np.nan, dtype=np.float32)})),
        "infinite weights": _with_card(
            toy_graph(changed_weights={"bias": np.full(4, np.inf, dtype=np.float32)})
        ),
        "other weights": _with_card(toy_graph(changed_weights={"bias": np.ones(4, dtype=np.float32)})),
        "weights of another shape": _with_card(
            toy_graph(changed_weights={"bias": np.ones(7, dtype=np.float32)})
        ),
        "a cycle": _with_card(
            toy_graph(field(1, node("Add", ["a", "b"], "b")) + field(1, node("Add", ["b", "a"], "a")))
        ),
        "an output made twice": _with_card(toy_graph(field(1, node("Relu", ["scores"], "logits")))),
        "a node without operator": _with_card(toy_graph(field(1, field(1, "scores") + field(2, "y")))),
        "an input that nobody makes": _with_card(toy_graph(field(1, node("Relu", ["nobody"], "y")))),
        "a terminal sequence in a name": _with_card(toy_graph(field(1, node("Relu", ["\x1b[2J\n\n"], "y")))),
        "a name of 1 MB": _with_card(toy_graph(field(1, node("Relu", ["x" * 2**20], "y")))),
        "a hundred thousand nodes": _with_card(toy_graph(field(1, node("Relu", ["scores"], "")) * 100_000)),
        "a garbage dimension list": _with_card(toy_graph(field(5, field(1, varint(1) * 100_000)))),
    }


def _bad_signatures() -> dict[str, bytes]:
    graph = toy_graph()
    plain_input = value_info("waveform", ["batch", "n_samples"])
    plain_output = value_info("logits", ["batch", "n_steps", "n_labels"])

    def changed(old: bytes, new: bytes, number: int) -> bytes:
        return _with_card(graph.replace(field(number, old), field(number, new)))

    def typed(name: str, kind: int) -> bytes:
        return field(1, name) + field(2, field(1, field(1, kind)))

    huge = field(2, b"".join(field(1, field(1, size)) for size in (2**62, 2**62)))
    sequence = field(1, "waveform") + field(2, field(4, field(1, field(1, field(1, 1)))))
    return {
        "input of another name": _with_card(toy_graph(input_name="audio")),
        "a second input": _with_card(toy_graph(field(11, value_info("other", ["n"])))),
        "no input": _with_card(graph.replace(field(11, plain_input), b"")),
        "no output": _with_card(graph.replace(field(12, plain_output), b"")),
        "input of rank 3": changed(plain_input, value_info("waveform", ["a", "b", "c"]), 11),
        "input of whole numbers": changed(plain_input, typed("waveform", 7), 11),
        "input of text": changed(plain_input, typed("waveform", 8), 11),
        "input without shape": changed(plain_input, typed("waveform", 1), 11),
        "input without type": changed(plain_input, field(1, "waveform"), 11),
        "input is a sequence": changed(plain_input, sequence, 11),
        "input of 2^124 samples": changed(
            plain_input, field(1, "waveform") + field(2, field(1, field(1, 1) + huge)), 11
        ),
        "output of rank 2": changed(plain_output, value_info("logits", ["a", "b"]), 12),
        "an output of another name": _with_card(toy_graph(field(12, value_info("energy", ["a", "b", "c"])))),
        "output of whole numbers": _ending(
            [node("Cast", ["result"], "logits", int_attribute("to", 7))], output=typed("logits", 7)
        ),
        "a hundred thousand outputs": _with_card(toy_graph(field(12, plain_output) * 100_000)),
    }


def _ending(nodes: list[bytes], weights: dict[str, Any] | None = None, output: bytes | None = None) -> bytes:
    """The toy model whose logits go through more nodes, from `result` to `logits`."""
    graph = toy_graph().replace(
        field(2, "logits") + field(4, "Transpose"), field(2, "result") + field(4, "Transpose")
    )
    plain_output = field(12, value_info("logits", ["batch", "n_steps", "n_labels"]))
    if output is not None:
        graph = graph.replace(plain_output, field(12, output))
    extra = b"".join(field(1, one) for one in nodes)
    arrays = {name: np.asarray(value) for name, value in (weights or {}).items()}
    extra += b"".join(field(5, tensor(name, array)) for name, array in arrays.items())
    return _with_card(graph + extra)


def _forbidden_operators() -> dict[str, bytes]:
    body = (
        field(1, node("Identity", ["go_on"], "still_on"))
        + field(1, node("Identity", ["state"], "next"))
        + field(2, "body")
        + field(11, field(1, "turn") + field(2, field(1, field(1, 7))))
        + field(11, field(1, "go_on") + field(2, field(1, field(1, 9))))
        + field(11, value_info("state", ["a", "b", "c"]))
        + field(12, field(1, "still_on") + field(2, field(1, field(1, 9))))
        + field(12, value_info("next", ["a", "b", "c"]))
    )
    attribute = field(1, "body") + field(6, body) + field(20, 5)
    nested = attribute
    for _ in range(40):
        nested = field(1, "body") + field(6, field(1, node("If", ["x"], "y", nested))) + field(20, 5)
    loop = node("Loop", ["turns", "", "result"], "logits", attribute)
    plain = ["If", "Scan", "SequenceMap", "RandomNormalLike", "StringConcat", "NonZero", "ImageDecoder"]
    return {
        "a loop of 2^62 turns": _ending([loop], {"turns": np.array(2**62)}),
        "branches 40 deep": _ending([node("If", ["result"], "logits", nested)]),
        "a graph in a harmless node": _ending([node("Identity", ["result"], "logits", attribute)]),
        **{f"operator {name}": _ending([node(name, ["result"], "logits")]) for name in plain},
        "an operator of others": _ending([node("FusedConv", ["result"], "logits", domain="com.microsoft")]),
        "an operator of a custom domain": _ending([node("Evil", ["result"], "logits", domain="evil\n\n")]),
        "an operator with a name of 1 MB": _ending([node("x" * 2**20, ["result"], "logits")]),
    }


def _bomb(nodes: list[bytes], **weights: Any) -> bytes:
    """The toy model with the least value of `much` added to its logits."""
    least = node("ReduceMin", ["much"], "one", int_attribute("keepdims", 0))
    return _ending([*nodes, least, node("Add", ["result", "one"], "logits")], weights)


def _memory_bombs() -> dict[str, bytes]:
    """Some hundred bytes each that ask for gigabytes, known when the file is opened or only when it runs."""
    now = [node("Shape", ["waveform"], "shape"), node("Gather", ["shape", "first"], "batch")]
    grown = [*now, node("Mul", ["batch", "size"], "sizes"), node("Expand", ["zero", "sizes"], "much")]
    grown_from = {"zero": np.zeros(1, dtype=np.float32), "first": np.array([0])}
    constant = [node("ConstantOfShape", ["size"], "much")]
    bombs = {"constant of 2^64": _bomb(constant, size=np.array([2**32, 2**32]))}
    for bits in (29, 33, 40, 61):
        size = np.array([2**bits])
        bombs[f"constant of 2^{bits}"] = _bomb(constant, size=size)
        bombs[f"expansion to 2^{bits}"] = _bomb(grown, size=size, **grown_from)
    to_float = node("Cast", ["count"], "much", int_attribute("to", 1))
    for to, by in ((2**40, 1), (1, 0)):
        limits = {"from": np.array(0), "to": np.array(to), "by": np.array(by)}
        count = node("Range", ["from", "to", "by"], "count")
        bombs[f"a range to {to} by {by}"] = _bomb([count, to_float], **limits)
    return {**bombs, **_bombs_of_layers()}


def _bombs_of_layers() -> dict[str, bytes]:
    padding = [node("Pad", ["waveform", "size"], "much")]
    equation = field(1, "equation") + field(4, "ab,cd,ef->abcdef") + field(20, 3)
    to_sequence = node("Transpose", ["signal"], "sequence", ints_attribute("perm", [2, 0, 1]))
    gru = node("GRU", ["sequence", "w", "r"], "much", int_attribute("hidden_size", 2**40))
    gru_weights = {name: np.zeros((1, 15, size), dtype=np.float32) for name, size in (("w", 1), ("r", 5))}
    conv = node("Conv", ["signal", "mean"], "much", ints_attribute("pads", [2**36, 0]))
    return {
        "tiles": _bomb([node("Tile", ["waveform", "size"], "much")], size=np.array([2**18, 2**18])),
        "padding": _bomb(padding, size=np.array([0, 2**36, 0, 0])),
        "padding below nothing": _bomb(padding, size=np.array([0, -(2**36), 0, 0])),
        "an outer product": _bomb([node("Einsum", ["waveform"] * 3, "much", equation)]),
        "a padded convolution": _bomb([conv]),
        "a hidden state of 2^40": _bomb([to_sequence, gru], **gru_weights),
    }


def endless_model(n_nodes: int, n_values: int) -> bytes:
    """A network that needs long for little: sines of sines of many values."""
    sines = [node("Sin", [f"v{index}"], f"v{index + 1}") for index in range(n_nodes)]
    nodes = [
        node("Shape", ["waveform"], "shape"),
        node("Gather", ["shape", "first"], "batch"),
        node("Mul", ["batch", "size"], "sizes"),
        node("Expand", ["zero", "sizes"], "v0"),
        *sines,
        node("ReduceMin", [f"v{n_nodes}"], "one", int_attribute("keepdims", 0)),
        node("Add", ["result", "one"], "logits"),
    ]
    return _ending(
        nodes, {"size": np.array([n_values]), "zero": np.zeros(1, dtype=np.float32), "first": np.array([0])}
    )
