"""``python manage.py aggregate_labels RUN``: other targets from the labels a run already has, without its judge."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_app.actions import build_dataset
from training_app.core.aggregate import HOW, ORDERS, Aggregation
from training_app.models import Run
from training_app.reaggregate import own_aggregation, what_if
from training_app.refusals import BuildRefused


class Command(BaseCommand):
    help = (
        "Show what another aggregation or clamp makes of a run's labels, and freeze it as a dataset build on request."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, metavar="RUN", help="the run's number")
        parser.add_argument(
            "--how", choices=HOW, help="how several principles become one; as the run was told without it"
        )
        parser.add_argument("--orders", choices=ORDERS, default="both")
        parser.add_argument("--clamp", nargs=2, type=float, metavar=("LOW", "HIGH"))
        parser.add_argument("--no-clamp", action="store_true")
        parser.add_argument("--keep-irrelevant", action="store_true", help='keep labels that are likelier "neither"')
        parser.add_argument("--build", metavar="NAME", help="freeze the rows as a build of this name")
        parser.add_argument("--user", help="who builds; needed with --build")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run.objects.filter(number=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        try:
            aggregation = _aggregation(own_aggregation(run), options)
            (way,) = what_if(run, aggregation)
            found = way.as_data()
            if options["build"]:
                built = build_dataset(
                    user=_user(options["user"]), run=run, stage="reward", name=options["build"], aggregation=aggregation
                )
                found["builds"] = [{"name": one.name, "rows": one.rows, "digest": one.digest} for one in built]
        except BuildRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(json.dumps(found, indent=2) if options["json"] else _words(found))


def _aggregation(own: Aggregation, options: dict[str, Any]) -> Aggregation:
    clamp = own.clamp
    if options["no_clamp"]:
        clamp = None
    elif options["clamp"]:
        low, high = options["clamp"]
        if not 0 <= low < high <= 1:
            raise CommandError("--clamp takes two numbers from 0 to 1, the low one first.")
        clamp = (low, high)
    return Aggregation(
        how=options["how"] or own.how,
        orders=options["orders"],
        clamp=clamp,
        drop_irrelevant=own.drop_irrelevant and not options["keep_irrelevant"],
    )


def _user(username: str | None) -> User:
    user = User.objects.filter(username=username or "").first()
    if user is None:
        raise CommandError("Say with --user who builds; the ledger names them.")
    return user


def _words(found: dict[str, Any]) -> str:
    change = "nothing to compare" if found["mean_change"] is None else f"mean |change| {found['mean_change']:.3f}"
    lines = [f"{found['aggregation']}: {found['rows']} targets, {found['flipped']} flipped, {change}"]
    lines += [f"  left out: {count} {reason}" for reason, count in found["excluded"].items()]
    lines += [f"  built {one['name']}: {one['rows']} rows, {one['digest']}" for one in found.get("builds", ())]
    return "\n".join(lines)
