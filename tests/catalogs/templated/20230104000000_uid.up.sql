CREATE OR REPLACE FUNCTION {{ index .Options "Namespace" }}.uid() RETURNS uuid AS $$
    SELECT nullif(current_setting('request.sub', true), '')::uuid
$$ LANGUAGE sql STABLE;
