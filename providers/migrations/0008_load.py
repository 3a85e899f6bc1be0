from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('providers', "0007_push"),
    ]

    operations = [
        migrations.AddIndex(
            model_name='externalcalendar',
            index=models.Index(condition=models.Q(('lease_until__isnull', False)), fields=['lease_until'], name='sync_running'),
        ),
    ]
