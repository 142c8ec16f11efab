"""Shipped for tests, ours and third parties': contract suites, tiny sources, toy data. Nothing else imports it."""
