"""OpenAI's audio API: its models, forms, answers and refusals, beside our own."""
