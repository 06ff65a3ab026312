"""Recordings on their way in: as a form, by their URL, or piece by piece."""
