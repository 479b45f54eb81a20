CREATE FUNCTION queue.notify() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_notify('jobs', NEW.queue);
    RETURN NULL;
END $body$;
CREATE TRIGGER notify AFTER INSERT ON queue.jobs FOR EACH ROW EXECUTE FUNCTION queue.notify();
