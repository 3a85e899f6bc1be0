from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("providers", "0005_account_notice")]

    operations = [
        migrations.AddField(
            model_name="externalcalendar",
            name="quarantined_count",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="quarantinedevent",
            name="listing",
            field=models.BigIntegerField(default=0, editable=False),
        ),
    ]
