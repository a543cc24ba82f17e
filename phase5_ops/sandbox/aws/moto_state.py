"""The AWS that moto keeps in this process: whoever takes it gets it empty, and it is afterwards what it was before.

moto has one state a process. A sandbox or a test that needs an AWS of its own takes it with `own_aws`; what was in it is laid
aside meanwhile, so that the end of one never takes away what another still works with. Blocks end in the reverse order of
their beginning; while an inner one lasts, the servers of the outer ones answer from its state.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from moto.core.base_backend import BackendDict, backend_lock
from moto.core.model_instances import reset_model_data
from moto.s3.models import s3_backends


@contextmanager
def own_aws() -> Iterator[None]:
    """In this block moto's AWS begins empty; afterwards it is again what it was before."""
    with backend_lock:
        laid_aside = [(backends, dict(backends)) for backends in BackendDict._instances]
        buckets = dict(s3_backends.bucket_accounts)  # their names are one space for all accounts, kept apart from them
        _forget()
    try:
        yield
    finally:
        BackendDict.reset()
        reset_model_data()
        with backend_lock:
            _forget()  # what a thread of the inner one made since
            for backends, accounts in laid_aside:
                backends.update(accounts)
                BackendDict._instances.append(backends)
            s3_backends.bucket_accounts.update(buckets)


def _forget() -> None:
    for backends in BackendDict._instances:
        backends.clear()
    BackendDict._instances.clear()
    s3_backends.bucket_accounts.clear()
