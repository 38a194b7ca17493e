"""The page of one queue item: what is told of it (`queues.showing`), with this person's keys and the forms."""

from __future__ import annotations

from functools import cached_property

from training_app.auditor_settings import keys_of
from training_app.forms import new_key
from training_app.models import Reservation
from training_app.queue_forms import ChoiceForm, DecisionForm
from training_app.queues.showing import Given


class ItemPage(Given):
    """One reservation and everything its page shows; `refused` is the form that was sent, with what is wrong."""

    def __init__(self, reservation: Reservation, refused: ChoiceForm | DecisionForm | None = None) -> None:
        super().__init__(reservation)
        self.refused = refused

    @cached_property
    def keys(self) -> dict[str, str]:
        return keys_of(self.settings)

    @property
    def choice_form(self) -> ChoiceForm:
        if isinstance(self.refused, ChoiceForm):
            return self.refused
        return ChoiceForm(initial={"idempotency_key": new_key()}, auto_id="choice_%s")

    @property
    def decision_form(self) -> DecisionForm:
        if isinstance(self.refused, DecisionForm):
            return self.refused
        answers = {name: "yes" if value else "no" for name, value in self.reservation.answers.items()}
        initial = {"idempotency_key": new_key(), "side": self.own_side, **answers}
        return DecisionForm(initial=initial, auto_id="decision_%s")
