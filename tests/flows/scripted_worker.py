"""The Celery application with scripted stages in place of real ones; everything else is the product's own."""

from __future__ import annotations

from unittest import mock

from celery.signals import worker_process_init

from cai_web.celery import app

__all__ = ["app"]


@worker_process_init.connect(weak=False)
def use_scripted_stages(**_: object) -> None:
    """In the pool's process, once Django is ready: what a task runs when nothing else is asked for."""
    from tests.training_app.scripted import command
    from training_app import runner

    real = runner.Conduct

    def scripted() -> runner.Conduct:
        return real(command=command, look_every_s=0.05, beat_every_s=0.2)

    mock.patch.object(runner, "Conduct", scripted).start()  # for as long as this process lives
