CREATE TABLE history (at timestamptz NOT NULL DEFAULT now(), relation text NOT NULL, row_id text);

CREATE OR REPLACE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (relation, row_id) VALUES (TG_TABLE_NAME, NEW.id::text);
    RETURN NEW;
END $$;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['customers', 'orders'] LOOP
        EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION remember()',
                       t || '_history', t);
    END LOOP;
END $$;
