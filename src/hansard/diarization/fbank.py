"""What the voice network sees of sound: the logarithm of the energy in 80 bands, a hundred times a second.

The features are Kaldi's, as the network was trained with (kaldi-asr/kaldi, feature-fbank.h and mel-computations.h,
with 80 bins and no dither); written in numpy, because the libraries that have them come with PyTorch.
"""

from math import log1p

import numpy as np
from numpy.typing import NDArray

from hansard.domain.audio import SAMPLE_RATE_HZ

BANDS = 80
FRAMES_PER_SECOND = 100
FRAME_SAMPLES = SAMPLE_RATE_HZ * 25 // 1000
STEP_SAMPLES = SAMPLE_RATE_HZ // FRAMES_PER_SECOND

_FFT_SAMPLES = 512
_LOWEST_HZ = 20.0
_PREEMPHASIS = 0.97
_SMALLEST_ENERGY = float(np.finfo(np.float32).eps)
_POVEY_EXPONENT = 0.85

_Floats = NDArray[np.float32]


def log_bands(samples: _Floats) -> _Floats:
    """Frames of 25 ms, 10 ms apart, by bands, of samples from -1 to 1; no frame of what is shorter than one."""
    if len(samples) < FRAME_SAMPLES:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::STEP_SAMPLES]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectrum = np.fft.rfft((frames - _PREEMPHASIS * before) * _WINDOW, _FFT_SAMPLES)
    energies = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ _FILTERS
    return np.log(np.maximum(energies, _SMALLEST_ENERGY))


def _mel(hz: float) -> float:
    return 1127.0 * log1p(hz / 700.0)


def _filters() -> _Floats:
    """Triangles, evenly spaced in mel, as a matrix from the spectrum's bins to the bands."""
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(SAMPLE_RATE_HZ / 2), BANDS + 2)
    bins = np.array([[_mel(index * SAMPLE_RATE_HZ / _FFT_SAMPLES)] for index in range(_FFT_SAMPLES // 2 + 1)])
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


_WINDOW = (np.hanning(FRAME_SAMPLES) ** _POVEY_EXPONENT).astype(np.float32)
_FILTERS = _filters()
