CREATE VIEW "public"."sellers" AS (select "id", "email" from "accounts" where "accounts"."role" = 'seller');--> statement-breakpoint
CREATE MATERIALIZED VIEW "shop"."prices" AS (select "seller", min("price") as "lowest" from "shop"."offers" group by "seller") WITH NO DATA;
