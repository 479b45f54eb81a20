CREATE TABLE ${schema}.visits (
    patient_id bigint NOT NULL REFERENCES ${schema}.patients,
    doctor_id integer NOT NULL REFERENCES ${schema}.doctors,
    during tstzrange NOT NULL,
    note text DEFAULT '${flyway:filename}',
    PRIMARY KEY (patient_id, during),
    EXCLUDE USING gist (during WITH &&) WHERE (patient_id = 0)
);
