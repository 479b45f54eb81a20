-- Written by hand: the last statement before a breakpoint needs no semicolon.
CREATE FUNCTION "shop"."touch"() RETURNS trigger AS $$
BEGIN
  NEW."changed" := now();
  RETURN NEW;
END;
$$ LANGUAGE plpgsql
--> statement-breakpoint
ALTER TABLE "shop"."offers" ADD COLUMN "changed" timestamp with time zone
--> statement-breakpoint
CREATE TRIGGER "touch" BEFORE UPDATE ON "shop"."offers" FOR EACH ROW EXECUTE FUNCTION "shop"."touch"()
