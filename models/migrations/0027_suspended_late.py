"""What an account did not hold enough for may be booked into suspense later, which is a step of its own."""

from tortoise import fields

from kernel.states import DifferenceStep
from models import migrating
from models.operations import Redescribe


class Migration(migrating.Migration):
    dependencies = [('models', '0026_organisations')]

    initial = False

    operations = [
        Redescribe(
            model_name='ReconciliationStep',
            name='step',
            field=fields.CharEnumField(description='FOUND: FOUND\nGRACE_OVER: GRACE_OVER\nFOUND_AGAIN: FOUND_AGAIN\nSUSPENDED: SUSPENDED\nPROPOSED: PROPOSED\nAPPROVED: APPROVED\nSELF_RESOLVED: SELF_RESOLVED\nOVERTAKEN: OVERTAKEN', enum_type=DifferenceStep, max_length=16),
        ),
    ]
