--! Previous: sha1:21eb8da48bd3f7f278e974c66671feb0b2b7ba00
--! Hash: sha1:dc03f9db3c45ffd7b8e56856df2e7c515c143b78

DROP FUNCTION IF EXISTS app_public.current_user_id();
CREATE FUNCTION app_public.current_user_id() RETURNS int AS $$
    SELECT nullif(current_setting('jwt.claims.user_id', true), '')::int
$$ LANGUAGE sql STABLE;
ALTER TABLE app_public.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY select_all ON app_public.users FOR SELECT USING (true);
CREATE POLICY update_self ON app_public.users FOR UPDATE USING (id = app_public.current_user_id());
