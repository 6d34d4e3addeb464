"""Celery with an empty task, on the same broker and with the same guarantees.

Durable messages in a quorum queue, confirmed publishing, late acknowledgement (by default Celery
acknowledges before the task).
"""

import os

from celery import Celery

QUEUE = "benchmark.celery"
URL_VARIABLE = "BENCHMARK_AMQP_URL"

app = Celery("benchmark", broker=os.environ.get(URL_VARIABLE))
app.conf.update(
    task_default_queue=QUEUE,
    task_default_queue_type="quorum",
    task_acks_late=True,
    task_ignore_result=True,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="benchmark.nothing")  # type: ignore[untyped-decorator]
def nothing() -> None:
    """Do nothing."""
