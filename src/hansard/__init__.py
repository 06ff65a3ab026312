"""Hansard: a file goes in, a true record comes out."""

__version__ = "0.1.0"
