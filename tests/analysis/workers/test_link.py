import socket
import threading
from collections.abc import Iterator

import pytest

from cqox.analysis.workers.link import Link, TaskCancelled
from cqox.analysis.workers.protocol import Decoder, Frame, encode

type Ends = tuple[Link, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Link(ours), theirs


def task(job: int) -> bytes:
    return encode(Frame(kind="task", job=job, body={"name": "echo"}))


def cancel(job: int) -> bytes:
    return encode(Frame(kind="cancel", job=job))


def test_tasks_come_in_order_until_the_engine_closes_its_end(ends: Ends) -> None:
    link, engine = ends
    stream = task(1) + task(2) + task(3)
    engine.sendall(stream[:50])
    threading.Timer(0.01, lambda: (engine.sendall(stream[50:]), engine.close())).start()
    assert [frame.job for frame in link.tasks()] == [1, 2, 3]


def test_a_cancellation_of_a_task_that_has_ended_is_skipped(ends: Ends) -> None:
    link, engine = ends
    engine.sendall(task(1) + cancel(1) + task(2))
    engine.shutdown(socket.SHUT_WR)
    assert [frame.job for frame in link.tasks()] == [1, 2]


def test_only_the_cancellation_of_the_same_job_is_raised(ends: Ends) -> None:
    link, engine = ends
    link.raise_if_cancelled(2)
    engine.sendall(cancel(1))
    link.raise_if_cancelled(2)
    engine.sendall(cancel(2))
    with pytest.raises(TaskCancelled):
        link.raise_if_cancelled(2)


def test_a_task_that_arrives_while_cancellations_are_looked_for_is_kept(ends: Ends) -> None:
    link, engine = ends
    engine.sendall(cancel(1) + task(2))
    with pytest.raises(TaskCancelled):
        link.raise_if_cancelled(1)
    engine.shutdown(socket.SHUT_WR)
    assert [frame.job for frame in link.tasks()] == [2]


def test_a_cancellation_is_no_exception_that_a_task_would_handle() -> None:
    assert not issubclass(TaskCancelled, Exception)


def test_messages_of_several_threads_are_not_mixed(ends: Ends) -> None:
    link, engine = ends
    sent = [Frame(kind="log", job=number, body={}, payload=bytes([number]) * 300_000) for number in range(4)]
    threads = [threading.Thread(target=link.send, args=(encode(frame),)) for frame in sent]
    for thread in threads:
        thread.start()
    decoder, received = Decoder(), list[Frame]()
    while len(received) < len(sent):
        received += decoder.feed(engine.recv(1 << 16))
    for thread in threads:
        thread.join()
    assert sorted(received, key=lambda frame: frame.job) == sent


def test_an_answer_is_of_the_same_job_and_leaves_what_came_with_it(ends: Ends) -> None:
    link, engine = ends
    answers = [encode(Frame(kind="answer", job=job, payload=b"%d" % job)) for job in (1, 2)]
    engine.sendall(answers[0] + task(3) + answers[1])
    assert link.ask(2, {"statement": "select 1"}) == b"2"
    (asked,) = Decoder().feed(engine.recv(1000))
    assert (asked.kind, asked.job, asked.body) == ("ask", 2, {"statement": "select 1"})
    engine.shutdown(socket.SHUT_WR)
    assert [frame.job for frame in link.tasks()] == [3]


@pytest.mark.parametrize("sent", [cancel(1), b""])
def test_a_task_that_waits_for_an_answer_ends_with_a_cancellation_and_with_its_engine(ends: Ends, sent: bytes) -> None:
    link, engine = ends
    engine.sendall(sent)
    engine.shutdown(socket.SHUT_WR)
    with pytest.raises(TaskCancelled):
        link.ask(1, {})
