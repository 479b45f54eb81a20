--! Previous: sha1:dc03f9db3c45ffd7b8e56856df2e7c515c143b78
--! Hash: sha1:c751e8c93ae6d1bdd833c4878a3644d1fbf7fd78

CREATE FUNCTION app_private.tg__add_secret() RETURNS trigger AS $$
BEGIN
    INSERT INTO app_private.user_secrets (user_id) VALUES (NEW.id);
    RETURN NEW;
END;
$$ LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path TO pg_catalog, public, pg_temp;
CREATE TRIGGER _500_add_secret AFTER INSERT ON app_public.users
    FOR EACH ROW EXECUTE PROCEDURE app_private.tg__add_secret();
