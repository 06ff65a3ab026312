"""Recordings that a URL names, fetched without being led anywhere that only this machine may go."""
