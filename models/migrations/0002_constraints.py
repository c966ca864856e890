"""What the database itself refuses, and the indexes that queues and relations need."""

from models import migrating

from models.operations import AppendOnly, Check, PartialIndex

STATES = "'PENDING_PAYMENT', 'PAYING', 'RECHARGING', 'SUCCEEDED', 'FAILED'"


class Migration(migrating.Migration):
    dependencies = [("models", "0001_initial")]

    operations = [
        Check("recharge_order", "order_amount_positive", "amount_fen > 0"),
        Check("recharge_order", "order_version_positive", "version > 0"),
        Check("recharge_order", "order_state_known", f"state IN ({STATES})"),
        Check("recharge_order", "order_failure_explained", "(state = 'FAILED') = (failure_kind IS NOT NULL)"),
        Check("recharge_order", "order_refund_only_after_failure", "refund_state = 'NONE' OR state = 'FAILED'"),
        Check("payment_attempt", "payment_amount_positive", "amount_fen > 0"),
        Check("payment_attempt", "payment_number_in_range", "number BETWEEN 1 AND 99"),
        Check("payment_attempt", "payment_paid_has_transaction", "state <> 'PAID' OR transaction_id IS NOT NULL"),
        Check("refund", "refund_amount_positive", "amount_fen > 0"),
        Check("recharge_attempt", "recharge_succeeded_has_cost", "state <> 'SUCCEEDED' OR cost_fen IS NOT NULL"),
        Check("ledger_entry", "entry_amount_not_zero", "amount_fen <> 0"),
        Check("ledger_account", "account_version_not_negative", "version >= 0"),
        Check("ledger_account", "transit_never_debit", "code <> 'recharge_transit' OR balance_fen <= 0"),
        Check("ledger_account", "refunds_payable_never_debit", "code <> 'refunds_payable' OR balance_fen <= 0"),
        Check("ledger_account", "prepaid_no_overdraft", "code NOT LIKE 'customer_prepaid:%' OR balance_fen <= 0"),
        Check("price", "price_positive", "milliyuan_per_litre > 0"),
        Check("station", "station_latitude_in_range", "latitude BETWEEN -90 AND 90"),
        Check("station", "station_longitude_in_range", "longitude BETWEEN -180 AND 180"),
        Check("event", "event_position_positive", "position > 0"),
        AppendOnly("ledger_entry"),
        AppendOnly("ledger_transaction"),
        AppendOnly("order_transition"),
        PartialIndex("payment_attempt", "payment_one_open", "order_id", "state = 'OPEN'", unique=True),
        PartialIndex("recharge_attempt", "recharge_one_running", "order_id", "state = 'SUBMITTED'", unique=True),
        PartialIndex("refund", "refund_by_order", "order_id", ""),
        PartialIndex("ledger_entry", "entry_by_transaction", "transaction_id", ""),
        PartialIndex("station", "station_by_zone", "zone_id", ""),
        PartialIndex("event", "event_unpublished", "id", "published_at IS NULL"),
        PartialIndex("job", "job_waiting", "due_at", "done_at IS NULL AND parked_at IS NULL"),
    ]
