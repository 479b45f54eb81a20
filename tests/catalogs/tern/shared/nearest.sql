{{ template "shared/point.sql" . }}
CREATE OR REPLACE VIEW {{.prefix}}_nearest AS
    SELECT p.id, q.id AS other
    FROM {{.prefix}}_places p
    LEFT JOIN LATERAL (SELECT o.id FROM {{.prefix}}_places o WHERE o.id <> p.id
                       ORDER BY {{.prefix}}_distance(o.at, p.at) LIMIT 1) q ON true;
