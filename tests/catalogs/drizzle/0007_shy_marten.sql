ALTER TABLE "shop"."offers" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE POLICY "anyone reads" ON "shop"."offers" AS PERMISSIVE FOR SELECT TO public USING (true);--> statement-breakpoint
CREATE POLICY "sellers write" ON "shop"."offers" AS PERMISSIVE FOR ALL TO public USING ("seller" IN (select "id" from "sellers")) WITH CHECK ("price" > 0);--> statement-breakpoint
ALTER POLICY "anyone reads" ON "shop"."offers" TO public USING ("shop"."offers"."price" >= 0);
