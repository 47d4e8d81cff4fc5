"""Where readings, events, models and users are kept: PostgreSQL, embedded or given."""
