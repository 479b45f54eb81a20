DROP FUNCTION set_updated_at(); DROP FUNCTION manage_updated_at(regclass);
