"""The report: one self-contained HTML page of what a run found. `content` says what goes in, `write` makes it."""
