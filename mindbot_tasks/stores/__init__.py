"""Everything that is remembered: tables, queries, migrations, Redis keys, files."""
