"""A place in a recording, as people write it."""


def timecode(seconds: float, *, hour_digits: int = 1) -> str:
    """`0:12:03`, in whole seconds, cut off rather than rounded: whoever goes there to listen must not come too late."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:0{hour_digits}}:{minute:02}:{second:02}"
