INSERT INTO {{.prefix}}_places (name, at, kind) VALUES ('Postojna', point(14.2, 45.8), 'cave');
CREATE VIEW caves AS SELECT id, name FROM {{.prefix}}_places WHERE kind = 'cave';
CREATE RULE rename_cave AS ON UPDATE TO caves DO INSTEAD UPDATE {{.prefix}}_places SET name = NEW.name WHERE id = OLD.id;
