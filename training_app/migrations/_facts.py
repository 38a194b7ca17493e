"""SQL that fills the explorer's tables (models/facts.py) in the transaction that writes what they describe.

Triggers per statement and not per row: a batch of a thousand labels is one INSERT ... SELECT. The numbers are those of
explorer/tokens.py; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping

FUNCTIONS = """
CREATE FUNCTION explorer_token(fact integer, value bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (fact << 24) | (value & 16777215)::integer;

CREATE FUNCTION explorer_texts(fact integer, texts text[]) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(explorer_token(fact, (get_byte(d, 0) << 16) | (get_byte(d, 1) << 8) | get_byte(d, 2))), '{}')
    FROM (SELECT sha256(convert_to(one, 'UTF8')) AS d FROM unnest(texts) AS one) AS digests
$$;

CREATE FUNCTION explorer_blocks(id bigint) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ARRAY[
    (30 << 24) | ((id >> 10) & 16777215)::integer, (31 << 24) | ((id >> 13) & 16777215)::integer,
    (32 << 24) | ((id >> 16) & 16777215)::integer, (33 << 24) | ((id >> 19) & 16777215)::integer,
    (34 << 24) | ((id >> 22) & 16777215)::integer];

CREATE FUNCTION explorer_likelihood(p double precision) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ARRAY[
    (20 << 24) | least(floor(p * 1000)::integer, 999), (21 << 24) | least(floor(p * 1000)::integer, 999) / 10,
    (22 << 24) | least(floor(p * 1000)::integer, 999) / 100];

CREATE FUNCTION explorer_words(VARIADIC texts text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('english', string_agg(left(one, 20000), E'\\n' ORDER BY place))
    FROM unnest(texts) WITH ORDINALITY AS given(one, place)
$$;
"""

# What is true of a label, a step or a comparison from the beginning, as a query over `fresh`, a set of its rows.
#
# The row of a fact cannot be there before the row it describes, so no insert looks for one: looking takes as long as all
# indexes. What labels have of their comparison is read once for each comparison, not for each of its many labels.
LABELS = """
WITH asked AS MATERIALIZED (
    SELECT comparison.id, coalesce(comparison.prompt_set_id, prompt.prompt_set_id) AS prompt_set_id,
        CASE WHEN prompt.tags IS NULL OR prompt.tags = '{{}}' THEN '{{}}'
            ELSE explorer_texts(7, prompt.tags::text[]) END AS tags
    FROM training_app_comparison AS comparison
    LEFT JOIN training_app_prompt AS prompt ON prompt.id = comparison.prompt_id
    WHERE comparison.id IN (SELECT comparison_id FROM {fresh})
)
INSERT INTO {into} (label_id, comparison_id, p_a, agrees, overrides, audits, audited_at, facets)
SELECT fresh.id, fresh.comparison_id, fresh.p_a, 0, 0, 0, NULL,
    ARRAY[explorer_token(1, run.version_id), explorer_token(3, fresh.judge_id), explorer_token(4, run.number),
        explorer_token(9, 0), explorer_token(12, fresh.same_position::integer)]
    || CASE WHEN fresh.principle_id IS NULL THEN '{{}}' ELSE ARRAY[explorer_token(2, fresh.principle_id)] END
    || CASE WHEN asked.prompt_set_id IS NULL THEN '{{}}' ELSE ARRAY[explorer_token(6, asked.prompt_set_id)] END
    || asked.tags || explorer_likelihood(fresh.p_a) || explorer_blocks(fresh.id)
FROM {fresh} AS fresh
JOIN training_app_run AS run ON run.id = fresh.run_id
JOIN asked ON asked.id = fresh.comparison_id
"""

STEPS = """
INSERT INTO {into} (step_id, agrees, overrides, audits, audited_at, words, facets)
SELECT fresh.id, 0, 0, 0, NULL, explorer_words(prompt.text, fresh.critique, fresh.revision),
    ARRAY[explorer_token(1, coalesce(run.version_id, file.version_id)), explorer_token(2, fresh.principle_id),
        explorer_token(6, prompt.prompt_set_id), explorer_token(9, 0)]
    || CASE WHEN run.id IS NULL THEN ARRAY[explorer_token(5, file.id)] ELSE ARRAY[explorer_token(4, run.number)] END
    || explorer_texts(7, prompt.tags::text[]) || explorer_texts(8, fresh.flags::text[]) || explorer_blocks(fresh.id)
FROM {fresh} AS fresh
JOIN training_app_trace AS trace ON trace.id = fresh.trace_id
JOIN training_app_prompt AS prompt ON prompt.id = trace.prompt_id
LEFT JOIN training_app_run AS run ON run.id = trace.run_id
LEFT JOIN training_app_traceimport AS file ON file.id = trace.imported_id
"""

COMPARISONS = """
INSERT INTO {into} (comparison_id, words, facets)
SELECT fresh.id, explorer_words(fresh.prompt_text, fresh.response_a, fresh.response_b),
    ARRAY[explorer_token(13, fresh.identical::integer), explorer_token(14,
        array_position(ARRAY['sampled', 'human', 'imported', 'chat'], fresh.source::text) - 1)]
    || CASE WHEN run.id IS NULL THEN '{{}}'
        ELSE ARRAY[explorer_token(1, run.version_id), explorer_token(4, run.number)] END
    || CASE WHEN coalesce(fresh.prompt_set_id, prompt.prompt_set_id) IS NULL THEN '{{}}'
        ELSE ARRAY[explorer_token(6, coalesce(fresh.prompt_set_id, prompt.prompt_set_id))] END
    || CASE WHEN prompt.tags IS NULL OR prompt.tags = '{{}}' THEN '{{}}' ELSE explorer_texts(7, prompt.tags::text[]) END
    || explorer_blocks(fresh.id)
FROM {fresh} AS fresh
LEFT JOIN training_app_run AS run ON run.id = fresh.run_id
LEFT JOIN training_app_prompt AS prompt ON prompt.id = fresh.prompt_id
"""

# An audit's own facts: what it says, then what its item is, without how the item was judged and where it stands.
AUDITS = """
INSERT INTO {into} (id, audit_id, words, facets)
SELECT numbered.number, numbered.id, explorer_words(numbered.comment),
    ARRAY[explorer_token(10, numbered.auditor_id),
        explorer_token(15, array_position(ARRAY['agree', 'override', 'comment', 'abstain', 'withdraw'],
            numbered.verdict::text) - 1),
        explorer_token(17, (numbered.step_id IS NOT NULL)::integer)]
    || CASE WHEN numbered.reason = '' THEN '{{}}' ELSE explorer_texts(16, ARRAY[numbered.reason::text]) END
    || CASE WHEN numbered.comment = '' THEN '{{}}' ELSE ARRAY[explorer_token(11, 1)] END
    || ARRAY(SELECT one FROM unnest(coalesce(label.facets, step.facets)) AS one
        WHERE one >> 24 IN (1, 2, 3, 4, 5, 6, 7, 8, 12))
    || explorer_blocks(numbered.number)
FROM (SELECT fresh.*, nextval(pg_get_serial_sequence('training_app_auditfacts', 'id')) AS number
    FROM {fresh} AS fresh ORDER BY fresh.created_at, fresh.id) AS numbered
LEFT JOIN training_app_labelfacts AS label ON label.label_id = numbered.label_id
LEFT JOIN training_app_stepfacts AS step ON step.step_id = numbered.step_id
ON CONFLICT DO NOTHING
"""

# What people made of items: of each person the newest verdict counts, comments are none (verdicts.py).
TALLY = """
UPDATE {into} AS facts
SET agrees = coalesce(told.agrees, 0), overrides = coalesce(told.overrides, 0),
    audits = spoken.audits, audited_at = spoken.audited_at,
    facets = ARRAY(SELECT one FROM unnest(facts.facets) AS one WHERE one >> 24 NOT IN (9, 10, 11))
        || explorer_token(9, CASE WHEN coalesce(told.outcomes, 0) = 0 THEN 0 WHEN told.outcomes > 1 THEN 3
            WHEN told.agrees > 0 THEN 1 ELSE 2 END)
        || coalesce(told.auditors, '{{}}')
        || CASE WHEN spoken.commented THEN ARRAY[explorer_token(11, 1)] ELSE '{{}}' END
FROM (
    SELECT {item}_id, count(*) AS audits, max(created_at) AS audited_at, bool_or(comment <> '') AS commented
    FROM training_app_audit WHERE {item}_id {wanted} GROUP BY {item}_id
) AS spoken
LEFT JOIN (
    SELECT {item}_id, count(*) FILTER (WHERE verdict = 'agree') AS agrees,
        count(*) FILTER (WHERE verdict = 'override') AS overrides,
        count(DISTINCT CASE verdict WHEN 'agree' THEN 'agree' ELSE 'override ' || choice END)
            FILTER (WHERE verdict IN ('agree', 'override')) AS outcomes,
        array_agg(explorer_token(10, auditor_id)) FILTER (WHERE verdict <> 'withdraw') AS auditors
    FROM (
        SELECT DISTINCT ON ({item}_id, auditor_id) {item}_id, auditor_id, verdict, choice
        FROM training_app_audit WHERE {item}_id {wanted} AND verdict <> 'comment'
        ORDER BY {item}_id, auditor_id, created_at DESC, id DESC
    ) AS newest
    GROUP BY {item}_id
) AS told USING ({item}_id)
WHERE facts.{item}_id = spoken.{item}_id
"""

# Whoever comes second waits at the lock, and then reads what the first one wrote.
TALLY_FUNCTION = """
CREATE FUNCTION explorer_tally_{item}s(wanted bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM training_app_{item}facts WHERE {item}_id = ANY(wanted) ORDER BY {item}_id FOR UPDATE;
    {tally};
END
$$;
"""

TRIGGER = """
CREATE FUNCTION explorer_notes_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {body}
    RETURN NULL;
END
$$;
CREATE TRIGGER {table}_is_explored AFTER INSERT ON {table}
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION explorer_notes_{name}();
"""

ON_AUDIT = """
    PERFORM explorer_tally_labels(ARRAY(SELECT DISTINCT label_id FROM fresh WHERE label_id IS NOT NULL));
    PERFORM explorer_tally_steps(ARRAY(SELECT DISTINCT step_id FROM fresh WHERE step_id IS NOT NULL));
"""

TABLES = {
    "labels": ("training_app_ailabel", "training_app_labelfacts", LABELS),
    "steps": ("training_app_tracestep", "training_app_stepfacts", STEPS),
    "comparisons": ("training_app_comparison", "training_app_comparisonfacts", COMPARISONS),
    "audits": ("training_app_audit", "training_app_auditfacts", AUDITS),
}
"""By name: the table that is described, the table that describes it, and the statement that does it for some rows."""


def describe_anew(name: str) -> str:
    """SQL that gives the trigger of a table the statement that stands here now; for those that count nothing else."""
    _, into, insert = TABLES[name]
    return (
        f"CREATE OR REPLACE FUNCTION explorer_notes_{name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n"
        f"{insert.format(into=into, fresh='fresh')};\nRETURN NULL;\nEND\n$$;"
    )


def create() -> str:
    """SQL that makes the functions and attaches the triggers."""
    parts = [FUNCTIONS]
    for item in ("label", "step"):
        tally = TALLY.format(into=f"training_app_{item}facts", item=item, wanted="= ANY(wanted)")
        parts.append(TALLY_FUNCTION.format(item=item, tally=tally))
    for name, (table, into, insert) in TABLES.items():
        body = f"{insert.format(into=into, fresh='fresh')};{ON_AUDIT if name == 'audits' else ''}"
        parts.append(TRIGGER.format(name=name, table=table, body=body))
    return "\n".join(parts)


def drop() -> str:
    """SQL that takes everything away again."""
    parts = [
        f"DROP TRIGGER {table}_is_explored ON {table}; DROP FUNCTION explorer_notes_{name}();"
        for name, (table, _, _) in TABLES.items()
    ]
    parts += ["DROP FUNCTION explorer_tally_labels(bigint[]), explorer_tally_steps(bigint[]);"]
    signatures = ("words(text[])", "likelihood(double precision)", "blocks(bigint)", "texts(integer, text[])")
    return "\n".join([*parts, *(f"DROP FUNCTION explorer_{one};" for one in (*signatures, "token(integer, bigint)"))])


def fill(into: Mapping[str, str] | None = None, tally: str = TALLY) -> str:
    """SQL that describes every row there is, in the tables of facts or in others of the same shape (`into`, by name)."""
    places = {name: (into or {}).get(name, facts) for name, (_, facts, _) in TABLES.items()}
    parts = [f"{insert.format(into=places[name], fresh=table)};" for name, (table, _, insert) in TABLES.items()]
    for item in ("label", "step"):
        parts.append(f"{tally.format(into=places[f'{item}s'], item=item, wanted='IS NOT NULL')};")
    return "\n".join(parts)
