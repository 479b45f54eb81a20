ALTER TYPE "public"."role" ADD VALUE 'clerk' BEFORE 'seller';--> statement-breakpoint
CREATE TABLE "shop"."tags" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "shop"."tags_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 100 CACHE 1),
	"label" text NOT NULL,
	"words" "tsvector" GENERATED ALWAYS AS (to_tsvector('simple', "label")) STORED,
	CONSTRAINT "label_not_empty" CHECK ("shop"."tags"."label" <> '')
);
--> statement-breakpoint
CREATE TABLE "shop"."offers_to_tags" (
	"offer" uuid NOT NULL,
	"tag" integer NOT NULL,
	CONSTRAINT "offers_to_tags_offer_tag_pk" PRIMARY KEY("offer","tag")
);
--> statement-breakpoint
ALTER TABLE "shop"."offers_to_tags" ADD CONSTRAINT "offers_to_tags_offer_offers_id_fk" FOREIGN KEY ("offer") REFERENCES "shop"."offers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "shop"."offers_to_tags" ADD CONSTRAINT "offers_to_tags_tag_tags_id_fk" FOREIGN KEY ("tag") REFERENCES "shop"."tags"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "tags_words" ON "shop"."tags" USING gin ("words");
