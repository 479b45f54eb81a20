CREATE TABLE public.audit_visits (patient_id bigint) INHERITS (public.audit_base);
