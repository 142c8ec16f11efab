"""The report: one self-contained HTML page that tells what a run found (`content` says what goes in, `write` makes it)."""
