"""Hansard: a file goes in, a true record comes out."""

import os

__version__ = "0.1.0"

# These libraries tell their makers how they are used, unless they are told not to before they are imported. Here,
# because nothing of ours can be imported before this.
os.environ.update(
    HF_HUB_DISABLE_TELEMETRY="1",
    ORT_DISABLE_TELEMETRY="1",  # ONNX Runtime, from 1.29 on; the switch that it has in Python comes too late
    PYANNOTE_METRICS_ENABLED="0",
    ZENML_ANALYTICS_OPT_IN="false",
)
