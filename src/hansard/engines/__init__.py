"""Speech engines: each turns passages of prepared audio into segments."""
