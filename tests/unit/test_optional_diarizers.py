"""What can be known of the diarizers that want a library and models of the user's own, without either."""

from pathlib import Path

import pytest

from hansard.application.ports.engines import EngineState
from hansard.diarization import pyannote, sherpa
from hansard.diarization.pyannote import PyannoteDiarizer
from hansard.diarization.sherpa import SherpaDiarizer


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pyannote, sherpa):
        monkeypatch.setattr(module, "find_spec", lambda name: object())


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pyannote, sherpa):
        monkeypatch.setattr(module, "find_spec", lambda name: None)


def test_a_library_that_is_not_installed_is_told_with_the_way_to_get_it(not_installed: None, tmp_path: Path) -> None:
    for diarizer in (SherpaDiarizer(tmp_path), PyannoteDiarizer(tmp_path, token=None, offline=False)):
        status = diarizer.status()
        assert status.state is EngineState.UNAVAILABLE
        assert "pip install" in (status.help or "")


def test_sherpa_names_the_models_that_are_missing(installed: None, tmp_path: Path) -> None:
    (tmp_path / "embedding.onnx").touch()
    status = SherpaDiarizer(tmp_path).status()
    assert status.state is EngineState.UNAVAILABLE
    assert "segmentation.onnx" in status.detail
    assert "embedding.onnx" not in status.detail


def test_sherpa_is_ready_with_both_models(installed: None, tmp_path: Path) -> None:
    for name in ("segmentation.onnx", "embedding.onnx"):
        (tmp_path / name).touch()
    assert SherpaDiarizer(tmp_path).status().state is EngineState.READY


def test_pyannote_wants_a_token_or_a_directory(installed: None) -> None:
    status = PyannoteDiarizer(None, token=None, offline=False).status()
    assert status.state is EngineState.UNAVAILABLE
    assert "HF_TOKEN" in (status.help or "")


def test_a_token_is_of_no_use_offline(installed: None) -> None:
    assert PyannoteDiarizer(None, token="hf_x", offline=True).status().state is EngineState.UNAVAILABLE
    assert PyannoteDiarizer(None, token="hf_x", offline=False).status().state is EngineState.READY


def test_pyannote_says_when_the_directory_holds_no_pipeline(installed: None, tmp_path: Path) -> None:
    assert "config.yaml" in PyannoteDiarizer(tmp_path, token=None, offline=True).status().detail
    (tmp_path / "config.yaml").touch()
    assert PyannoteDiarizer(tmp_path, token=None, offline=True).status().state is EngineState.READY
