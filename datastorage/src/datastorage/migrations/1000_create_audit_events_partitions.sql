-- The first two months of audit_events. Those that follow are made by policy: [partitions.audit_events] in pgslate.toml.

-- +goose Up

-- +goose StatementBegin
DO $$
DECLARE
    first_day date;
BEGIN
    FOREACH first_day IN ARRAY ARRAY[date '2025-12-01', date '2026-01-01'] LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)',
            'audit_events_y' || to_char(first_day, 'YYYY') || 'm' || to_char(first_day, 'MM'),
            first_day,
            (first_day + interval '1 month')::date
        );
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- +goose Down

-- Detached first: a partition that a foreign key may point into can't be dropped as it stands.
ALTER TABLE audit_events DETACH PARTITION audit_events_y2026m01;
DROP TABLE audit_events_y2026m01;
ALTER TABLE audit_events DETACH PARTITION audit_events_y2025m12;
DROP TABLE audit_events_y2025m12;
