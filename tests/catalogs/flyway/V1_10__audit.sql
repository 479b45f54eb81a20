CREATE TABLE public.audit_base (at timestamptz NOT NULL DEFAULT now(), who text NOT NULL DEFAULT current_user);
CREATE TABLE public.audit_patients (patient_id bigint) INHERITS (public.audit_base);
CREATE TABLE public.audit_visits (patient_id bigint, during tstzrange) INHERITS (public.audit_base);
CREATE INDEX audit_patients_at ON public.audit_patients (at);
ALTER TABLE public.audit_base ADD COLUMN reason text;
