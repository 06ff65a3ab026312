"""Which voice is it: the CAM++ network, as a forward pass in numpy.

It makes 192 numbers of a second and a half of speech, that lie close together, by cosine, for one speaker and far
apart for two. Network: Wang et al., “CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking” (2023); weights: `speech_campplus_sv_zh_en_16k-common_advanced` of 3D-Speaker, trained on 200,000 speakers of
Chinese and English (both Apache-2.0). Written in numpy, because PyTorch is as large as all of the rest together.

Arrays are windows × time × channels, so that every convolution is one product of matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from hansard.diarization.weights import Weights

EMBEDDING_SIZE = 192

_BATCH_NORM_EPSILON = np.float32(1e-5)
_CONTEXT_FRAMES = 100
"""The length over which the masking layers look around, in frames of 20 ms."""

_Floats = NDArray[np.float32]


class VoiceNetwork:
    """Thread-safe: it holds nothing but its weights."""

    def __init__(self, weights: Weights) -> None:
        self._head = _head(weights)
        self._first = _Convolution.of(weights, "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm")
        self._blocks = [_block(weights, f"xvector.block{number}", dilation) for number, dilation in _DILATIONS.items()]
        self._narrowed = [_activated(weights, f"xvector.transit{number}") for number in _DILATIONS]
        self._last = _Scale.of(weights, "xvector.out_nonlinear.batchnorm")
        self._embed = _Convolution.of(weights, "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")

    def embed(self, windows: _Floats) -> _Floats:
        """Windows × frames × 80 log bands in, windows × 192 out, each of length 1."""
        centred = windows - windows.mean(axis=1, keepdims=True)
        x = self._first(self._seen(centred), step=2)
        np.maximum(x, 0, out=x)
        for layers, (scale, narrow) in zip(self._blocks, self._narrowed, strict=True):
            x = narrow(scale(_dense(x, layers)))
        x = self._last(x)
        statistics = np.concatenate([x.mean(axis=1), x.std(axis=1, ddof=1)], axis=1)
        embedded = self._embed(statistics[:, None])[:, 0]
        return embedded / np.linalg.norm(embedded, axis=1, keepdims=True)

    def _seen(self, windows: _Floats) -> _Floats:
        """The bands as a picture, through the residual network in front: windows × frames × 320."""
        x = self._head.first(windows.transpose(0, 2, 1)[..., None])
        np.maximum(x, 0, out=x)
        for block in self._head.blocks:
            x = block(x)
        x = np.maximum(self._head.last(x, step=2), 0)
        windows_count, bands, frames, channels = x.shape
        return x.transpose(0, 2, 3, 1).reshape(windows_count, frames, channels * bands)


_DILATIONS = {1: 1, 2: 2, 3: 2}
"""Of each dense block's convolutions over time."""


# ── Layers ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Scale:
    """Batch normalisation at rest, and the rectifier after it."""

    factor: _Floats
    shift: _Floats

    @classmethod
    def of(cls, weights: Weights, name: str) -> "_Scale":
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        factor = weights.get(f"{name}.weight", np.ones_like(mean)) / np.sqrt(variance + _BATCH_NORM_EPSILON)
        shift = weights.get(f"{name}.bias", np.zeros_like(mean)) - mean * factor
        return cls(factor.astype(np.float32), shift.astype(np.float32))

    def __call__(self, x: _Floats) -> _Floats:
        x = x * self.factor
        x += self.shift
        return np.maximum(x, 0, out=x)


@dataclass(frozen=True, slots=True)
class _Convolution:
    """Over time, with as many frames out as in. `taps` is taps × channels in × channels out."""

    taps: _Floats
    bias: _Floats

    @classmethod
    def of(cls, weights: Weights, name: str, norm: str | None = None) -> "_Convolution":
        """`norm` names the batch normalisation that follows: it becomes part of the weights."""
        taps = weights[f"{name}.weight"].transpose(2, 1, 0)
        bias = weights.get(f"{name}.bias", np.zeros(len(weights[f"{name}.weight"]), np.float32))
        if norm is None:
            return cls(np.ascontiguousarray(taps), bias)
        scale = _Scale.of(weights, norm)
        return cls(np.ascontiguousarray(taps * scale.factor), bias * scale.factor + scale.shift)

    def __call__(self, x: _Floats, *, step: int = 1, dilation: int = 1) -> _Floats:
        width, frames = len(self.taps), x.shape[1]
        if width == 1:
            return x @ self.taps[0] + self.bias
        reach = dilation * (width - 1)
        padded = np.pad(x, ((0, 0), (reach // 2, reach // 2), (0, 0)))
        result = sum(
            padded[:, start : start + frames : step] @ tap
            for start, tap in zip(range(0, reach + 1, dilation), self.taps, strict=True)
        )
        return result + self.bias


@dataclass(frozen=True, slots=True)
class _Picture:
    """A 3×3 convolution over bands and time, its batch normalisation included. `taps` is (9 · in) × out."""

    taps: _Floats
    bias: _Floats

    @classmethod
    def of(cls, weights: Weights, name: str, norm: str) -> "_Picture":
        scale = _Scale.of(weights, norm)
        taps = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
        return cls(np.ascontiguousarray(taps.reshape(-1, taps.shape[3]) * scale.factor), scale.shift)

    def __call__(self, x: _Floats, *, step: int = 1) -> _Floats:
        """`step` is that over the bands."""
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        bands, frames = x.shape[1], x.shape[2]
        views = [padded[:, i : i + bands : step, j : j + frames] for i in range(3) for j in range(3)]
        return np.concatenate(views, axis=3) @ self.taps + self.bias


@dataclass(frozen=True, slots=True)
class _Residual:
    first: _Picture
    second: _Picture
    shortcut: _Convolution | None

    def __call__(self, x: _Floats) -> _Floats:
        step = 1 if self.shortcut is None else 2
        y = self.first(x, step=step)
        y = self.second(np.maximum(y, 0, out=y))
        y += x if self.shortcut is None else x[:, ::step] @ self.shortcut.taps[0] + self.shortcut.bias
        return np.maximum(y, 0, out=y)


@dataclass(frozen=True, slots=True)
class _Head:
    first: _Picture
    blocks: Sequence[_Residual]
    last: _Picture


@dataclass(frozen=True, slots=True)
class _Masked:
    """A layer of a dense block: a convolution whose channels are let through as the context has it."""

    scale: _Scale
    squeeze: _Convolution
    local: _Convolution
    context: tuple[_Convolution, _Convolution]
    dilation: int

    def __call__(self, x: _Floats) -> _Floats:
        x = self.squeeze(self.scale(x))
        np.maximum(x, 0, out=x)
        whole = x.mean(axis=1, keepdims=True)
        mask = np.empty((x.shape[0], x.shape[1], self.local.taps.shape[2]), np.float32)
        for start in range(0, x.shape[1], _CONTEXT_FRAMES):
            part = slice(start, start + _CONTEXT_FRAMES)
            hidden = self.context[0](whole + x[:, part].mean(axis=1, keepdims=True))
            mask[:, part] = 1 / (1 + np.exp(-self.context[1](np.maximum(hidden, 0))))
        mask *= self.local(x, dilation=self.dilation)
        return mask


def _dense(x: _Floats, layers: Sequence[_Masked]) -> _Floats:
    """Each layer sees what all before it have made."""
    grown = layers[0].local.taps.shape[2]
    known = x.shape[2]
    everything = np.empty((*x.shape[:2], known + grown * len(layers)), np.float32)
    everything[..., :known] = x
    for layer in layers:
        everything[..., known : known + grown] = layer(everything[..., :known])
        known += grown
    return everything


# ── From the names in the checkpoint ─────────────────────────────────────────────────────────────────────


def _head(weights: Weights) -> _Head:
    return _Head(
        first=_Picture.of(weights, "head.conv1", "head.bn1"),
        blocks=[_residual(weights, f"head.layer{layer}.{block}") for layer in (1, 2) for block in (0, 1)],
        last=_Picture.of(weights, "head.conv2", "head.bn2"),
    )


def _residual(weights: Weights, name: str) -> _Residual:
    shortcut = None
    if f"{name}.shortcut.0.weight" in weights:
        scale = _Scale.of(weights, f"{name}.shortcut.1")
        taps = weights[f"{name}.shortcut.0.weight"][..., 0].transpose(2, 1, 0)
        shortcut = _Convolution(np.ascontiguousarray(taps * scale.factor), scale.shift)
    return _Residual(
        first=_Picture.of(weights, f"{name}.conv1", f"{name}.bn1"),
        second=_Picture.of(weights, f"{name}.conv2", f"{name}.bn2"),
        shortcut=shortcut,
    )


def _block(weights: Weights, name: str, dilation: int) -> list[_Masked]:
    layers: list[_Masked] = []
    for number in count(1):
        layer = f"{name}.tdnnd{number}"
        if f"{layer}.linear1.weight" not in weights:
            break
        layers.append(
            _Masked(
                scale=_Scale.of(weights, f"{layer}.nonlinear1.batchnorm"),
                squeeze=_Convolution.of(weights, f"{layer}.linear1", f"{layer}.nonlinear2.batchnorm"),
                local=_Convolution.of(weights, f"{layer}.cam_layer.linear_local"),
                context=(
                    _Convolution.of(weights, f"{layer}.cam_layer.linear1"),
                    _Convolution.of(weights, f"{layer}.cam_layer.linear2"),
                ),
                dilation=dilation,
            )
        )
    return layers


def _activated(weights: Weights, name: str) -> tuple[_Scale, _Convolution]:
    return _Scale.of(weights, f"{name}.nonlinear.batchnorm"), _Convolution.of(weights, f"{name}.linear")
