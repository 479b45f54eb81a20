-- migrate:up
CREATE TABLE books.currencies (code char(3) PRIMARY KEY, digits smallint NOT NULL DEFAULT 2, name text);
COPY books.currencies (code, digits, name) FROM stdin;
EUR	2	Euro
JPY	0	Yen; no sen
XXX	2	\N
\.
ALTER TABLE books.entries ADD COLUMN currency char(3) NOT NULL DEFAULT 'EUR' REFERENCES books.currencies;

-- migrate:down
DROP TABLE books.currencies CASCADE;
