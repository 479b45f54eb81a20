DO $$ BEGIN
 ALTER TABLE "shop"."offers" ADD CONSTRAINT "offers_seller_people_id_fk" FOREIGN KEY ("seller") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;
EXCEPTION
 WHEN duplicate_object THEN null;
END $$;
--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "offers_by_price" ON "shop"."offers" USING btree ("price" DESC NULLS LAST,"id");--> statement-breakpoint
CREATE UNIQUE INDEX IF NOT EXISTS "people_email_lower" ON "people" USING btree (lower("email"));
