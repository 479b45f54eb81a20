ALTER TYPE address ADD ATTRIBUTE country text CASCADE;
ALTER TYPE address RENAME ATTRIBUTE "Nr." TO number;
CREATE AGGREGATE longest (text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE STATISTICS {{.prefix}}_stats (mcv) ON name, kind FROM {{.prefix}}_places;
