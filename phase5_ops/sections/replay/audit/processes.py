"""Reads the files of a ledger into parts, in several processes where that pays.

A process of its own is started anew (spawned), takes one file after the other, and sends each part as bytes, so that none holds
more than a part. What must not live here: what the files hold.
"""

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import cast

from phase5_ops.reads import ReadStatus
from phase5_ops.sections.replay.audit.data_file import DataFile, file_read, read_data_file
from phase5_ops.sections.replay.audit.ledger_part import LedgerPart

log = logging.getLogger(__name__)

#: Below so many bytes the start of processes costs more than they save.
WORTHWHILE_BYTES = 32 << 20
MOST_PROCESSES = 4  # what they send is taken by one
_LAST = b""

Emit = Callable[[int, LedgerPart], None]


def processes_for(sizes: Sequence[int]) -> int:
    """How many processes read files of these sizes: 0 for none beside this one."""
    if len(sizes) < 2 or sum(sizes) < WORTHWHILE_BYTES:  # noqa: PLR2004 - two can be read at once
        return 0
    count = min(len(os.sched_getaffinity(0)), len(sizes), MOST_PROCESSES)
    return count if count > 1 else 0


def read_files(files: Sequence[DataFile], latest: int | None, emit: Emit, *, processes: int, sizes: Sequence[int]) -> None:
    """Hands on the parts of all files, each with its file's number; the parts of one file in order.

    Args:
        files: what to read; with processes, `open` must be picklable.
        latest: epoch ms; an entry stamped later cannot have been written yet.
        emit: takes each part.
        processes: how many beside this one; 0 reads here, in order.
        sizes: of the files; the largest are begun first, so that the processes end together.
    """
    if not processes:
        for number, file in enumerate(files):
            read_data_file(file, latest, lambda part, number=number: emit(number, part))  # type: ignore[misc]
        return
    order = sorted(range(len(files)), key=lambda number: -sizes[number])
    waiting = iter([(number, files[number]) for number in order])
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, _Worker] = {}
    try:
        for _ in range(processes):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, latest), daemon=True, name="ledger")
            process.start()
            there.close()
            running[here] = _Worker(process, here)
            running[here].give(next(waiting, None))
        while running:
            for ready in wait(list(running)):
                worker = running[cast("Connection", ready)]
                if worker.take(emit):
                    continue
                following = next(waiting, None) if worker.alive else None
                if following is None:
                    worker.end()
                    del running[worker.connection]
                else:
                    worker.give(following)
        for number, file in waiting:  # every process has died
            emit(number, LedgerPart(read=file_read(file.name, ReadStatus.FAILED, "no process is left to read it")))
    finally:
        for worker in running.values():
            worker.stop()


class _Worker:
    """One process, and the file that it reads."""

    def __init__(self, process: "multiprocessing.context.SpawnProcess", connection: Connection) -> None:
        self.connection = connection
        self.alive = True
        self._process = process
        self._file: tuple[int, DataFile] | None = None

    def give(self, file: tuple[int, DataFile] | None) -> None:
        """Lets it read a file; None where there is none."""
        self._file = file
        try:
            self.connection.send(file[1] if file else None)
        except OSError:
            log.info("a process that reads files has ended")  # taking from it says so

    def take(self, emit: Emit) -> bool:
        """Takes what it sent; False once its file is done, or it has died."""
        try:
            data = self.connection.recv_bytes()
        except (EOFError, OSError):
            self.alive = False
            self._process.join()
            if self._file:
                number, file = self._file
                problem = f"the process that read it has ended with {self._process.exitcode}: out of memory, or killed"
                emit(number, LedgerPart(read=file_read(file.name, ReadStatus.FAILED, problem)))
            return False
        if data == _LAST:
            return False
        if self._file:
            emit(self._file[0], LedgerPart.from_bytes(data))
        return True

    def end(self) -> None:
        """Lets it end."""
        if self.alive:
            self.give(None)
        self.connection.close()
        self._process.join()

    def stop(self) -> None:
        """Ends it where it stands."""
        self._process.terminate()
        self.connection.close()
        self._process.join()


def _serve(connection: Connection, latest: int | None) -> None:
    """What a process does: files come, parts go."""
    for file in _files(connection):
        read_data_file(file, latest, lambda part: connection.send_bytes(part.to_bytes()))
        connection.send_bytes(_LAST)


def _files(connection: Connection) -> Iterator[DataFile]:
    while (file := connection.recv()) is not None:
        yield cast("DataFile", file)
