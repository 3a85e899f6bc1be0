from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("providers", "0011_tenant")]

    operations = [
        migrations.AddField(
            model_name="notificationchannel",
            name="prolonged_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
