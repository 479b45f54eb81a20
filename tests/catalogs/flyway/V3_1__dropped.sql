DROP TABLE IF EXISTS public.audit_visits, public.never_was CASCADE;
