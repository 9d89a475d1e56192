"""Evaluations: settings, targets, attacks, outcomes, their summary, diagnostics and comparison."""
