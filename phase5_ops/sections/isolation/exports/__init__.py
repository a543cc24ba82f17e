"""audit_export_is_whole: an audit export of test tenant A holds every entry of its ledger, unaltered, and nothing else."""
