CREATE TYPE size AS ENUM ('small', 'large');
CREATE TABLE countries (code text PRIMARY KEY, name text);
INSERT INTO countries VALUES ('at', 'Austria'), ('ch', 'Switzerland');

CREATE TABLE goods (
    id bigserial PRIMARY KEY,
    label text NOT NULL UNIQUE,
    sort size,
    country text REFERENCES countries,
    bestseller bigint
);
CREATE TABLE sales (
    id int GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY,
    good bigint NOT NULL REFERENCES goods ON DELETE RESTRICT,
    note text
);
ALTER TABLE goods ADD FOREIGN KEY (bestseller) REFERENCES sales DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE visits (at date NOT NULL, page text, PRIMARY KEY (at, page)) PARTITION BY RANGE (at);
CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE visits_new PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);

CREATE TABLE counts (label text PRIMARY KEY, n int NOT NULL);
CREATE FUNCTION count_goods() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counts VALUES (NEW.label, 1) ON CONFLICT (label) DO UPDATE SET n = counts.n + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER goods_count AFTER INSERT OR UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION count_goods();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'nothing is deleted here';
END $$;
CREATE TRIGGER counts_stay BEFORE DELETE ON counts FOR EACH ROW EXECUTE FUNCTION refuse();

CREATE TABLE watched (x int);
CREATE TRIGGER watched_stay BEFORE DELETE ON watched FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE watched ENABLE ALWAYS TRIGGER watched_stay;

CREATE SEQUENCE tickets START 5 INCREMENT 3;
SELECT nextval('tickets');
CREATE SEQUENCE turns;
SELECT setval('turns', 40, false);

CREATE TABLE diary (day date PRIMARY KEY, entry text);
CREATE RULE diary_stays AS ON DELETE TO diary DO INSTEAD NOTHING;
ALTER TABLE diary ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE VIEW cheap AS SELECT id FROM goods WHERE sort = 'small';
CREATE MATERIALIZED VIEW total AS SELECT 1 AS one, count(*) AS n FROM goods;
CREATE UNIQUE INDEX total_one ON total (one);
