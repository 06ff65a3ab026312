"""From any recording to what engines hear: decoding, voice activity, prepared audio."""
