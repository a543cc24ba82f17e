"""Rows 1.1, slo_met and error_budget: the metrics of every tool, its dashboards and its error budget."""
