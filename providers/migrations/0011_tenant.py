from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("providers", "0010_credentials_and_objects")]

    operations = [
        migrations.AddField(
            model_name="providerconfiguration",
            name="tenant",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Whose people sign in. Microsoft: common (or empty), organizations, consumers, or one tenant by its id or domain.",
                max_length=255,
            ),
            preserve_default=False,
        ),
    ]
