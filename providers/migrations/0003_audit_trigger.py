from django.db import migrations

# TRUNCATE fires no row trigger: emptying a whole test database goes on working.
POSTGRESQL = (
    """
    CREATE FUNCTION providers_auditentry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'The audit log is append-only.' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER providers_auditentry_append_only BEFORE UPDATE OR DELETE
    ON providers_auditentry FOR EACH ROW EXECUTE FUNCTION providers_auditentry_is_append_only()
    """,
)
# Not for DELETE: SQLite has no TRUNCATE, and `flush` deletes row by row. On SQLite a later migration
# that alters the table makes it anew, and has to make this trigger anew, too.
SQLITE = (
    """
    CREATE TRIGGER providers_auditentry_append_only BEFORE UPDATE ON providers_auditentry
    BEGIN SELECT RAISE(ABORT, 'The audit log is append-only.'); END
    """,
)


def protect(apps, schema_editor):
    statements = {"postgresql": POSTGRESQL, "sqlite": SQLITE}[schema_editor.connection.vendor]
    for statement in statements:
        schema_editor.execute(statement)


def release(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER providers_auditentry_append_only")
        return
    schema_editor.execute("DROP TRIGGER providers_auditentry_append_only ON providers_auditentry")
    schema_editor.execute("DROP FUNCTION providers_auditentry_is_append_only")


class Migration(migrations.Migration):
    dependencies = [("providers", "0002_trust")]

    operations = [migrations.RunPython(protect, release)]
