"""What a readiness run leaves behind: the results of its checks, and the names that it goes by in Dagster's records.

What must not live here: gathering, judging, deciding.
"""
