"""Builds a Whisper of 5 MB that always says the same: the real loader and decoder run, but nothing is learned or heard.

Its weights are made so that each token calls for the next one of `TOKENS` (the output layer is a bigram table over
random embeddings) and the cross-attention of each token points to the time in `TOKENS` (queries are random
Fourier features of the time, as are the encoder's positions). Everything else is zero.
"""

import json
from itertools import pairwise
from pathlib import Path

import ctranslate2
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SENTENCES = ("The record is true.", "Nothing was lost.")
TEXT = " ".join(SENTENCES)
TRANSLATION = SENTENCES[1]
"""Told to translate, it says only this."""

# What follows the prompt, with the second at which each begins.
TOKENS = {
    "<|0.00|>": 0.1,
    "ĠThe": 0.3,
    "Ġrecord": 0.6,
    "Ġis": 1.0,
    "Ġtrue.": 1.2,
    "<|1.60|>": 1.6,
    "<|1.62|>": 1.7,
    "ĠNothing": 1.8,
    "Ġwas": 2.2,
    "Ġlost.": 2.4,
    "<|3.00|>": 2.8,
    "<|endoftext|>": 2.9,
}

TRANSLATION_BEGINS = "<|0.02|>"

LANGUAGES = ("en", "de", "fr")
WIDTH, HEADS = 128, 2
MEL_BANDS, POSITIONS, TEXT_POSITIONS = 80, 1500, 448
FRAMES_PER_SECOND = 50
CERTAINTY = 20.0  # logit of the right next token; the other tokens of the sentences have as much below zero
FOCUS = 40.0  # logit of the attention at the right time
FOCUS_FRAMES = 8


def build_tiny_whisper(directory: Path, *, multilingual: bool = True) -> Path:
    """Write a model that faster-whisper loads without the network. The same call gives the same bytes."""
    directory.mkdir(parents=True)
    vocabulary = _vocabulary(multilingual=multilingual)
    ids = {token: number for number, token in enumerate(vocabulary)}
    spec = _spec(ids, first="<|transcribe|>" if multilingual else "<|startoftranscript|>")
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [ids[f"<|{code}|>"] for code in LANGUAGES]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.save(str(directory))
    _tokenizer(ids).save(str(directory / "tokenizer.json"))
    (directory / "preprocessor_config.json").write_text(json.dumps({"feature_size": MEL_BANDS}), "utf-8")
    return directory


def _vocabulary(*, multilingual: bool) -> list[str]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [token for token in TOKENS if not token.startswith("<|")]
    # CTranslate2 knows a multilingual Whisper by the empty token in its vocabulary.
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    times = [f"<|{hundredths / 100:.2f}|>" for hundredths in range(0, 3002, 2)]
    return [*letters, *words, *([""] if multilingual else []), *special, "<|notimestamps|>", *times]


def _tokenizer(ids: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _spec(ids: dict[str, int], *, first: str) -> ctranslate2.specs.WhisperSpec:
    random = np.random.default_rng(0)
    embeddings = random.choice([-1.0, 1.0], size=(len(ids), WIDTH))
    frequencies = random.normal(0, 1 / FOCUS_FRAMES, WIDTH)
    phases = random.uniform(0, 2 * np.pi, WIDTH)

    def position(frame: float) -> np.ndarray:
        return np.sqrt(2) * np.cos(frequencies * frame + phases)

    spec = ctranslate2.specs.WhisperSpec(1, HEADS, 1, HEADS)
    _fill_encoder(spec.encoder, np.stack([position(frame) for frame in range(POSITIONS)]))
    _fill_decoder(spec.decoder, embeddings)
    spec.decoder.projection.weight = _float32(_next_token(ids, embeddings, first=first))
    spec.decoder.projection.bias = _float32(np.zeros(len(ids)))
    # The other hypotheses of a beam search must not get ahead, and end first, by leaving words out.
    spec.decoder.projection.bias[[ids[token] for token in (*TOKENS, TRANSLATION_BEGINS)]] = -CERTAINTY
    attention = spec.decoder.layer[0].attention
    _zero_linear(attention.linear[2], WIDTH, WIDTH)
    _zero_linear(attention.linear[1], 2 * WIDTH, WIDTH)
    attention.linear[1].weight[:WIDTH] = np.eye(WIDTH)
    queries = sum(
        np.outer(position(seconds * FRAMES_PER_SECOND), embeddings[ids[token]]) for token, seconds in _looks().items()
    )
    head = WIDTH // HEADS
    attention.linear[0].weight = _float32(queries * FOCUS * np.sqrt(head) / head / WIDTH)
    attention.linear[0].bias = _float32(np.zeros(WIDTH))
    _unit_norm(attention.layer_norm)
    return spec


def _looks() -> dict[str, float]:
    """Where each token attends to: to where the next token begins."""
    tokens = [token for token in TOKENS if not token.startswith("<|")]
    starts = [TOKENS[token] for token in tokens[1:]]
    return {"<|notimestamps|>": TOKENS[tokens[0]], **dict(zip(tokens, [*starts, TOKENS["<|3.00|>"]], strict=True))}


def _next_token(ids: dict[str, int], embeddings: np.ndarray, *, first: str) -> np.ndarray:
    """The output layer: `first` is the last token of the prompt."""
    chain = list(TOKENS)
    follows = {first: chain[0], "<|notimestamps|>": chain[1], **dict(pairwise(chain))}
    follows |= {"<|translate|>": TRANSLATION_BEGINS, TRANSLATION_BEGINS: "ĠNothing"}
    if first != "<|startoftranscript|>":
        follows["<|startoftranscript|>"] = "<|en|>"
    weight = np.zeros_like(embeddings)
    for token, following in follows.items():
        weight[ids[following]] += 2 * CERTAINTY / WIDTH * embeddings[ids[token]]
    return weight


def _fill_encoder(encoder: ctranslate2.specs.whisper_spec.WhisperEncoderSpec, positions: np.ndarray) -> None:
    for convolution, channels in ((encoder.conv1, MEL_BANDS), (encoder.conv2, WIDTH)):
        convolution.weight = _float32(np.zeros((WIDTH, channels, 3)))
        convolution.bias = _float32(np.zeros(WIDTH))
    encoder.position_encodings.encodings = _float32(positions)
    _unit_norm(encoder.layer_norm)
    _silence_layer(encoder.layer[0])


def _fill_decoder(decoder: ctranslate2.specs.transformer_spec.TransformerDecoderSpec, embeddings: np.ndarray) -> None:
    decoder.embeddings.weight = _float32(embeddings)
    decoder.position_encodings.encodings = _float32(np.zeros((TEXT_POSITIONS, WIDTH)))
    _unit_norm(decoder.layer_norm)
    _silence_layer(decoder.layer[0])


def _silence_layer(layer: ctranslate2.specs.transformer_spec.TransformerDecoderLayerSpec) -> None:
    """Self-attention and feed-forward add nothing."""
    _unit_norm(layer.self_attention.layer_norm)
    _zero_linear(layer.self_attention.linear[0], 3 * WIDTH, WIDTH)
    _zero_linear(layer.self_attention.linear[1], WIDTH, WIDTH)
    _unit_norm(layer.ffn.layer_norm)
    _zero_linear(layer.ffn.linear_0, WIDTH, WIDTH)
    _zero_linear(layer.ffn.linear_1, WIDTH, WIDTH)


def _zero_linear(linear: ctranslate2.specs.common_spec.LinearSpec, outputs: int, inputs: int) -> None:
    linear.weight = _float32(np.zeros((outputs, inputs)))
    linear.bias = _float32(np.zeros(outputs))


def _unit_norm(norm: ctranslate2.specs.common_spec.LayerNormSpec) -> None:
    norm.gamma, norm.beta = _float32(np.ones(WIDTH)), _float32(np.zeros(WIDTH))


def _float32(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)
