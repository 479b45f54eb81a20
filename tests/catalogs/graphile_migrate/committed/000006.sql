--! Previous: sha1:1c9c3a48aac66e63f56f0b1ed611e92ce05b8c64
--! Hash: sha1:5fc9b8b527b657c6fe9827e63b84d909762e0853

--! no-transaction
CREATE INDEX CONCURRENTLY memberships_owner ON app_public.memberships (organization_id) WHERE is_owner;
