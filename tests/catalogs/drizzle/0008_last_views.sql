DROP VIEW "public"."sellers" CASCADE;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "hidden" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE VIEW "public"."sellers" WITH (security_barrier = true) AS (select "id", "email" from "accounts" where not "hidden");--> statement-breakpoint
CREATE POLICY "sellers write" ON "shop"."offers" AS PERMISSIVE FOR ALL TO public USING ("seller" IN (select "id" from "sellers"));
