CREATE INDEX CONCURRENTLY patients_surname ON ${schema}.patients (surname text_pattern_ops);
