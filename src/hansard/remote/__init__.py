"""Recordings and webhooks, by the URLs that people give: without being led anywhere that only this machine may go."""
