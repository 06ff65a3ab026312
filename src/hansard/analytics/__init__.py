"""The analytics database: what the event log tells, in the shape that questions about it have."""
