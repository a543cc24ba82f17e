"""What a readiness run leaves behind: tables and how each is declared, the results of its checks, the run's names in Dagster.

What must not live here: gathering, judging, deciding.
"""
