"""SQL that makes PostgreSQL refuse UPDATE, DELETE and TRUNCATE on a table. Used by the migrations of both apps."""

from __future__ import annotations

FREEZE_FUNCTION = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is frozen: % was refused and nothing was changed', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
"""

UNFREEZE_FUNCTION = "DROP FUNCTION refuse_change();"


def freeze(table: str) -> str:
    """SQL that attaches the refusing triggers; table names come from our own migrations, never from users."""
    return f"""
    CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE ON {table}
        FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """


def unfreeze(table: str) -> str:
    """SQL that takes the triggers away again, for unapplying a migration."""
    return f"""
    DROP TRIGGER {table}_refuses_change ON {table};
    DROP TRIGGER {table}_refuses_truncate ON {table};
    """
