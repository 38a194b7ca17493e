"""The Celery application with scripted stages in place of real ones; everything else is the product's own."""

from __future__ import annotations

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

    runner.Conduct = scripted  # type: ignore[assignment, misc]  # a function in place of the class, for this process
