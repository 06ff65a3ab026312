"""The operational database: PostgreSQL, embedded or yours."""
