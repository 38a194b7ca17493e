"""Annotated pairs of whatever fits a question of the explorer, read stretch by stretch of its keys.

* AI labels: their comparisons, each once, where the first of its labels that fit lies; a label is the preference of
  its principle under its judge. Where a principle and a judge gave several (in several runs), the newest counts and the
  others stand in "earlier".
* Comparisons: with all their labels, and what people chose.
* Steps: the text before the revision (a) and the revision (b), which the critic prefers unless it changed nothing.
* Audits: the pair that was judged, once; each auditor under its principle is an annotator, with the newest verdict.

Left out: what its reader has yet to judge blind, comments without a verdict. Where a pair stands goes by what is told
alone, else the order would say which of the hidden labels fit. "Once" holds while nothing changes: where a question
asks for what people say, a comparison of which something is said meanwhile may stand there again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db.models import F, Min, QuerySet

from training_app import verdicts
from training_app.core.annotated_pairs import HEAD, Pair, closing, pair_line
from training_app.export_annotators import PEOPLE, Annotators
from training_app.export_veil import Veil
from training_app.models import AILabel, Audit, Comparison, PromptSet, Run, TraceStep
from training_app.preference_rows import NOT_TRAINED_ON, NOTHING, LeftOut, Row, audited
from training_app.verdicts import Final

AT_ONCE = 500
"""Pairs whose texts are in memory together."""
LOGPS = ("ab_logp_a", "ab_logp_b", "ba_logp_a", "ba_logp_b")
OF_LABELS = ("run_id", "comparison_id", "principle_id", "judge_id", "p_a", "p_a_clamped", *LOGPS)
"""The columns that are told of a label."""
UNREAD = ("label__question", "label__sent_ab", "label__sent_ba", "label__votes", "step__sent_critique",
          "step__sent_revision")  # fmt: skip
"""Long columns of what an audit is about, which are not told with it."""
TALK = {"user": "Human", "assistant": "Assistant"}
NO_VERDICT = {Audit.Verdict.ABSTAIN: "cannot tell", Audit.Verdict.WITHDRAW: "taken back"}


@dataclass
class Pairs:
    """The pairs of a question. `fits`: its items, without those left out; what they are called is `kind`.

    `veil`: keeps texts back; None where there is none. `by_key`: pairs are called by the key that a comparison has in
    its run or set, not by its number.
    """

    kind: str
    fits: QuerySet[Any]
    first: int
    last: int
    about: Row
    left_out: LeftOut = NOTHING
    veil: Veil | None = None
    by_key: bool = False
    annotators: Annotators = field(default_factory=Annotators)
    people: QuerySet[Comparison] | None = None
    """Comparisons that stand behind the others with what people chose."""
    _runs: dict[UUID, tuple[int, int]] = field(default_factory=dict)

    head = HEAD.encode()

    def between(self, low: int, high: int, done: int) -> Iterator[bytes]:
        """The pairs of a stretch, each with one line break; `done` stand in the file before them."""
        found = {"label": self._of_labels, "comparison": self._of_comparisons, "step": self._of_steps,
                 "audit": self._of_audits}[self.kind](low, high)  # fmt: skip
        return _lines(found, done)

    def rest(self, done: int) -> Iterator[bytes]:
        """Those that have no place among the keys, in the same way."""
        rows = self.people.order_by("pk").iterator(chunk_size=AT_ONCE) if self.people is not None else ()
        return _lines((self._pair(one, self._chosen(one)) for one in rows), done)

    def close(self) -> bytes:
        """What stands behind the pairs."""
        default = PEOPLE if self.annotators.has_people else ""
        return closing(self.annotators.all(), default=default, metadata=self.about).encode()

    def columns(self) -> Row:
        """What whoever goes on needs to know."""
        return {"noted": self.annotators.noted}

    def _of_labels(self, low: int, high: int) -> Iterator[Pair]:
        mine = self.fits.order_by().filter(pk__gte=low, pk__lte=high).values_list("comparison_id")
        places = sorted((place, one) for one, place in mine.annotate(Min("pk")))
        for some in _pieces([one for _, one in places]):
            fits = self.fits.order_by().filter(comparison__in=some)
            begun = set(fits.filter(pk__gte=self.first, pk__lt=low).values_list("comparison_id", flat=True))
            fresh = [one for one in some if one not in begun]
            labels = self._labels(fits.filter(comparison__in=fresh, pk__gte=low, pk__lte=self.last))
            yield from self._compared([one for one in fresh if one in labels], labels)

    def _of_comparisons(self, low: int, high: int) -> Iterator[Pair]:
        keys = self.fits.filter(pk__gte=low, pk__lte=high).order_by("pk").values_list("pk", flat=True)
        for some in _pieces(list(keys)):
            yield from self._compared(some, self._labels(AILabel.objects.filter(comparison__in=some)))

    def _compared(self, keys: Sequence[int], labels: dict[int, list[AILabel]]) -> Iterator[Pair]:
        """Comparisons with these labels, and what people chose. Three queries."""
        changed = verdicts.overridden_among(labels=[one.pk for key in keys for one in labels.get(key, ())])
        pairs = _comparisons().in_bulk(keys)
        for key in keys:
            said: Row = {}
            for label in labels.get(key, ()):
                run, version = self._run_of(label)
                _say(said, self.annotators.of_label(label, version), _preferred(label, run, changed.get(label.pk)))
            yield self._pair(pairs[key], said | self._chosen(pairs[key]))

    def _labels(self, rows: QuerySet[AILabel]) -> dict[int, list[AILabel]]:
        """Comparison → its labels that may be told, by number."""
        told = rows.order_by("pk").only(*OF_LABELS)
        found: dict[int, list[AILabel]] = defaultdict(list)
        for label in told:
            if label.pk not in self.left_out.labels:
                found[label.comparison_id].append(label)
        return found

    def _run_of(self, label: AILabel) -> tuple[int, int]:
        """The number of a label's run, and its version. A query for each run, once."""
        if label.run_id not in self._runs:
            self._runs[label.run_id] = Run.objects.values_list("number", "version_id").get(pk=label.run_id)
        return self._runs[label.run_id]

    def _chosen(self, comparison: Comparison) -> Row:
        if not comparison.human_choice or comparison.pk in self.left_out.comparisons:
            return {}
        return {self.annotators.people(): {"pref": comparison.human_choice}}

    def _of_steps(self, low: int, high: int) -> Iterator[Pair]:
        keys = self.fits.filter(pk__gte=low, pk__lte=high).order_by("pk").values_list("pk", flat=True)
        for some in _pieces(list(keys)):
            changed = verdicts.overridden_among(steps=some)
            for step, before in _steps(some):
                kept = bool(step.revision) and not set(step.flags) & set(NOT_TRAINED_ON)
                said: Row = {"pref": "b"} if kept else {"pref": None, "no_pref_reason": "no change"}
                said |= {"step": step.pk, "flags": step.flags, **audited(changed.get(step.pk))}
                yield self._revised(step, before, {self.annotators.of_step(step): said})

    def _of_audits(self, low: int, high: int) -> Iterator[Pair]:
        placed = self.fits.annotate(place=F("facts__pk")).order_by("place")
        met = placed.filter(place__gte=low, place__lte=high).values_list("label__comparison_id", "step_id")
        for some in _pieces(list(dict.fromkeys(met))):
            pairs, steps = ([one[place] for one in some if one[place]] for place in (0, 1))
            rows = placed.filter(place__gte=self.first, place__lte=self.last)
            rows = rows.select_related("label", "step").defer(*UNREAD)
            of_pairs, of_steps = defaultdict(list), defaultdict(list)
            for one in rows.filter(label__comparison__in=pairs):
                of_pairs[one.label.comparison_id].append(one)
            for one in rows.filter(step__in=steps):
                of_steps[one.step_id].append(one)
            compared = _comparisons().in_bulk(pairs)
            revised = {step.pk: (step, before) for step, before in _steps(steps)}
            for pair, judged in some:
                said = of_pairs[pair] if pair else of_steps[judged]
                is_begun = any(one.place < low for one in said)
                if not is_begun and (opinions := self._opinions(said)):
                    yield self._pair(compared[pair], opinions) if pair else self._revised(*revised[judged], opinions)

    def _opinions(self, audits: Sequence[Audit]) -> Row:
        said: Row = {}
        for audit in audits:
            if audit.verdict != Audit.Verdict.COMMENT:
                _say(said, self.annotators.of_audit(audit), _opinion(audit))
        return said

    def _pair(self, comparison: Comparison, annotations: Row) -> Pair:
        metadata: Row = {"source": comparison.source, "identical": comparison.identical}
        name = comparison.key if self.by_key else f"comparison-{comparison.pk}"
        metadata |= {} if self.by_key else {"key": comparison.key}
        texts = (comparison.messages, comparison.prompt_text, comparison.response_a, comparison.response_b)
        tags, kind = (getattr(comparison, one, None) for one in ("tags", "set_kind"))
        provokes = kind == PromptSet.Kind.RED_TEAM or comparison.source == Comparison.Source.CHAT
        return self._veiled(Pair(name, "", "", "", annotations, metadata=metadata), texts, tags or (), provokes)

    def _revised(self, step: TraceStep, before: str, annotations: Row) -> Pair:
        prompt = step.trace.prompt
        metadata: Row = {"source": "revision", "trace": step.trace_id, "round": step.round}
        texts = (prompt.messages, prompt.text, before, step.revision)
        provokes = prompt.prompt_set.kind == PromptSet.Kind.RED_TEAM
        pair = Pair(f"step-{step.pk}", "", "", "", annotations, metadata=metadata)
        return self._veiled(pair, texts, prompt.tags, provokes)

    def _veiled(self, pair: Pair, texts: tuple[Any, str, str, str], tags: Sequence[str], provokes: bool) -> Pair:
        """The pair with its texts, unless they are veiled."""
        messages, text, one, other = texts
        metadata = dict(pair.metadata)
        if self.veil is not None:
            severity, hides = self.veil.of(tags, provokes)
            metadata |= {"severity": severity, "veiled": hides}
            if hides:
                return replace(pair, metadata=metadata)
        turns = [f"{TALK.get(turn['role'], turn['role'])}: {turn['content']}" for turn in messages]
        metadata |= {"messages": messages} if len(messages) > 1 else {}
        asked = "\n\n".join(turns) if len(messages) > 1 else text
        return replace(pair, prompt=asked, response_a=one, response_b=other, metadata=metadata)


def _lines(pairs: Iterator[Pair], done: int) -> Iterator[bytes]:
    for place, pair in enumerate(pairs, start=done):
        yield pair_line(pair, is_first=not place).encode()


def _say(said: Row, who: str, word: Row) -> None:
    """Add what somebody says, the newest first; what they said before stays as "earlier"."""
    before = said.get(who)
    if before is not None:
        word = {**word, "earlier": [*before.pop("earlier", ()), before]}
    said[who] = word


def _preferred(label: AILabel, run: int, final: Final | None) -> Row:
    said: Row = {"pref": label.ai_choice or None, "p_a": label.p_a, "p_a_clamped": label.p_a_clamped}
    said |= {} if label.ai_choice else {"no_pref_reason": "tie"}
    said |= {name: getattr(label, name) for name in LOGPS}
    return said | {"label": label.pk, "run": run, **audited(final)}


def _opinion(audit: Audit) -> Row:
    """What a verdict prefers: of a label its choice, or that of the AI where it agrees; of a step "b" the revision."""
    chosen = audit.choice
    if audit.label is not None and audit.verdict == Audit.Verdict.AGREE:
        chosen = chosen or audit.label.ai_choice or Audit.Choice.NEITHER
    elif audit.step is not None:
        better = audit.revision_better
        better = audit.verdict == Audit.Verdict.AGREE if better is None else better
        chosen = Audit.Choice.B if better else Audit.Choice.A
    said: Row = {"pref": chosen if chosen in ("a", "b") else None}
    if reason := NO_VERDICT.get(Audit.Verdict(audit.verdict), "" if said["pref"] else "tie"):
        said = {"pref": None, "no_pref_reason": reason}
    about = {"label": audit.label_id} if audit.label_id else {"step": audit.step_id}
    return said | {"audit": str(audit.pk), "verdict": audit.verdict, "confidence": audit.confidence,
                   "reason": audit.reason, "comment": audit.comment, "blind": audit.blind, **about}  # fmt: skip


def _comparisons() -> QuerySet[Comparison]:
    """With what is known of how harmful their texts may be: the tags of the prompt, and what kind of set it is from."""
    return Comparison.objects.annotate(tags=F("prompt__tags"), set_kind=F("prompt__prompt_set__kind"))


def _steps(keys: Collection[int]) -> Iterator[tuple[TraceStep, str]]:
    """Steps with the text that each was to revise, in the order of the keys. Two queries."""
    related = TraceStep.objects.select_related("trace__prompt__prompt_set")
    found = related.defer("sent_critique", "sent_revision", "critique_request", "revision_request").in_bulk(list(keys))
    traces = {one.trace_id for one in found.values()}
    made = TraceStep.objects.filter(trace__in=traces).values_list("trace_id", "round", "revision")
    revisions = {(trace, at): text for trace, at, text in made}
    for key in keys:
        step = found[key]
        yield step, revisions.get((step.trace_id, step.round - 1)) or step.trace.initial_response


def _pieces(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE))
