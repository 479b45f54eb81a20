CREATE OR REPLACE VIEW ${schema}.occupancy AS
    SELECT w.name, count(p.id) AS patients
    FROM ${schema}.wards w LEFT JOIN ${schema}.patients p ON p.ward_id = w.id
    GROUP BY w.name;
