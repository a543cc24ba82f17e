"""Imported by the server that warm processes are forked from: what each of them would import, load and work out anew.

Nothing is opened here: no file, no connection, no thread. What processes keep on a disk is as in any process of the product.
"""

import gc
from contextlib import ExitStack
from importlib import import_module

import boto3

from phase5_ops.report.html import render
from phase5_ops_tests.made_once import made_of_aws

#: What commands and runs begin with, and what they come to late.
for _module in (
    "phase5_ops.cli.app",
    "phase5_ops.build",
    "phase5_ops.evidence.panel",
    "phase5_ops.sections.breakers.plot",
    "phase5_ops.sections.slo.summary.plot",
    "phase5_ops.step_output",
    "dagster._core.execution.execute_in_process",
    "dagster._core.instance.runs.run_domain",
    "dagster._core.storage.local_compute_log_manager",
    "pyarrow.dataset",
):
    import_module(_module)
_kept = ExitStack()  # as long as the process
_kept.enter_context(made_of_aws())
for _service in ("dynamodb", "kms", "ssm", "sts"):
    boto3.Session("warm", "warm", region_name="us-west-2").client(_service)
render._environment().get_template("report.html.j2")
gc.collect()
gc.freeze()
