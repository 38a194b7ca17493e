"""Judging in a queue: blind first, then revealed; plain forms and the scripts' parts; who may do what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app.access import Role
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import judged, queue_of, taken
from tests.training_app.scenes import comparisons
from tests.training_app.views.conftest import Queries, signed_in, somebody
from training_app.actions import record_audit
from training_app.actions.record_audit import Verdict
from training_app.models import AILabel, Audit, AuditorSettings, AuditQueue, Exposure, Reservation

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue(finished: FinishedRun) -> AuditQueue:
    return queue_of()


def at(name: str, given: Reservation) -> str:
    return reverse(f"training:queue_{name}", args=[given.queue_id, given.item.position])


def label_of(given: Reservation) -> AILabel:
    assert given.item.label is not None
    return given.item.label


def told(label: AILabel) -> list[str]:
    """What a page would say of the AI's choice."""
    return [f"{label.p_a:.2f}", "AI preferred", "The AI had no preference", f"{label.p_ab:.2f}", label.sent_ab[:9]]


def test_an_item_is_taken_chosen_blind_revealed_and_kept_by_plain_forms(
    auditor: Client, jonas: User, queue: AuditQueue
) -> None:
    assert b"Take an item" in auditor.get(reverse("training:queue_next", args=[queue.pk])).content
    assert not Reservation.objects.exists(), "looking takes nothing"
    response = auditor.post(reverse("training:queue_take", args=[queue.pk]), follow=True)
    given = Reservation.objects.get()
    page = response.content.decode()
    assert "Judge blind" in page and given.item.why in page
    assert not [words for words in told(label_of(given)) if words in page]
    side = "first" if given.shown_first == "a" else "second"
    response = auditor.post(
        at("choose", given), {"side": side, "idempotency_key": uuid4(), "seconds": "12"}, follow=True
    )
    page = response.content.decode()
    assert "Keep or change" in page and f"p(A) {label_of(given).p_a:.2f}" in page
    given.refresh_from_db()
    assert (given.choice, given.seconds) == ("a", 12)
    response = auditor.post(at("keep", given), {"idempotency_key": uuid4(), "confidence": "3"}, follow=True)
    page = response.content.decode()
    assert "Judge blind" in page and re.search(r"saved \d\d:\d\d:\d\d", page) and "1 of 6 decided by you" in page
    audit = Audit.objects.get()
    assert (audit.choice, audit.blind, audit.confidence, audit.auditor) == ("a", True, 3, jonas)


def test_the_letters_of_the_records_are_said_only_after_the_choice(
    auditor: Client, jonas: User, queue: AuditQueue
) -> None:
    given = taken(jonas, queue)
    assert "in the records" not in auditor.get(at("item", given)).content.decode()
    sides = re.findall(r"<h2>([12])<", auditor.get(at("item", given)).content.decode())
    assert sides == ["1", "2"]


def test_sides_are_shuffled_for_each_person_and_stay(finished: FinishedRun, jonas: User) -> None:
    queue = queue_of(per_item=3)
    order = [taken_one.shown_first for taken_one in _all_taken(jonas, queue)]
    other = [taken_one.shown_first for taken_one in _all_taken(somebody("pia", Role.AUDITOR, "Pia Roth"), queue)]
    assert len(order) == len(other) == 6 and order != other


def _all_taken(user: User, queue: AuditQueue) -> list[Reservation]:
    return [judged(user, queue) for _ in range(queue.items_count)]


def test_a_changed_choice_is_kept_as_seen(auditor: Client, jonas: User, queue: AuditQueue) -> None:
    given = taken(jonas, queue)
    auditor.post(at("choose", given), {"side": "first", "idempotency_key": uuid4()})
    said = {"side": "second", "idempotency_key": uuid4(), "reason": "misread", "comment": "At second sight."}
    auditor.post(at("keep", given), said)
    auditor.post(at("keep", given), said)
    audit = Audit.objects.get()
    assert (audit.blind, audit.blind_choice == audit.choice, audit.reason) == (False, False, "misread")


def test_others_votes_and_the_principle_can_wait_for_the_choice(
    auditor: Client, jonas: User, finished: FinishedRun
) -> None:
    pia = somebody("pia", Role.AUDITOR, "Pia Roth")
    for label in finished.labels:
        said = Verdict("comment", comment="Nobody knows.")
        record_audit(user=pia, audit_id=uuid4(), item=label, said=said)
        choice = "b" if label.ai_choice == "a" else "a"
        record_audit(user=pia, audit_id=uuid4(), item=label, said=Verdict("override", choice=choice, comment="No way."))
    given = taken(jonas, queue_of(hide_principle=True))
    cited = factories.cited(label_of(given)).text
    blind = auditor.get(at("item", given)).content.decode()
    assert "No way." not in blind and "Pia" not in blind and cited not in blind
    auditor.post(at("choose", given), {"side": "neither", "idempotency_key": uuid4()})
    revealed = auditor.get(at("item", given)).content.decode()
    assert "No way." in revealed and "Pia Roth" in revealed and cited in revealed


def test_scripts_get_the_part_that_comes_next(auditor: Client, jonas: User, queue: AuditQueue) -> None:
    given = taken(jonas, queue)
    ahead = auditor.post(
        reverse("training:queue_take", args=[queue.pk]), {"beside": given.pk}, headers={"X-Part": "1"}
    ).content.decode()
    other = Reservation.objects.exclude(pk=given.pk).get()
    assert ahead.lstrip().startswith('<div id="audit-part"') and f'data-reservation="{other.pk}"' in ahead
    assert not [words for words in told(label_of(other)) if words in ahead]
    chosen = auditor.post(
        at("choose", given), {"side": "first", "idempotency_key": uuid4()}, headers={"X-Outbox": "1"}
    ).content.decode()
    assert "Keep or change" in chosen and "<html" not in chosen
    kept = auditor.post(at("keep", given), {"idempotency_key": uuid4()}, headers={"X-Outbox": "1"}).content.decode()
    assert f'data-reservation="{other.pk}"' in kept and "1 of 6 decided by you" in kept


def test_the_end_of_a_queue_is_a_page(auditor: Client, finished: FinishedRun) -> None:
    queue = queue_of(size=1)
    auditor.post(reverse("training:queue_take", args=[queue.pk]))
    given = Reservation.objects.get()
    auditor.post(at("choose", given), {"side": "first", "idempotency_key": uuid4()})
    elsewhere = Client().post(at("keep", given), {"idempotency_key": uuid4()}, headers={"X-Outbox": "1"})
    assert elsewhere.status_code == 401, "a redirect would look like an answer, and the decision be thrown away"
    response = auditor.post(at("keep", given), {"idempotency_key": uuid4()}, headers={"X-Outbox": "1"})
    assert "Everything in it is decided." in response.content.decode()
    assert (
        "Everything in it is decided." in auditor.get(reverse("training:queue_next", args=[queue.pk])).content.decode()
    )


def test_undo_opens_the_last_item_revealed(auditor: Client, jonas: User, queue: AuditQueue) -> None:
    given = judged(jonas, queue)
    page = auditor.post(reverse("training:queue_undo", args=[queue.pk]), follow=True).content.decode()
    assert "Keep or change" in page and "taken back" in page
    given.refresh_from_db()
    assert given.state == "open" and Audit.objects.order_by("-created_at")[0].verdict == "withdraw"
    assert (
        "no decision"
        in auditor.post(reverse("training:queue_undo", args=[queue_of().pk]), follow=True).content.decode()
    )


def test_a_refused_post_says_why_and_keeps_what_was_written(auditor: Client, jonas: User, queue: AuditQueue) -> None:
    given = taken(jonas, queue)
    assert auditor.post(at("choose", given), {"idempotency_key": uuid4()}).status_code == 422
    early = auditor.post(at("keep", given), {"idempotency_key": uuid4(), "comment": "My words"})
    assert early.status_code == 409 and not Audit.objects.exists()
    auditor.post(at("choose", given), {"side": "first", "idempotency_key": uuid4()})
    long = auditor.post(at("keep", given), {"idempotency_key": uuid4(), "comment": "x" * 4001})
    assert long.status_code == 409 and "shorten it" in long.content.decode()


def test_a_step_shows_its_critique_and_asks_four_things(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    given = taken(jonas, queue_of("steps"))
    page = auditor.get(at("item", given)).content.decode()
    assert "Critique fair?" in page and "Principle fits?" in page and "diff matter" in page
    said = {"side": "second", "idempotency_key": uuid4(), "critique_fair": "no", "change_needed": "no"}
    auditor.post(at("choose", given), said)
    auditor.post(at("keep", given), {"idempotency_key": uuid4(), "side": "second", "critique_fair": "no"})
    audit = Audit.objects.get()
    assert (audit.verdict, audit.revision_better, audit.critique_fair) == ("override", False, False)


def test_a_known_answer_is_said_after_the_choice(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    queue = queue_of(calibration_set=comparisons(3), calibration=3, size=1)
    for _ in range(4):
        given = taken(jonas, queue)
        if given.item.known:
            break
        judged(jonas, queue)
    blind = auditor.get(at("item", given)).content.decode()
    assert "people" not in blind.split("<main")[1].split("</main")[0].casefold()
    auditor.post(at("choose", given), {"side": "first", "idempotency_key": uuid4()})
    assert "People before you chose" in auditor.get(at("item", given)).content.decode()


def test_harmful_items_are_veiled_until_asked_for(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    AuditorSettings.objects.create(person=jonas, veil_from=AuditorSettings.Veil.ALL)
    given = taken(jonas, queue_of())
    label = label_of(given)
    page = auditor.get(at("item", given)).content.decode()
    assert "veiled: written to provoke" in page
    assert label.comparison.prompt_text[:30] not in page and label.comparison.response_a[:30] not in page
    assert not Exposure.objects.exists()
    shown = auditor.post(at("show", given), follow=True).content.decode()
    auditor.post(at("show", given))
    assert label.comparison.response_a[:30] in shown and Exposure.objects.get().person == jonas
    refused = auditor.post(at("refuse", given), follow=True).content.decode()
    assert "Somebody else will judge that item." in refused
    given.refresh_from_db()
    assert given.state == "refused"


def test_a_break_is_offered_and_not_forced(auditor: Client, jonas: User, queue: AuditQueue) -> None:
    AuditorSettings.objects.create(person=jonas, break_after_items=2)
    judged(jonas, queue)
    assert "Time for a break?" not in auditor.get(at("item", taken(jonas, queue))).content.decode()
    judged(jonas, queue)
    page = auditor.get(at("item", taken(jonas, queue))).content.decode()
    assert "Time for a break?" in page and "First is better" in page


def test_texts_of_models_are_read_as_markdown_or_shown_raw(auditor: Client, ada: User, jonas: User) -> None:
    hostile = "**bold** <script>alert(1)</script> [x](javascript:alert(1)) ![y](http://example.org/y.png) \u202e"
    factories.finished_run(ada, answer=hostile)
    given = taken(jonas, queue_of())
    page = auditor.get(at("item", given)).content.decode()
    assert "<strong>bold</strong>" in page and "U+202E" in page
    assert not re.search(r"<script>alert|<img|href=.javascript", page)
    AuditorSettings.objects.create(person=jonas, raw_text=True)
    assert "**bold**" in auditor.get(at("item", given)).content.decode()


def test_keys_are_the_persons_own(auditor: Client, jonas: User, queue: AuditQueue) -> None:
    given = taken(jonas, queue)
    settings = reverse("training:auditor_settings")
    said = {"veil_from": 2, "break_after_items": 40, "break_after_minutes": 45, "keys_on": "on", "key_first": "f"}
    assert auditor.post(settings, said).status_code == 302
    page = auditor.get(at("item", given)).content.decode()
    assert 'data-key="f"' in page and "<kbd>f</kbd>" in page and "data-keys-off" not in page
    twice = auditor.post(settings, {**said, "key_second": "f"})
    assert twice.status_code == 422 and "two things" in twice.content.decode()
    auditor.post(settings, {**said, "keys_on": ""})
    assert "data-keys-off" in auditor.get(at("item", given)).content.decode()


def test_an_item_belongs_to_who_was_given_it(jonas: User, queue: AuditQueue) -> None:
    given = taken(jonas, queue)
    pia = signed_in(somebody("pia", Role.AUDITOR, "Pia Roth"))
    assert pia.get(at("item", given)).status_code == 404
    assert pia.post(at("choose", given), {"side": "first", "idempotency_key": uuid4()}).status_code == 404
    only_jonas = queue_of(people=(jonas,))
    assert pia.post(reverse("training:queue_take", args=[only_jonas.pk])).status_code == 403


def test_a_page_takes_as_many_queries_in_a_long_queue(
    auditor: Client, jonas: User, finished: FinishedRun, queries: Queries
) -> None:
    queue = queue_of(size=2)
    few = queries(auditor, at("item", taken(jonas, queue)))
    longer = queue_of()
    judged(jonas, longer)
    judged(jonas, longer)
    assert queries(auditor, at("item", taken(jonas, longer))) == few


def test_a_choice_and_a_decision_take_the_same_few_statements_each_time(
    auditor: Client, jonas: User, finished: FinishedRun
) -> None:
    queue = queue_of(per_item=2)
    judged(somebody("pia", Role.AUDITOR, "Pia Roth"), queue)
    counts = [(_statements(auditor, "choose", given), _statements(auditor, "keep", given)) for given in _held(jonas)]
    assert counts[1:] == [(12, 17)] * 4, "the first asks what is asked once in a process"


def _held(user: User) -> Iterator[Reservation]:
    """Five items, each as it stands when it is asked for."""
    queue = AuditQueue.objects.get()
    for _ in range(5):
        yield taken(user, queue)


def _statements(client: Client, verb: str, given: Reservation) -> int:
    """How many it takes to answer the outbox, those of the next page among them."""
    said = {"side": "first", "idempotency_key": uuid4()}
    with CaptureQueriesContext(connection) as captured:
        assert client.post(at(verb, given), said, headers={"X-Outbox": "1"}).status_code == 200
    return len(captured)
