--! Previous: sha1:a5419522b59e528fbce9050fc3c309ce2c8ab487
--! Hash: sha1:1e49e0165a0599aed4c2f0d428afc034d51863b8

ALTER TABLE app_public.memberships RENAME TO members;
CREATE OR REPLACE FUNCTION app_public.my_organizations() RETURNS SETOF uuid AS $$
    SELECT organization_id FROM app_public.members WHERE user_id = app_public.current_user_id()
$$ LANGUAGE sql STABLE SECURITY DEFINER;
ALTER TABLE app_public.members ADD PRIMARY KEY (organization_id, user_id);
