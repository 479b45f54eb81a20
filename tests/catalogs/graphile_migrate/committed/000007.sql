--! Previous: sha1:5fc9b8b527b657c6fe9827e63b84d909762e0853
--! Hash: sha1:a5419522b59e528fbce9050fc3c309ce2c8ab487

-- The function is made again with another result, and the policy that calls it with it.
DROP POLICY update_self ON app_public.users;
DROP FUNCTION app_public.current_user_id() CASCADE;
CREATE FUNCTION app_public.current_user_id() RETURNS bigint AS $$
    SELECT nullif(current_setting('jwt.claims.user_id', true), '')::bigint
$$ LANGUAGE sql STABLE;
CREATE POLICY update_self ON app_public.users FOR UPDATE USING (id = app_public.current_user_id());
GRANT SELECT, UPDATE (username) ON app_public.users TO :DATABASE_VISITOR;
