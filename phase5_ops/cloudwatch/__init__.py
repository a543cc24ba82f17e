"""CloudWatch's languages: metric math, Metrics Insights, search expressions, alarm rules, statistics. Pure."""
