"""What the use cases need of the world, as they need it. Adapters implement these; `tests/fakes.py` fakes them.

One contract suite per port (`tests/contract/`) runs against the fake and against the real adapter.
"""
