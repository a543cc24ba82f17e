"""Imported by the server that warm processes are forked from: what each of them would import, load and work out anew.

Nothing is opened here: no file, no connection, no thread. What processes keep on a disk is as in any process of the product.
"""

import gc
from contextlib import ExitStack

import boto3

import phase5_ops.build
import phase5_ops.cli.app  # noqa: F401 - what commands begin with
from phase5_ops_tests.made_once import made_of_aws

_kept = ExitStack()  # as long as the process
_kept.enter_context(made_of_aws())
for _service in ("dynamodb", "kms", "ssm", "sts"):
    boto3.Session("warm", "warm", region_name="us-west-2").client(_service)
gc.collect()
gc.freeze()
