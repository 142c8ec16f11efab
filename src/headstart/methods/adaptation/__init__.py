"""Adaptation: labels in one domain, none in another. Estimators on features are in `shallow/`."""
