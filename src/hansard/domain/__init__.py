"""What a transcription service knows and decides, in the standard library alone."""
