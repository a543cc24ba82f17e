"""The judges of executions: each has its one start, end and outcome (`ends`), and its call of a tool is measured (`calls`)."""
