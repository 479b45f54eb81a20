ALTER TABLE "public"."accounts" ALTER COLUMN "role" SET DATA TYPE text;--> statement-breakpoint
ALTER TABLE "public"."accounts" ALTER COLUMN "role" SET DEFAULT 'buyer'::text;--> statement-breakpoint
UPDATE "public"."accounts" SET "role" = 'seller' WHERE "role" = 'clerk';--> statement-breakpoint
DROP TYPE "public"."role";--> statement-breakpoint
CREATE TYPE "public"."role" AS ENUM('buyer', 'seller', 'admin');--> statement-breakpoint
ALTER TABLE "public"."accounts" ALTER COLUMN "role" SET DEFAULT 'buyer'::"public"."role";--> statement-breakpoint
ALTER TABLE "public"."accounts" ALTER COLUMN "role" SET DATA TYPE "public"."role" USING "role"::"public"."role";
