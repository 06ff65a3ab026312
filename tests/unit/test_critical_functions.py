"""The functions that operators are told of are counted: a list that a change of code has to keep up with."""

import importlib

from hansard.timing.calls import counted_functions

CRITICAL = [
    "analytics.projection.Projection.catch_up",
    "analytics.queries.SqlAnalytics.overview",
    "application.cancel.Cancel",
    "application.delete.DeleteAudio",
    "application.deliver.Deliver",
    "application.diarize.Diarize",
    "application.edit.EditTranscript",
    "application.erase.Erase",
    "application.prepare.Prepare",
    "application.prepare.PrepareAudio",
    "application.receive.Receive.piece",
    "application.recognise.Recognise",
    "application.retry.Retry",
    "application.settle.Settle",
    "application.submit.Submit",
    "application.submit_upload.SubmitUpload",
    "application.transcribe.Transcribe",
    "application.upload.Upload",
    "audio.decoder.PyAvDecoder.decode",
    "audio.decoder.PyAvDecoder.probe",
    "audio.voice_activity.SileroDetector.feed",
    "diarization.basic.BasicDiarizer.diarize",
    "engines.openai.OpenAiEngine.recognise",
    "engines.pocketsphinx.PocketSphinxEngine.recognise",
    "engines.whisper.WhisperEngine.recognise",
    "formats.write",
    "persistence.search.SqlSearchIndex.find",
    "persistence.unit_of_work.SqlUnitOfWork.commit",
    "queue.jobs.TranscriptionJobs.defer_transcription",
    "remote.download.HttpFiles.fetch",
    "storage.object_store.ObjectAudioStore.open",
    "storage.object_store.ObjectAudioStore.put",
]


def test_each_critical_function_is_counted() -> None:
    importlib.import_module("hansard.http.app")  # which imports all that there is
    assert set(CRITICAL) - set(counted_functions()) == set()
