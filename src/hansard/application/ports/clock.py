"""What time it is, and how to wait."""

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""The time now, timezone-aware."""

Sleep = Callable[[float], None]
"""Wait so many seconds."""
