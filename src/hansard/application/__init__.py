"""The use cases: what a person or a worker wants done, in the domain's words."""
