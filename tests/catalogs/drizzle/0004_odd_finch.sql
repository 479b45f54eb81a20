ALTER TABLE "people" RENAME TO "accounts";--> statement-breakpoint
ALTER TABLE "accounts" RENAME COLUMN "joined" TO "created_at";--> statement-breakpoint
ALTER TABLE "accounts" DROP CONSTRAINT "people_email_unique";--> statement-breakpoint
ALTER TABLE "shop"."offers" DROP CONSTRAINT "offers_seller_people_id_fk";
--> statement-breakpoint
ALTER TABLE "shop"."offers" ADD CONSTRAINT "offers_seller_accounts_id_fk" FOREIGN KEY ("seller") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_email_unique" UNIQUE("email");
