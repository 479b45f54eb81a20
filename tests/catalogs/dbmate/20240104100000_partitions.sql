-- migrate:up
DO $$
DECLARE
    y integer;
BEGIN
    FOR y IN 2024..2026 LOOP
        EXECUTE format('CREATE TABLE books.entries_%s PARTITION OF books.entries FOR VALUES FROM (%L) TO (%L)',
                       y, make_date(y, 1, 1), make_date(y + 1, 1, 1));
    END LOOP;
END $$;

-- migrate:down
SELECT 1;
