-- migrate:up
CREATE SEQUENCE books.entry_ids AS bigint CACHE 20;
ALTER TABLE books.entries ALTER COLUMN id SET DEFAULT nextval('books.entry_ids');
ALTER SEQUENCE books.entry_ids OWNED BY books.entries.id;
ALTER TABLE books.entries REPLICA IDENTITY USING INDEX entries_pkey;

-- migrate:down
SELECT 1;
