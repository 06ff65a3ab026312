# ruff: noqa: S608 - put together from the texts in this file alone
"""The questions, as PostgreSQL understands them.

Filters that are not asked for are NULL. All take `since` and `until`; those about the transcriptions take their time by
when they ended, unless they say otherwise.
"""

from sqlalchemy import TextClause, text

# The last two enclose the middle: see `insight`.
_PERCENTILES = "ARRAY[0.5, 0.9, 0.95, 0.99, 0.4, 0.6]"
_IS_ASKED = """
    (CAST(:owner AS text) IS NULL OR owner = :owner)
    AND (CAST(:engine AS text) IS NULL OR engine = :engine)
"""
_OF_TRANSCRIPTIONS = f"""
    FROM transcription_facts
   WHERE {_IS_ASKED} AND (CAST(:interactive AS boolean) IS NULL OR interactive = :interactive)
"""
_ENDED = f"{_OF_TRANSCRIPTIONS} AND ended_at >= :since AND ended_at < :until"
_ATTEMPTS = f"FROM attempt_facts WHERE {_IS_ASKED} AND ended_at >= :since AND ended_at < :until"
_UPLOADS = """
    FROM audio_facts
   WHERE (CAST(:owner AS text) IS NULL OR owner = :owner) AND uploaded_at >= :since AND uploaded_at < :until
"""
_ASKED = f"{_OF_TRANSCRIPTIONS} AND asked_at >= :since AND asked_at < :until"

_ENDS = """
    count(*) FILTER (WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE degraded) AS degraded,
    coalesce(sum(audio_seconds) FILTER (WHERE status = 'completed'), 0) AS audio_seconds
"""

_MEASURES = {
    "queue_seconds": "queue_seconds",
    "preparing_seconds": "greatest(running_seconds - recognising_seconds, 0)",
    "recognising_seconds": "recognising_seconds",
    "total_seconds": "queue_seconds + running_seconds",
    "real_time_factor": "recognising_seconds / nullif(audio_seconds, 0)",
}


def _spreads(*names: str) -> str:
    """Each with the percentiles and the number of what they are of."""
    return ", ".join(
        f"percentile_cont({_PERCENTILES}) WITHIN GROUP (ORDER BY {_MEASURES[name]}) "
        f"FILTER (WHERE status = 'completed') AS {name}, "
        f"count({_MEASURES[name]}) FILTER (WHERE status = 'completed') AS {name}_count"
        for name in names
    )


def _bucket(moment: str) -> str:
    return f"date_trunc(:bucket, {moment}, :time_zone) AS start"


TOTALS: TextClause = text(f"""
    SELECT {_ENDS}, avg(coverage) AS coverage, count(*) FILTER (WHERE ask > 1) AS retried,
           {_spreads("queue_seconds", "preparing_seconds", "total_seconds")}
    {_ENDED}
""")
ASKED_FOR = text(f"SELECT count(*) AS asked {_ASKED}")
UPLOADS = text(f"SELECT count(*) AS uploads, coalesce(sum(size_bytes), 0)::bigint AS uploaded_bytes {_UPLOADS}")
OPEN = text("""
    SELECT count(*) FILTER (WHERE status = 'queued') AS waiting, count(*) FILTER (WHERE status = 'running') AS running
      FROM transcription_facts WHERE ended_at IS NULL
""")

THROUGHPUT_ENDED = text(f"SELECT {_bucket('ended_at')}, {_ENDS} {_ENDED} GROUP BY start")
THROUGHPUT_ASKED = text(f"SELECT {_bucket('asked_at')}, count(*) AS asked {_ASKED} GROUP BY start")
THROUGHPUT_UPLOADS = text(f"""
    SELECT {_bucket("uploaded_at")}, count(*) AS uploads, coalesce(sum(size_bytes), 0)::bigint AS uploaded_bytes
    {_UPLOADS} GROUP BY start
""")

LATENCY = text(f"""
    SELECT {_spreads(*_MEASURES)},
           sum(queue_seconds) FILTER (WHERE status = 'completed') AS queue,
           sum({_MEASURES["preparing_seconds"]}) FILTER (WHERE status = 'completed') AS preparing,
           sum(recognising_seconds) FILTER (WHERE status = 'completed') AS recognising
    {_ENDED}
""")
LATENCY_BUCKETS = text(f"SELECT {_bucket('ended_at')}, {_spreads(*_MEASURES)} {_ENDED} GROUP BY start")
ENGINE_ATTEMPTS = text(f"""
    SELECT engine, model, count(*) AS attempts,
           count(*) FILTER (WHERE outcome = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE outcome = 'failed') AS failed,
           count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
           percentile_cont({_PERCENTILES}) WITHIN GROUP (ORDER BY processing_seconds / nullif(recognised_seconds, 0))
               FILTER (WHERE outcome = 'succeeded') AS real_time_factor,
           count(nullif(recognised_seconds, 0)) FILTER (WHERE outcome = 'succeeded') AS real_time_factor_count
    {_ATTEMPTS} GROUP BY engine, model ORDER BY attempts DESC, engine, model
""")
ENGINE_RESULTS = text(f"""
    SELECT engine, model, count(*) AS completed, avg(degraded::int) AS degraded_share, avg(coverage) AS coverage
    {_ENDED} AND status = 'completed' GROUP BY engine, model
""")
HAPPENINGS = text("""
    SELECT engine,
           count(*) FILTER (WHERE happening = 'fell_back') AS fell_back,
           count(*) FILTER (WHERE happening = 'circuit_opened') AS circuit_opened,
           count(*) FILTER (WHERE happening = 'disabled') AS disabled,
           count(*) FILTER (WHERE happening = 'canary') AS canaries,
           count(*) FILTER (WHERE happening = 'canary' AND passed) AS canary_passed
      FROM engine_facts
     WHERE occurred_at >= :since AND occurred_at < :until AND (CAST(:engine AS text) IS NULL OR engine = :engine)
     GROUP BY engine ORDER BY engine
""")

FAILURES = text(f"""
    SELECT coalesce(failure_code, 'unknown') AS code, coalesce(failure_category, 'internal') AS category, engine,
           count(*) AS count, min(ended_at) AS first_at, max(ended_at) AS last_at,
           coalesce((array_agg(id ORDER BY ended_at DESC) FILTER (WHERE deleted_at IS NULL))[1:5], '{{}}') AS examples
    {_ENDED} AND status = 'failed' GROUP BY 1, 2, 3 ORDER BY count DESC, last_at DESC
""")
ENDED = text(f"SELECT count(*) FILTER (WHERE status IN ('completed', 'failed')) AS ended {_ENDED}")
ATTEMPT_FAILURES = text(f"""
    SELECT coalesce(failure_code, 'unknown') AS code, coalesce(failure_category, 'internal') AS category, engine,
           count(*) AS count, min(ended_at) AS first_at, max(ended_at) AS last_at,
           coalesce((array_agg(transcription_id ORDER BY ended_at DESC) FILTER (WHERE NOT EXISTS (
               SELECT FROM transcription_facts WHERE id = transcription_id AND deleted_at IS NOT NULL
           )))[1:5], '{{}}') AS examples
    {_ATTEMPTS} AND outcome = 'failed' GROUP BY 1, 2, 3 ORDER BY count DESC, last_at DESC
""")
FAILURES_BY_BUCKET = text(
    f"SELECT {_bucket('ended_at')}, count(*) AS failed {_ENDED} AND status = 'failed' GROUP BY start"
)
ATTEMPT_FAILURES_BY_BUCKET = text(f"""
    SELECT {_bucket("ended_at")}, count(*) AS failed_attempts {_ATTEMPTS} AND outcome = 'failed' GROUP BY start
""")

_CONSUMPTION = """
    sum(recognised_seconds) AS audio_seconds,
    coalesce(sum(recognised_seconds) FILTER (WHERE input_tokens + output_tokens = 0), 0) AS uncounted_seconds,
    sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
    sum(processing_seconds) AS processing_seconds
"""
CONSUMPTION = text(f"""
    SELECT engine, model, owner, count(*) AS attempts, {_CONSUMPTION}
    {_ATTEMPTS} GROUP BY engine, model, owner ORDER BY engine, model, owner
""")
CONSUMPTION_BY_BUCKET = text(f"""
    SELECT {_bucket("ended_at")}, engine, model, {_CONSUMPTION} {_ATTEMPTS} GROUP BY start, engine, model
""")
