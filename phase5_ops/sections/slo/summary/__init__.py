"""Row 1.1, tool_slo_met and error_budget_not_burning: the metrics of every tool, its dashboards and its error budget."""
