"""The entry point of a Spark job (spark-submit): takes an order through Dagster Pipes, carries it out, reports its result.

The result is written once, when all of it is there; a job that breaks off leaves none.
"""

from collections.abc import Callable, Mapping
from typing import Any

import boto3
from dagster_pipes import (
    PipesContext,
    PipesEnvVarParamsLoader,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    open_dagster_pipes,
)

from phase5_ops.engines.partials import json_digest
from phase5_ops.spark.ledger_audit import audit_ledger
from phase5_ops.spark.log_scan import scan_logs

#: What can be ordered: given Spark's context and the order, each returns what is reported.
SCANS: Mapping[str, Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]] = {"log-scan": scan_logs, "ledger-audit": audit_ledger}


def _open() -> PipesContext:
    """Pipes by S3 where the run says so, else by files."""
    loader = PipesEnvVarParamsLoader()  # type: ignore[no-untyped-call] # its constructor has no annotations
    if "bucket" not in loader.load_context_params():
        return open_dagster_pipes()
    s3 = boto3.client("s3")
    return open_dagster_pipes(context_loader=PipesS3ContextLoader(s3), message_writer=PipesS3MessageWriter(s3, interval=5))


def main() -> None:
    """Carries out the order that Dagster gives."""
    from pyspark.sql import SparkSession  # only a job needs it there

    with _open() as pipes:
        order = pipes.get_extra("order")
        spark = SparkSession.builder.appName(f"phase5 {order['scan']}").getOrCreate()
        try:
            report = SCANS[order["scan"]](spark.sparkContext, order)
        finally:
            spark.stop()
        pipes.report_custom_message({**report, "order": json_digest(order)})


if __name__ == "__main__":
    main()
