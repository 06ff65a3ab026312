"""What can be wrong with a recording, told so that its owner knows what to do about it.

FFmpeg calls every file it can't open “invalid data”. People need to hear which of many things that is.
"""

from hansard.domain.errors import InvalidAudio

HEAD_BYTES = 64 * 1024
"""How much of a file's beginning is looked at to tell what it is."""

_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive (or an office document)",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
}
_ASF_SIGNATURE = b"0&\xb2u\x8ef\xcf\x11"
_AUDIO_SIGNATURES = {
    b"RIFF": "a WAV or AVI file",
    b"OggS": "an Ogg file",
    b"fLaC": "a FLAC file",
    b"ID3": "an MP3 file",
    b"\x1aE\xdf\xa3": "a Matroska or WebM file",
    b"FORM": "an AIFF file",
    _ASF_SIGNATURE: "a WMA or WMV file",
}
_MP4_SIGNATURE = b"ftyp"
"""At byte 4 of MP4, M4A, MOV and 3GP."""

_ASF_ENCRYPTION_OBJECTS = (
    bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e"),
    bytes.fromhex("14e68a29 2226 174c b935 dae07ee9289c"),
)
"""The (Extended) Content Encryption Objects of the ASF specification, §3.14 and §3.15, as they lie in a file."""

_CONVERT = (
    "If it plays on your computer, save it as WAV, FLAC, MP3 or M4A and send that. Headerless PCM (.raw, .pcm) needs "
    "a header, for example: ffmpeg -f s16le -ar 16000 -ac 1 -i in.raw out.wav"
)
_SEND_AGAIN = "Check that the copy or the download was complete, and that the recording plays, then send it again."


def empty_file() -> InvalidAudio:
    return InvalidAudio("The file is empty.", code="empty_file", help=_SEND_AGAIN)


def unreadable(head: bytes) -> InvalidAudio:
    """For a file that no demuxer opens: what it is instead, or which headers are broken. `head` is its beginning."""
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return InvalidAudio(f"This is {kind}, not a recording.", code="not_audio", help=_CONVERT)
    if _is_text(head):
        return InvalidAudio(
            "This is text, not a recording.",
            code="not_audio",
            help="Send the recording itself. Playlists, scripts and links are never followed.",
        )
    kind = "an MP4 file" if head[4:8] == _MP4_SIGNATURE else None
    kind = kind or next((kind for mark, kind in _AUDIO_SIGNATURES.items() if head.startswith(mark)), None)
    if kind:
        return InvalidAudio(
            f"This starts like {kind}, but its headers are incomplete or damaged.",
            code="damaged_audio",
            help=_SEND_AGAIN,
        )
    return InvalidAudio("This is in no audio or video format that we know.", code="not_audio", help=_CONVERT)


def no_audio_stream(container: str) -> InvalidAudio:
    return InvalidAudio(
        f"There is no sound in this {container} file.",
        code="no_audio_stream",
        help="Was it exported or recorded without its sound track?",
    )


def unsupported_codec(container: str) -> InvalidAudio:
    return InvalidAudio(
        f"The sound in this {container} file is in a codec that we cannot decode.",
        code="unsupported_codec",
        help=_CONVERT,
    )


def encrypted() -> InvalidAudio:
    return InvalidAudio(
        "The sound in this file is encrypted (DRM).",
        code="encrypted_audio",
        help="Send an unprotected copy, for example a new export from the program that made it.",
    )


def is_protected_asf(head: bytes) -> bool:
    """Whether a WMA or WMV file says that it is encrypted, which FFmpeg doesn't tell."""
    return head.startswith(_ASF_SIGNATURE) and any(mark in head for mark in _ASF_ENCRYPTION_OBJECTS)


def nothing_decodable() -> InvalidAudio:
    return InvalidAudio("Not one sample of sound could be decoded.", code="nothing_decodable", help=_SEND_AGAIN)


def not_numbers() -> InvalidAudio:
    return InvalidAudio(
        "No sample in this file is a number: all are NaN or infinite.",
        code="not_a_number",
        help="The program that wrote it failed: export the recording anew, as 16-bit WAV or FLAC.",
    )


def truncated(*, promised_seconds: float, found_seconds: float) -> InvalidAudio:
    return InvalidAudio(
        f"The file promises {promised_seconds:.1f} s of sound, but only {found_seconds:.1f} s could be found: it was "
        "cut off, or is damaged.",
        code="truncated_audio",
        help=f"{_SEND_AGAIN} To transcribe what is there, re-encode it first: ffmpeg -i in.mp3 out.flac",
    )


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character cut in two by the end of `head` is no reason to call it binary.
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\n\r\f\ufeff" for character in text)
