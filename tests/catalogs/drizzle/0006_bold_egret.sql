CREATE SEQUENCE "public"."receipt_numbers" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1000 CACHE 1;--> statement-breakpoint
CREATE TABLE "receipts" (
	"number" bigint PRIMARY KEY DEFAULT nextval('receipt_numbers') NOT NULL,
	"offer" uuid NOT NULL,
	"lines" jsonb DEFAULT '[]'::jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE "receipts" ADD CONSTRAINT "receipts_offer_offers_id_fk" FOREIGN KEY ("offer") REFERENCES "shop"."offers"("id") ON DELETE restrict ON UPDATE no action;
