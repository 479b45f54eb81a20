-- A column that was text becomes a key, in three statements that only work in this order.
DELETE FROM {{ index .Options "Namespace" }}.tokens t
    WHERE NOT EXISTS (SELECT FROM {{ index .Options "Namespace" }}.users u WHERE u.id::text = t.user_id);
ALTER TABLE {{ index .Options "Namespace" }}.tokens ALTER COLUMN user_id TYPE uuid USING user_id::uuid;
ALTER TABLE {{ index .Options "Namespace" }}.tokens ADD FOREIGN KEY (user_id) REFERENCES {{ index .Options "Namespace" }}.users;
