--! Previous: sha1:c751e8c93ae6d1bdd833c4878a3644d1fbf7fd78
--! Hash: sha1:1c9c3a48aac66e63f56f0b1ed611e92ce05b8c64

CREATE TABLE app_public.organizations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug text NOT NULL UNIQUE
);
CREATE TABLE app_public.memberships (
    organization_id uuid NOT NULL REFERENCES app_public.organizations ON DELETE CASCADE,
    user_id int NOT NULL REFERENCES app_public.users ON DELETE CASCADE,
    is_owner boolean NOT NULL DEFAULT false,
    UNIQUE (organization_id, user_id)
);
CREATE INDEX ON app_public.memberships (user_id);
COMMENT ON TABLE app_public.memberships IS E'@omit create,update\nWho belongs where.';
CREATE FUNCTION app_public.my_organizations() RETURNS SETOF uuid AS $$
    SELECT organization_id FROM app_public.memberships WHERE user_id = app_public.current_user_id()
$$ LANGUAGE sql STABLE SECURITY DEFINER;
ALTER TABLE app_public.organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY select_member ON app_public.organizations FOR SELECT USING (id IN (SELECT app_public.my_organizations()));
