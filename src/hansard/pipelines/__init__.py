"""Every job as a pipeline run: the only package that knows ZenML."""
