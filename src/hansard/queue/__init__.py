"""The durable queue: procrastinate, on the same PostgreSQL as the rows that its jobs are about."""
