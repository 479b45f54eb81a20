-- migrate:up
ALTER TABLE books.periods ENABLE ROW LEVEL SECURITY;
ALTER TABLE books.periods FORCE ROW LEVEL SECURITY;
-- The function comes before the table that its body reads.
SET LOCAL check_function_bodies = off;
CREATE FUNCTION books.may_close(who name) RETURNS boolean LANGUAGE sql STABLE
    AS 'SELECT EXISTS (SELECT 1 FROM books.closers c WHERE c.who = $1)';
CREATE TABLE books.closers (who name PRIMARY KEY);
CREATE POLICY read_periods ON books.periods FOR SELECT TO clerk USING (true);
CREATE POLICY close_periods ON books.periods FOR UPDATE TO clerk USING (books.may_close(current_user)) WITH CHECK (NOT closed);
GRANT UPDATE (closed) ON books.periods TO clerk;
GRANT ALL ON books.closers TO "Head of Books" WITH GRANT OPTION;
REVOKE SELECT ON books.closers FROM clerk;

-- migrate:down
SELECT 1;
