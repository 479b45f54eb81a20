--! Previous: sha1:070b0232b41a741425cdb8e9cc5506f0d0125250
--! Hash: sha1:21eb8da48bd3f7f278e974c66671feb0b2b7ba00

DROP TABLE IF EXISTS app_public.users CASCADE;
CREATE TABLE app_public.users (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    username text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE app_private.user_secrets (
    user_id int PRIMARY KEY REFERENCES app_public.users ON DELETE CASCADE,
    password_hash text
);
