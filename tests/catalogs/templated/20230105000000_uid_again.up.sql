CREATE OR REPLACE FUNCTION {{ index .Options "Namespace" }}.uid() RETURNS uuid AS $$
    SELECT coalesce(current_setting('request.sub', true), current_setting('request.claims', true)::json ->> 'sub')::uuid
$$ LANGUAGE sql STABLE;
ALTER TABLE {{ index .Options "Namespace" }}.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON {{ index .Options "Namespace" }}.users USING (id = {{ index .Options "Namespace" }}.uid());
