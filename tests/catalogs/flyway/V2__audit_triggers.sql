CREATE FUNCTION ${schema}.audit_patient() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO public.audit_patients (patient_id, reason) VALUES (OLD.id, TG_OP);
    RETURN OLD;
END $$;
CREATE TRIGGER audit BEFORE DELETE ON ${schema}.patients FOR EACH ROW EXECUTE FUNCTION ${schema}.audit_patient();
