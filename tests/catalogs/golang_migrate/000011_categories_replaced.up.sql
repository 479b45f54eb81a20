-- A table is replaced by a copy of another shape, under its own name.
CREATE TABLE categories_new (LIKE categories INCLUDING ALL, slug text);
INSERT INTO categories_new (id, title, slug) SELECT id, title, lower(title) FROM categories;
ALTER TABLE items DROP CONSTRAINT items_category_id_fkey;
ALTER SEQUENCE categories_id_seq OWNED BY categories_new.id;
DROP TABLE categories;
ALTER TABLE categories_new RENAME TO categories;
ALTER TABLE items ADD CONSTRAINT items_category_id_fkey FOREIGN KEY (category_id) REFERENCES categories (id) NOT VALID;
ALTER TABLE items VALIDATE CONSTRAINT items_category_id_fkey;
